import type { FeedRow } from '@audience-sync/contracts/internal/feed'
import { groupBit, identifierGroups, purposeBit } from '@audience-sync/contracts/people'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { choiceOf, decide, fingerprintOf, type Known } from './diff.ts'

const EMAIL = groupBit('email')
const PHONE = groupBit('phone')
const choice = choiceOf(['email'], 'ads', { value: false, consent: false })
const versions = { configVersion: 3, normaliser: 1 }
const piece = (byte: number) => Buffer.alloc(8, byte)
const FP = piece(7).toString('base64')
const print = fingerprintOf(EMAIL, FP, choice.watched)

const ADS = purposeBit('ads')
const wanted: FeedRow = [1, 1, ADS, EMAIL, FP]
const rows: Record<string, FeedRow | undefined> = {
  wanted,
  changed: [1, 1, ADS, EMAIL, piece(8).toString('base64')],
  'not allowed': [1, 1, purposeBit('crm'), EMAIL, FP],
  unusable: [1, 1, ADS, PHONE, FP],
  withheld: [1, 1, ADS, EMAIL, FP, EMAIL, 0, 0],
  'withheld for another purpose': [1, 1, ADS, EMAIL, FP, PHONE, EMAIL, EMAIL],
  left: [1, 0, ADS, EMAIL, FP],
  unheard: undefined,
}
const at = (last: Known['last'], state: Known['state'], more: Partial<Known> = {}): Known => ({
  fingerprint: print,
  configVersion: 3,
  normaliser: 1,
  last,
  state,
  ...more,
})
const ledgers: Record<string, Known | undefined> = {
  unknown: undefined,
  there: at('add', 'done'),
  'of an older choice': at('add', 'done', { configVersion: 2 }),
  'of an older normaliser': at('add', 'done', { normaliser: 0 }),
  refused: at('add', 'failed'),
  gone: at('remove', 'done'),
  'not removed': at('remove', 'failed'),
}

/** What is decided for each row of the feed, in the order of `rows`; by what the ledger says, and whether it was left to do. */
const table: [string, boolean, string[]][] = [
  ['unknown', false, ['add', 'add', 'consent_denied', 'no_usable_identifier', 'no_usable_identifier', 'add', 'nothing', 'nothing']],
  ['unknown', true, ['add', 'add', 'consent_denied', 'no_usable_identifier', 'no_usable_identifier', 'add', 'nothing', 'nothing']],
  ['there', false, ['unchanged', 'replace', 'privacy', 'remove', 'remove', 'unchanged', 'remove', 'remove']],
  ['there', true, ['replace', 'replace', 'privacy', 'remove', 'remove', 'replace', 'remove', 'remove']],
  ['of an older choice', false, ['replace', 'replace', 'privacy', 'remove', 'remove', 'replace', 'remove', 'remove']],
  ['of an older normaliser', false, ['replace', 'replace', 'privacy', 'remove', 'remove', 'replace', 'remove', 'remove']],
  ['refused', false, ['replace', 'replace', 'privacy', 'remove', 'remove', 'replace', 'remove', 'remove']],
  ['refused', true, ['replace', 'replace', 'privacy', 'remove', 'remove', 'replace', 'remove', 'remove']],
  ['gone', false, ['add', 'add', 'consent_denied', 'no_usable_identifier', 'no_usable_identifier', 'add', 'nothing', 'nothing']],
  ['gone', true, ['add', 'add', 'privacy', 'remove', 'remove', 'add', 'remove', 'remove']],
  ['not removed', false, ['replace', 'replace', 'privacy', 'remove', 'remove', 'replace', 'remove', 'remove']],
  ['not removed', true, ['replace', 'replace', 'privacy', 'remove', 'remove', 'replace', 'remove', 'remove']],
]
const named = (decision: ReturnType<typeof decide>) =>
  decision.kind === 'suppressed' ? decision.reason : decision.kind === 'remove' && decision.privacy ? 'privacy' : decision.kind

