import type { FeedRow } from '@audience-sync/contracts/internal/feed'
import { groupBit, purposeBit } from '@audience-sync/contracts/people'
import { choiceOf } from '@audience-sync/sync-engine/pure/diff'
import { Seen } from '@audience-sync/sync-engine/pure/seen'
import { describe, expect, test } from '@jest/globals'
import { Tally } from './tally.ts'

const choice = choiceOf(['email'], 'ads', { value: false, consent: false })
const row = (no: number, piece: number, purposes = purposeBit('ads')): FeedRow => [
  no,
  1,
  purposes,
  groupBit('email'),
  Buffer.alloc(8, piece).toString('base64'),
]
type Said = Parameters<Tally['add']>[0]
const added = (no: number, piece = 1): Said => ({ customerNo: no, row: row(no, piece), decision: { kind: 'add' } })
const digest = (...people: Said[]): string => {
  const tally = new Tally(choice, { withholdAdditions: false })
  for (const person of people) tally.add(person)
  return tally.digest.toString('hex')
}

describe('the digest of a plan', () => {
  test('does not depend on the order in which people come', () => {
    expect(digest(added(1), added(2), added(3))).toBe(digest(added(3), added(1), added(2)))
  })
  test('changes with a person, with what is said of them, and with their identifiers', () => {
    const before = digest(added(1), added(2))
    expect(digest(added(1))).not.toBe(before)
    expect(digest(added(1), added(3))).not.toBe(before)
    expect(digest(added(1), added(2, 9))).not.toBe(before)
    expect(digest(added(1), { ...added(2), decision: { kind: 'replace' } })).not.toBe(before)
    expect(digest(added(1), { ...added(2), decision: { kind: 'remove', privacy: false } })).not.toBe(
      digest(added(1), { ...added(2), decision: { kind: 'remove', privacy: true } }),
    )
  })
  test('does not see people about whom nothing is said', () => {
    expect(digest(added(1), { ...added(2), decision: { kind: 'unchanged' } })).toBe(digest(added(1)))
  })
})

test('who is kept back is counted by reason: no consent, opted out, nothing usable', () => {
  const tally = new Tally(choice, { withholdAdditions: false })
  for (const reason of ['consent_denied', 'opted_out', 'no_usable_identifier'] as const)
    tally.add({ customerNo: 1, row: row(1, 1, 0), decision: { kind: 'suppressed', reason } })
  expect(tally.suppressedBy).toEqual({ consent_denied: 1, opted_out: 1, no_usable_identifier: 1, audience_too_small: 0 })
  expect(tally.counts.suppressed).toBe(3)
})

test('C14: below the minimum additions are counted as withheld, and are no part of what the digest stands for', () => {
  const tally = new Tally(choice, { withholdAdditions: true })
  for (const person of [added(1), { ...added(2), decision: { kind: 'replace' } } as Said]) tally.add(person)
  expect(tally.counts).toMatchObject({ add: 0, replace: 1, suppressed: 1 })
  expect(tally.suppressedBy.audience_too_small).toBe(1)
  expect(tally.examples).toEqual([2])
  expect(tally.digest.toString('hex')).toBe(digest({ ...added(2), decision: { kind: 'replace' } }))
})

test('a number is new once', () => {
  const seen = new Seen()
  const numbers = [1, 8_191, 8_192, 5_000_000_000, 2]
  expect(numbers.map((no) => seen.add(no))).toEqual([true, true, true, true, true])
  expect(numbers.map((no) => seen.add(no))).toEqual([false, false, false, false, false])
  expect(seen.add(9)).toBe(true)
})
