/** What Meta's rules make of an audience's purpose and settings (vendors/meta.md §1, §4.1, §6). Pure. */
import type { AudienceChoice, FixedChoice, ManifestExtras, Notice } from '@audience-sync/destination-kit/manifest-contract'
import type { MetaSettings } from './manifest.ts'

/** "A lookalike seed needs at least 100 people." */
const smallestSeed = 100

type Choice = AudienceChoice<MetaSettings>

/** Neither is a parameter of an update (the published spec of `POST /{audience_id}`). */
function fixedChoices(before: Choice, after: Choice): FixedChoice[] {
  const fixed: FixedChoice[] = []
  if (before.settings.valueBased !== after.settings.valueBased)
    fixed.push({ path: 'settings.valueBased', message: 'Meta makes an audience value-based, or not, when it is made.' })
  // Of an adopted audience the restriction is its maker's, whatever we call its purpose.
  if (!before.adopted && (before.purpose === 'exclusion') !== (after.purpose === 'exclusion'))
    fixed.push({ path: 'purpose', message: 'Meta restricts an audience to exclusion, or not, when it is made.' })
  return fixed
}

function notices({ purpose, settings, adopted, eligible }: Choice): Notice[] {
  const found: Notice[] = []
  if (adopted) found.push({ code: 'adopted_members_unknown' })
  if (purpose === 'exclusion' && !adopted) found.push({ code: 'exclusion_only' })
  if (purpose === 'seed') {
    if (eligible !== null && eligible < smallestSeed)
      found.push({ code: 'seed_needs_people', detail: `Meta needs ${smallestSeed} people, also in the lookalike’s country; ${eligible} may be sent.` })
    if (!settings.valueBased) found.push({ code: 'seed_without_values' })
  }
  return found
}

/** Source, retention, labels, link and products are the audience's; nobody has to be said again for them. */
const sameRows = (before: MetaSettings, after: MetaSettings): boolean =>
  before.valueBased === after.valueBased && before.limitedDataUse === after.limitedDataUse

export const audienceRules = {
  fixedChoices,
  sameRows,
  notices,
  // Bounds of small lists show 1000 (vendors/meta.md §4.1, from memory).
  sizeFloor: 1_000,
} satisfies ManifestExtras<MetaSettings>