describe('decided about a person', () => {
  test.each(table)('who is %s in the ledger (left to do: %s)', (ledger, forced, expected) => {
    expect(Object.values(rows).map((row) => named(decide(row, ledgers[ledger], forced, choice, versions)))).toEqual(expected)
  })

  test.each(['add', 'remove'] as const)('C12: waits while a call that names them is open (%s)', (last) => {
    for (const row of Object.values(rows)) for (const forced of [true, false]) expect(decide(row, at(last, 'open'), forced, choice, versions).kind).toBe('wait')
  })
})

describe('what an audience looks at', () => {
  test('is what it chose, and value and consent where its settings send those', () => {
    expect(choice).toEqual({ chosen: EMAIL, watched: EMAIL, purpose: ADS })
    expect(choiceOf(['email', 'phone'], 'crm', { value: true, consent: true })).toEqual({
      chosen: EMAIL | PHONE,
      watched: EMAIL | PHONE | groupBit('value') | groupBit('consent'),
      purpose: purposeBit('crm'),
    })
  })

  test('C9: is also what its transformations read', () => {
    const { watched, chosen } = choiceOf(['email'], 'ads', { value: false, consent: false }, [{ type: 'lower', field: 'phone' }])
    expect(watched & PHONE).toBe(PHONE)
    expect(chosen & EMAIL).toBe(EMAIL)
  })
})

const pieces = fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { minLength: identifierGroups.length, maxLength: identifierGroups.length })
const bits = fc.integer({ min: 0, max: (1 << identifierGroups.length) - 1 })
const encode = (groups: number, all: readonly Uint8Array[]) => Buffer.concat(all.filter((_, bit) => groups & (1 << bit))).toString('base64')

describe('a fingerprint', () => {
  test('is one that a bigint column and a JavaScript number share', () => {
    fc.assert(
      fc.property(bits, bits, pieces, (groups, watched, all) => {
        const print = fingerprintOf(groups, encode(groups, all), watched)
        expect(Number.isSafeInteger(print) && print >= 0).toBe(true)
      }),
    )
  })

  test('does not see groups that nobody watches, whether they are there or not', () => {
    fc.assert(
      fc.property(bits, bits, bits, pieces, pieces, (groups, more, watched, all, others) => {
        const unwatched = more & ~watched
        const mixed = all.map((one, bit) => (watched & (1 << bit) ? one : (others[bit] ?? one)))
        expect(fingerprintOf((groups & watched) | unwatched, encode((groups & watched) | unwatched, mixed), watched)).toBe(
          fingerprintOf(groups, encode(groups, all), watched),
        )
      }),
    )
  })

  test('sees every change of a watched group, and that one came or went', () => {
    fc.assert(
      fc.property(bits, fc.nat({ max: identifierGroups.length - 1 }), pieces, fc.nat({ max: 63 }), (groups, bit, all, flipped) => {
        const has = groups | (1 << bit)
        const changed = all.map((one, i) => (i === bit ? one.with(flipped >> 3, (one[flipped >> 3] ?? 0) ^ (1 << (flipped & 7))) : one))
        const before = fingerprintOf(has, encode(has, all), has)
        expect(fingerprintOf(has, encode(has, changed), has)).not.toBe(before)
        expect(fingerprintOf(has & ~(1 << bit), encode(has & ~(1 << bit), all), has)).not.toBe(before)
      }),
      { numRuns: 5_000 },
    )
  })

  test('tells the same piece in two groups apart', () => {
    expect(fingerprintOf(EMAIL, FP, EMAIL | PHONE)).not.toBe(fingerprintOf(PHONE, FP, EMAIL | PHONE))
  })
})

test.each([
  ['ads', purposeBit('ads_ldu'), 'opted_out'],
  ['ads', 0, 'consent_denied'],
  ['ads_ldu', purposeBit('crm'), 'consent_denied'],
  ['crm', purposeBit('ads'), 'opted_out'],
] as const)('somebody who may not be sent for %s is kept back with the reason that the feed tells', (purpose, purposes, reason) => {
  const choice = choiceOf(['email'], purpose, { value: false, consent: false })
  expect(decide([1, 1, purposes, 1, ''], undefined, false, choice, { configVersion: 1, normaliser: 1 })).toEqual({ kind: 'suppressed', reason })
})
