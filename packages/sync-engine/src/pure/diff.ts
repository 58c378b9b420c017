/**
 * What has to be said about one person: the pure heart of a run. `desired` is a row of the change feed, `known` our ledger,
 * `forced` whether an earlier run left this person to do (SYNC.md C3). Nothing here knows a destination or a person's data.
 */
import { type FeedRow, groupsLeft } from '@audience-sync/contracts/internal/feed'
import { groupBit, type IdentifierChoice, type Purpose, purposeBit, UNREAD_BIT } from '@audience-sync/contracts/people'
import { groupsRead, groupsSendable, type Transformation } from '@audience-sync/contracts/transformations'

/** What an audience's frozen configuration says about rows of the feed. */
export interface Choice {
  /** Groups that may be sent. */
  readonly chosen: number
  /** Groups whose change has to be sent: the chosen ones, and value or consent where the settings send those. */
  readonly watched: number
  /** What a person must be allowed for. */
  readonly purpose: number
}

/** Transformations may mend what ingest could not use, and read more than is chosen: both are looked at, so no change goes unseen (C9). */
export function choiceOf(
  identifiers: readonly IdentifierChoice[],
  purpose: Purpose,
  sends: { readonly value: boolean; readonly consent: boolean },
  transformations: readonly Transformation[] = [],
): Choice {
  const picked = identifiers.reduce((bits, choice) => bits | groupBit(choice), 0)
  const chosen = groupsSendable(transformations, picked)
  const watched = chosen | groupsRead(transformations) | (sends.value ? groupBit('value') : 0) | (sends.consent ? groupBit('consent') : 0)
  return { chosen, watched, purpose: purposeBit(purpose) }
}

const PIECE_BYTES = 8

/**
 * One number for the watched groups of a person: equal groups give equal numbers. The pieces are keyed hashes already, so
 * mixing them is enough. 53 bits, because that is what a JavaScript number and a bigint column share: a change goes unseen
 * once in 10^15.
 */
export function fingerprintOf(groups: number, fingerprints: string, watched: number): number {
  const pieces = Buffer.from(fingerprints, 'base64')
  let high = 0x9e3779b9
  let low = 0x85ebca6b
  let at = 0
  for (let bit = 0; 1 << bit <= UNREAD_BIT; bit += 1) {
    if (!(groups & (1 << bit))) continue
    if (watched & (1 << bit)) {
      high = Math.imul(high ^ pieces.readInt32LE(at) ^ (bit + 1), 0x01000193) ^ (low >>> 13)
      low = Math.imul(low ^ pieces.readInt32LE(at + 4) ^ (bit + 1), 0x5bd1e995) ^ (high >>> 15)
    }
    at += PIECE_BYTES
  }
  return (high & 0x1fffff) * 2 ** 32 + (low >>> 0)
}

/** A person in the ledger, with the state of the batch that speaks last. */
export interface Known {
  readonly fingerprint: number
  readonly configVersion: number
  readonly normaliser: number
  readonly last: 'add' | 'remove'
  /** done: accepted, or applied. open: on its way, or its outcome unknown. failed: ended otherwise. */
  readonly state: 'done' | 'open' | 'failed'
}

export interface Versions {
  readonly configVersion: number
  readonly normaliser: number
}

export type KeptBack = 'consent_denied' | 'opted_out' | 'no_usable_identifier'
/** Why somebody who would be added is not: kept back, or the audience is below its minimum (C14). */
export type Withheld = KeptBack | 'audience_too_small'

export type Decision =
  | { readonly kind: 'add' | 'replace' }
  /** `privacy`: still a member, but may not be there any more; never counted by the brake. */
  | { readonly kind: 'remove'; readonly privacy: boolean }
  | { readonly kind: 'unchanged' }
  /** Kept back by us. */
  | { readonly kind: 'suppressed'; readonly reason: KeptBack }
  /** Neither there nor wanted there. */
  | { readonly kind: 'nothing' }
  /** A call that names this person is still open: look again when its outcome is known (C12). */
  | { readonly kind: 'wait' }

export function decide(desired: FeedRow | undefined, known: Known | undefined, forced: boolean, choice: Choice, versions: Versions): Decision {
  if (known?.state === 'open') return { kind: 'wait' }
  const [, member = 0, purposes = 0, groups = 0, fingerprints = ''] = desired ?? []
  const allowed = (purposes & choice.purpose) !== 0
  const usable = desired !== undefined && (groupsLeft(desired, choice.purpose) & choice.chosen) !== 0
  const absent = !known || (known.last === 'remove' && known.state === 'done' && !forced)
  if (member && allowed && usable) {
    if (absent || (known.last === 'remove' && known.state === 'done')) return { kind: 'add' }
    const same =
      known.state === 'done' &&
      !forced &&
      known.configVersion === versions.configVersion &&
      known.normaliser === versions.normaliser &&
      known.fingerprint === fingerprintOf(groups, fingerprints, choice.watched)
    return { kind: same ? 'unchanged' : 'replace' }
  }
  if (!absent) return { kind: 'remove', privacy: member === 1 && !allowed }
  if (!member) return { kind: 'nothing' }
  return { kind: 'suppressed', reason: allowed ? 'no_usable_identifier' : whyNot(purposes, choice.purpose) }
}

/**
 * Why somebody may not be sent, as far as the feed's bits tell (API.md «Consent»): from the CRM people opt out; who may be sent to
 * ads with limited data use and not without has opted out of sale and sharing; everybody else has not consented.
 */
function whyNot(purposes: number, purpose: number): KeptBack {
  if (purpose === purposeBit('crm')) return 'opted_out'
  return purpose === purposeBit('ads') && purposes & purposeBit('ads_ldu') ? 'opted_out' : 'consent_denied'
}
