/** People of the model: which audiences of the account want them, what they allow, and which of a few identifiers they have. Some share a phone. */
import type { FeedRow } from '@audience-sync/contracts/internal/feed'
import { groupBit, type Purpose, purposeBit } from '@audience-sync/contracts/people'
import type { KeySet } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { choiceOf } from '../../src/pure/diff.ts'

export const KEYS: readonly KeyDefinition[] = [
  { name: 'EMAIL', form: 'text', matchesAlone: true },
  { name: 'PHONE', form: 'text', matchesAlone: true },
]
const EMAIL = groupBit('email')
export const versions = { configVersion: 1, normaliser: 1 }
export const choiceFor = (purpose: Purpose) => choiceOf(['email'], purpose, { value: false, consent: false })

export interface Person {
  /** Audiences whose behavior they are in, a bit each. */
  readonly member: number
  /** Purposes, as the feed's bits. */
  readonly allowed: number
  readonly email: number
  readonly phone: number
}
export const ADS = purposeBit('ads')
export const EVERYTHING = ADS | purposeBit('ads_ldu')

export const setsOf = (no: number, { email, phone }: Person): KeySet[] => [[`e${no}-${email}`, phoneOf(no, phone)]]
/** Several people may have this one. */
export const SHARED = 2
const phoneOf = (no: number, phone: number) => (phone === 0 ? '' : phone === SHARED ? 'shared' : `p${no}-${phone}`)
export const shares = (row: KeySet, removal: KeySet) => row.some((value, i) => value !== '' && value === removal[i])

/** Fingerprints by e-mail and phone, made once. */
const pieces = new Map<number, string>()
function piecesOf({ email, phone }: Pick<Person, 'email' | 'phone'>): string {
  const which = email * 10 + phone
  const known = pieces.get(which)
  if (known !== undefined) return known
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(which, 0)
  const made = bytes.toString('base64')
  pieces.set(which, made)
  return made
}

/** How a person stands, as the feed of the behavior that an audience exports says it. */
export const feedRow = (no: number, person: Person | undefined, audience: number): FeedRow => [
  no,
  ((person?.member ?? 0) >> audience) & 1 ? 1 : 0,
  person?.allowed ?? 0,
  EMAIL,
  piecesOf(person ?? NOBODY),
]
const NOBODY = { email: 0, phone: 0 }
