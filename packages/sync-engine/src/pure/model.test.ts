/**
 * The pure parts together, over ledgers and a far side in memory (test/model): people come, change, opt out and go; calls are accepted, refused,
 * turned away at the door, lost after they were done, or their worker dies before or after them; runs are cancelled between batches, the audience is paused
 * and resumed; several share a phone; the platform applies what it took in any order, and the settler forgets whoever is gone. In the end, with nothing in
 * the way, the far side is what is wanted, whoever opted out was never said after it, and nobody was added in a pause.
 * Every run of the tests draws the same few histories, so that none is red by chance; FULL=1 draws 100,000 new ones of each kind, FULL=n n of
 * them, and SEED=n those of a run that was seen before.
 */
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Account } from '../../test/model/account.ts'
import type { Call, Outcome } from '../../test/model/calls.ts'
import { type Drawing, expectInStep, settleIn, stepsOf, take } from '../../test/model/draw.ts'
import { EVERYTHING, type Person } from '../../test/model/people.ts'

/** Of the few. */
const SAME = 20_261_124

const WORKERS: readonly Outcome[] = ['refused', 'at the door', 'lost', 'unsent', 'dies before', 'dies after', 'cancelled']

function draw(drawing: Drawing, make: () => Account, quickly: number): void {
  const { FULL, SEED } = process.env
  const numRuns = FULL ? (Number(FULL) > 1 ? Number(FULL) : 100_000) : quickly
  fc.assert(
    fc.property(fc.noBias(stepsOf(drawing)), fc.nat(20), fc.boolean(), (steps, order, settled) => {
      const account = make()
      if (settled) settleIn(account)
      for (const one of steps) take(account, one)
      account.calm(order)
      expectInStep(account)
    }),
    { numRuns, ...(SEED ? { seed: Number(SEED) } : !FULL && { seed: SAME }) },
  )
}

test('C1, C2, C3, C4, C10, C12, C16: whatever happens on the way, in whatever order the platform applies it, the far side ends as wanted', () => {
  draw({ audiences: 1, outcomes: WORKERS, meanwhile: true }, () => new Account(['ads']), 700)
}, 3_600_000)

test('R7, C2, C4, C13: also where an opt-out is one call for every audience of the account, which each applies in its own time', () => {
  draw({ audiences: 3, outcomes: WORKERS, meanwhile: true }, () => new Account(['ads', 'ads', 'ads_ldu'], true), 150)
}, 3_600_000)

test('C21: also where the whole list is said anew', () => {
  draw({ audiences: 2, outcomes: [...WORKERS, 'too late', 'gives up'], full: 4, meanwhile: true }, () => new Account(['ads', 'ads'], true), 200)
}, 3_600_000)

/** Histories that are drawn once in many hundred thousand. */
const SOMEBODY: Person = { member: 3, allowed: EVERYTHING, email: 1, phone: 0 }
const GONE: Person = { ...SOMEBODY, allowed: 0 }
/** The platform applies these, by their place in what is left of what it took; and is looked at. */
const apply = (account: Account, ...places: number[]) => {
  for (const place of places) account.platform.apply(place)
  account.settle()
}
const optOut = (account: Account, no: number, ...calls: Call[]) => {
  account.change(no, GONE)
  account.suppressions()
  account.work(0, calls, false)
  account.work(1, [], false)
}
const rest = (account: Account) => {
  account.calm(0)
  expectInStep(account)
}

test('C4: of two additions the second is applied first, then the removal, then the first addition: the person is removed again', () => {
  const account = new Account()
  account.change(1, SOMEBODY)
  account.work(0)
  account.change(1, { ...SOMEBODY, phone: 1 })
  account.work(0)
  apply(account, 1)
  account.change(1, { ...SOMEBODY, phone: 1, member: 0 })
  account.work(0)
  apply(account, 1)
  rest(account)
})

test('C16: a removal that was sent twice is applied a second time after the person has come back: they are added again', () => {
  const account = new Account()
  account.change(1, SOMEBODY)
  account.work(0)
  apply(account, 0)
  account.change(1, { ...SOMEBODY, member: 0 })
  account.work(0, [{ outcome: 'lost' }])
  account.work(0)
  apply(account, 0)
  account.change(1, SOMEBODY)
  account.work(0)
  apply(account, 1)
  rest(account)
})

test('C16: an addition that was sent again a day later may land a day later, too: whoever leaves then is removed again', () => {
  const account = new Account()
  account.change(1, SOMEBODY)
  account.work(0, [{ outcome: 'dies after' }])
  account.sleep(0)
  account.work(0)
  account.settle()
  account.change(1, { ...SOMEBODY, member: 0 })
  account.work(0)
  apply(account, 1)
  rest(account)
})

test('C4, R7: of two additions to another audience the first is applied after the call that removes the person from the account: they are removed again', () => {
  const account = new Account(['ads', 'ads'], true)
  account.change(1, SOMEBODY)
  account.work(1)
  account.change(1, { ...SOMEBODY, phone: 1 })
  account.work(1)
  apply(account, 1)
  account.work(0)
  apply(account, 1)
  optOut(account, 1)
  apply(account, 1, 1)
  rest(account)
})

test('C2, R7: an opt-out that was sent twice to the account is applied a second time after the person has consented again: they are added again', () => {
  const account = new Account(['ads', 'ads'], true)
  account.change(1, SOMEBODY)
  for (const audience of [0, 1]) account.work(audience)
  apply(account, 0, 0)
  optOut(account, 1, { outcome: 'lost' })
  for (const audience of [0, 1]) account.work(audience, [], false)
  apply(account, 0, 0)
  account.change(1, SOMEBODY)
  for (const audience of [0, 1]) account.work(audience)
  apply(account, 2, 2)
  rest(account)
})

test('C2, R7: who comes to another audience while their opt-out is applied to the account, having consented again, is added again', () => {
  const account = new Account(['ads', 'ads'], true)
  account.change(1, { ...SOMEBODY, member: 1 })
  account.work(0)
  apply(account, 0)
  optOut(account, 1)
  account.change(1, { ...SOMEBODY, member: 2 })
  account.work(1)
  apply(account, 2)
  rest(account)
})

test('C16, C21: an addition that was sent twice and applied once lands after a list without the person: there is no such list yet', () => {
  const account = new Account(['ads'], true)
  for (const no of [1, 2]) account.change(no, SOMEBODY)
  account.work(0, [{ outcome: 'lost' }])
  account.work(0)
  apply(account, 0)
  account.change(1, { ...SOMEBODY, member: 0 })
  take(account, { run: 0, calls: [], full: true })
  expect(account.replacements).toBe(0)
  apply(account, 1)
  rest(account)
})

test('C21: lists are said anew', () => {
  const account = new Account(['ads'], true)
  for (const no of [1, 2, 3]) account.change(no, SOMEBODY)
  account.work(0)
  account.sleep(0)
  account.settle()
  account.change(1, { ...SOMEBODY, member: 0 })
  take(account, { run: 0, calls: [], full: true })
  expect(account.replacements).toBe(1)
  rest(account)
})
