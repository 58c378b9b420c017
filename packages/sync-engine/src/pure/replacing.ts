/** Whether a run says the whole list anew, or adds and removes, and what it then says of one person: pure rules (SYNC.md C21). */
import type { KeySet } from '@audience-sync/destination-kit/contract'
import type { ReplaceWish } from '@audience-sync/destination-kit/replace-contract'
import type { HeldSet } from './held.ts'
import type { Part } from './packer.ts'

export interface Choosing {
  readonly wish: ReplaceWish
  /** Why it cannot be: by the choice of identifiers, or by the account; null: it can. */
  readonly refusal: string | null
  readonly full: boolean
  /** A plan is applied exactly, by the calls that it named. */
  readonly plan: boolean
  /** Below the minimum additions are withheld. */
  readonly tooSmall: boolean
  readonly adopted: boolean
  /** Something of the audience is unknown or unapplied: an addition could land after the new list. */
  readonly unfinished: boolean
  /** The last one failed, and everyone is said one by one. */
  readonly failedBefore: boolean
  /** Removals wait that the platform refuses as such. */
  readonly removalsRefused: boolean
  /** People who would be in the new list, who are there, and who would be added, changed or removed. */
  readonly people: number
  readonly present: number
  readonly changes: number
  readonly peopleAtMost: number
  readonly worthFrom: { readonly people: number; readonly share: number }
  /** Time that the points of all calls take to come back, and that is left for them. */
  readonly quotaMs: number
  readonly windowMs: number
}

/** Of the window; the rest is for other calls of the account, retries and a crash. */
const WINDOW_SHARE = 0.5

/** null: the whole list anew; else why not. */
export function whyNotReplace(how: Choosing): string | null {
  if (!how.full) return 'Only a full run knows the whole list.'
  if (how.wish === 'never') return 'The audience’s settings say so.'
  if (how.refusal !== null) return how.refusal
  if (how.plan) return 'A plan is applied as it was made.'
  if (how.tooSmall) return 'The audience is below its minimum: additions are withheld.'
  if (how.adopted) return 'An adopted audience has people whom we do not know.'
  if (how.people === 0 || how.present === 0 || how.changes === 0) return 'There is nothing to replace.'
  if (how.failedBefore) return 'The last replacement failed.'
  if (how.unfinished) return 'Earlier calls are not finished.'
  if (Math.max(how.people, how.present) > how.peopleAtMost) return 'The audience is too large.'
  if (how.quotaMs > how.windowMs * WINDOW_SHARE) return 'The quota does not let so many calls through in time.'
  if (how.wish === 'always' || how.removalsRefused) return null
  if (how.people < how.worthFrom.people) return 'The list is short.'
  return how.changes < how.worthFrom.share * Math.max(how.people, how.present) ? 'The difference is small.' : null
}

export interface ListedPerson {
  readonly customerNo: number
  readonly kind: Part['kind']
  /** What may be there of them now. */
  readonly before: readonly HeldSet[]
  readonly sets: readonly KeySet[]
  readonly fingerprint: number
  readonly suppressionsAt: string
}

/** One person of the new list. What was held of them before goes with the old list, and is remembered until then. */
export const listed = ({ before, ...person }: ListedPerson): Part => ({
  ...person,
  operation: 'add',
  heldAfter: [...before.map(({ set }): HeldSet => ({ set, removing: true })), ...person.sets.map((set) => ({ set, removing: false }))],
  page: 0,
  afterRemoval: false,
})

/** Of these people, those of whom something goes with the old list. */
export const leftBehind = (parts: readonly Part[]): number[] =>
  parts.filter(({ heldAfter, sets }) => heldAfter.length > sets.length).map(({ customerNo }) => customerNo)
