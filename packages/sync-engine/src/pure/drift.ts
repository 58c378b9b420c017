/**
 * What a look at a far audience means (ARCHITECTURE.md, drift watch): pure, from what the platform shows now, what it showed at the last look, and
 * what the ledger says. Platforms show sizes rounded, late, and only of people they matched, so a size alone proves nothing: only
 * more people than we ever said, or a fall that our own removals do not explain, is worth telling.
 */
import type { Code } from '@audience-sync/errors/catalogue'

export interface Finding {
  readonly code: Code
  readonly detail: string
  readonly since: string
  readonly healing: 'automatic' | 'asks' | 'none'
}

/** A size there, and how many the ledger held at that time. */
export interface Sizes {
  readonly there: number
  readonly ledger: number
}

export interface Drift {
  readonly checkedAt: string
  readonly findings: readonly Finding[]
  /** The last look at which the size was as it should be: what a fall is measured from. */
  readonly sound: Sizes | null
}

export interface Shown {
  readonly name: string
  readonly size: number | null
  readonly state: string
  readonly detail: string
  readonly expiresAt: Date | null
}

export interface Here {
  readonly name: string
  /** Our own name or settings are not told there yet. */
  readonly stale: boolean
  readonly adopted: boolean
  readonly policy: { readonly renamed: string; readonly size: string }
  /** People of the ledger, of this generation; null: not counted. */
  readonly ledger: number | null
}

const EXPIRES_WITHIN_DAYS = 30 // time enough to plan a campaign that uses it
const DAY_MS = 86_400_000
const MORE_SHARE = 1.5 // far more than was said: platforms round to two digits and count a person who has two accounts twice …
const MORE_AT_LEAST = 2_000 // … and show small audiences as a thousand
const FALLEN_SHARE = 0.3 // estimates swing by a tenth or two from day to day
const FALLEN_AT_LEAST = 1_000
const NORMAL_AFTER_MS = 30 * DAY_MS // a size that stays for a month is how it is there

/** What keeps the platform from taking anything for it, and its ads from running. */
export const stopsUploads = ({ findings }: Pick<Drift, 'findings'>): Finding | undefined =>
  findings.find(({ code }) => code === 'audience_flagged' || code === 'audience_disabled')

type Found = Omit<Finding, 'since'>

/** What is found now; a finding that was there before keeps its `since`. */
export function lookedAt(far: Shown, here: Here, before: Drift | null, now: Date): Drift {
  const sound = soundSizes(before, now)
  const found = [stateOf(far), expiry(far, now), renaming(far, here), fallen(far, here, sound), swollen(far, here)].filter((one) => one !== null)
  const since = new Map(before?.findings.map((one) => [one.code, one.since]))
  const findings = found.map((one) => ({ ...one, since: since.get(one.code) ?? now.toISOString() }))
  const isFallen = findings.some(({ code }) => code === 'audience_shrunk')
  const sizes = far.size === null || here.ledger === null ? sound : { there: far.size, ledger: here.ledger }
  return { checkedAt: now.toISOString(), findings, sound: isFallen ? sound : sizes }
}

/** What the fall is measured from; null: from now on. */
function soundSizes(before: Drift | null, now: Date): Sizes | null {
  const fell = before?.findings.find(({ code }) => code === 'audience_shrunk')
  if (fell && now.getTime() - Date.parse(fell.since) > NORMAL_AFTER_MS) return null
  return before?.sound ?? null
}

function stateOf({ state, detail }: Shown): Found | null {
  if (state === 'flagged') return { code: 'audience_flagged', detail, healing: 'none' }
  if (state === 'disabled') return { code: 'audience_disabled', detail, healing: 'asks' }
  return null
}

function expiry({ state, expiresAt, detail }: Shown, now: Date): Found | null {
  if (expiresAt && expiresAt.getTime() - now.getTime() <= EXPIRES_WITHIN_DAYS * DAY_MS)
    return { code: 'audience_expiring', detail: `It is to be deleted there on ${expiresAt.toISOString().slice(0, 10)}.`, healing: 'none' }
  return state === 'expiring' ? { code: 'audience_expiring', detail, healing: 'none' } : null
}

/** The name of an adopted audience is its owner's. */
function renaming(far: Shown, { name, stale, adopted, policy }: Here): Found | null {
  if (adopted || stale || far.name.trim() === name.trim()) return null
  return {
    code: 'audience_renamed',
    detail: `It is called “${far.name}” there, and “${name}” here.`,
    healing: policy.renamed === 'report' ? 'none' : 'automatic',
  }
}

function fallen({ size }: Shown, { ledger, policy }: Here, sound: Sizes | null): Found | null {
  if (size === null || ledger === null || sound === null || sound.ledger === 0) return null
  // What our own removals explain is taken off; what we added since may not be matched yet.
  const expected = Math.round(sound.there * Math.min(1, ledger / sound.ledger))
  const lost = expected - size
  if (lost < FALLEN_AT_LEAST || lost < expected * FALLEN_SHARE) return null
  return {
    code: 'audience_shrunk',
    detail: `About ${size} people are there; ${expected} were to be expected.`,
    healing: policy.size === 'resync' ? 'automatic' : 'none',
  }
}

/** People of an adopted audience may be anybody's. */
function swollen({ size }: Shown, { ledger, adopted }: Here): Found | null {
  if (size === null || ledger === null || adopted || size <= Math.max(ledger * MORE_SHARE, ledger + MORE_AT_LEAST)) return null
  return { code: 'audience_swollen', detail: `About ${size} people are there; we have sent ${ledger}.`, healing: 'none' }
}
