/** Requests as they would be sent, of a few people, with every value masked before it is written: a digest is personal data, too (R10). */
import type { FetchVerdict } from '@audience-sync/contracts/internal/feed'
import type { Plan } from '@audience-sync/contracts/rest/plans'
import type { Transformation } from '@audience-sync/contracts/transformations'
import type { Destination, IdentifierChoice, Person } from '@audience-sync/destination-kit/contract'
import { previewRequests } from '@audience-sync/destination-kit/preview'
import type { AudienceRow } from '@audience-sync/sync-engine/store/rows'

const SHOWN_DIGITS = 4 // enough to tell two people apart, and not to find one

export function sampleRequests(destination: Destination, audience: AudienceRow, verdicts: readonly FetchVerdict[]): Plan['sampleRequests'] {
  const members = verdicts.flatMap((verdict): Person[] => (verdict.verdict === 'send' ? [verdict] : []))
  if (members.length === 0) return []
  const { requests } = previewRequests(masking(destination), {
    operation: 'add',
    identifiers: audience.identifiers as IdentifierChoice[],
    settings: audience.settings,
    transformations: audience.transformations as Transformation[],
    members,
    defaultCountry: audience.defaultCountry ?? undefined,
    accountExternalId: audience.accountExternalId,
    audienceExternalId: audience.externalId ?? undefined,
  })
  return requests.map((request) => ({ ...request, headers: { ...request.headers } }))
}

/** The destination, but that its rows are unreadable. */
function masking(destination: Destination): Destination {
  const { keys } = destination.manifest
  const mask = (value: string, position: number) => (keys[position]?.form === 'sha256' ? maskDigest(value) : maskText(value))
  return {
    ...destination,
    prepare(person, config) {
      const prepared = destination.prepare(person, config)
      return prepared.rejected === null ? { ...prepared, sets: prepared.sets.map((set) => set.map(mask)) } : prepared
    },
  }
}

const maskDigest = (digest: string): string => digest.slice(0, SHOWN_DIGITS).padEnd(digest.length, '*')
/** Of the same form, because destinations write numbers bare. */
const maskText = (text: string): string => text.replace(/\p{L}/gu, 'x').replace(/\p{Nd}/gu, '1')
