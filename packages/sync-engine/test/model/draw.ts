/** Histories of the model, drawn; and what has to be true when all has quiet down. */
import { expect } from '@jest/globals'
import fc from 'fast-check'
import type { Account } from './account.ts'
import type { Book } from './book.ts'
import type { Call, Meanwhile, Outcome } from './calls.ts'
import { ADS, EVERYTHING, type Person, SHARED, setsOf } from './people.ts'

export type Step =
  | { readonly change: number; readonly to: Person }
  | { readonly consent: number; readonly allowed: number }
  | { readonly belongs: number; readonly member: number }
  | { readonly run: number; readonly calls: readonly Call[]; readonly full: boolean }
  | { readonly privacy: number; readonly calls: readonly Call[] }
  | { readonly apply: number }
  | { readonly sleep: number }
  | { readonly quiet: number }
  | { readonly pause: number; readonly to: boolean }
  | { readonly everywhere: boolean }
  | 'settle'
  | 'suppressions'

export interface Drawing {
  readonly audiences: number
  readonly outcomes: readonly Outcome[]
  /** Full runs, by weight among runs. */
  readonly full?: number
  readonly meanwhile?: true
}

export function stepsOf({ audiences, outcomes, full = 0, meanwhile }: Drawing): fc.Arbitrary<Step[]> {
  const audience = fc.nat(audiences - 1)
  const everywhere = 2 ** audiences - 1
  const member = fc.oneof({ weight: 2, arbitrary: fc.constant(everywhere) }, { weight: 2, arbitrary: fc.nat(everywhere) })
  const allowed = fc.oneof({ weight: 3, arbitrary: fc.constant(EVERYTHING) }, { weight: 1, arbitrary: fc.constantFrom(0, EVERYTHING & ~ADS, 0) })
  const person: fc.Arbitrary<Person> = fc.record({
    member,
    allowed,
    email: fc.integer({ min: 0, max: 2 }),
    phone: fc.integer({ min: 0, max: 2 }),
  })
  const no = fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 5 }) })
  const outcome = fc.oneof({ weight: 6, arbitrary: fc.constant<Outcome>('accepted') }, { weight: 2, arbitrary: fc.constantFrom(...outcomes) })
  const event: fc.Arbitrary<Meanwhile> = fc.oneof(
    fc.record({ change: no, to: person, read: fc.boolean() }),
    fc.record({ work: audience }),
    fc.record({ apply: fc.nat(20) }),
  )
  const call: fc.Arbitrary<Call> = meanwhile
    ? fc.oneof({ weight: 4, arbitrary: fc.record({ outcome }) }, { weight: 1, arbitrary: fc.record({ outcome, meanwhile: event, afterwards: fc.boolean() }) })
    : fc.record({ outcome })
  const calls = fc.array(call, { maxLength: 4 })
  const fully = full === 0 ? fc.constant(false) : fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: full, arbitrary: fc.constant(true) })
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ change: no, to: person }) },
    { weight: 2, arbitrary: fc.record({ consent: no, allowed }) },
    { weight: 1, arbitrary: fc.record({ belongs: no, member }) },
    { weight: 4, arbitrary: fc.record({ run: audience, calls, full: fully }) },
    { weight: 1, arbitrary: fc.record({ privacy: audience, calls }) },
    { weight: 4, arbitrary: fc.record({ apply: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ sleep: fc.nat(20) }) },
    { weight: 4, arbitrary: fc.record({ quiet: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ pause: audience, to: fc.oneof(fc.constant(false), fc.constant(false), fc.constant(true)) }) },
    { weight: audiences > 1 ? 1 : 0, arbitrary: fc.record({ everywhere: fc.oneof(fc.constant(true), fc.constant(true), fc.constant(false)) }) },
    { weight: 3, arbitrary: fc.constantFrom<Step>('settle', 'settle', 'suppressions') },
  )
  return fc.array(step, { maxLength: 40, size: 'max' })
}

export function take(account: Account, one: Step): void {
  if (one === 'settle') account.settle()
  else if (one === 'suppressions') account.suppressions()
  else if ('pause' in one) {
    const book = account.audiences[one.pause]
    if (book) book.paused = one.to
  } else if ('everywhere' in one) account.everywhere = one.everywhere
  else if ('run' in one) {
    const book = account.audiences[one.run]
    if (book && one.full) book.full = true
    account.work(one.run, one.calls)
  } else if ('privacy' in one) account.work(one.privacy, one.calls, false)
  else if ('apply' in one) account.platform.apply(one.apply)
  else if ('sleep' in one) account.sleep(one.sleep)
  else if ('quiet' in one) {
    account.suppressions()
    for (const { index } of account.audiences) account.work(index)
    for (let left = account.platform.pending.length; left > 0; left -= 1) account.platform.apply(one.quiet)
    account.settle()
  } else {
    const no = 'change' in one ? one.change : 'consent' in one ? one.consent : one.belongs
    account.change(
      no,
      'to' in one ? one.to : { ...NEWCOMER, ...account.people.get(no), ...('allowed' in one ? { allowed: one.allowed } : { member: one.member }) },
    )
  }
}

const NEWCOMER: Person = { member: 0, allowed: EVERYTHING, email: 1, phone: 1 }

/** Three people are in every audience, two of them with one phone. */
export function settleIn(account: Account): void {
  const member = 2 ** account.audiences.length - 1
  for (const no of [1, 2, 3]) account.change(no, { ...NEWCOMER, member, phone: no === 3 ? 0 : SHARED })
  for (const { index } of account.audiences) account.work(index)
  account.sleep(0)
  account.settle()
}

/**
 * In the end: the far side is what is wanted and the ledger says so; whoever opted out was never said after it; nobody was added in a pause, or
 * beside a list; nothing is left to do.
 */
export function expectInStep(account: Account): void {
  // Compared as text first: with a matcher for each row the comparing takes longer than the history.
  const found = account.audiences.map((book) => stateOf(account, book))
  const { saidWrongly, addedWhilePaused, platform } = account
  const wrong = [saidWrongly, addedWhilePaused, platform.besideAList, account.batches.filter(({ state }) => state === 'open' || state === 'accepted')]
  if (JSON.stringify([found, wrong]) === JSON.stringify([found.map(inStep), [[], 0, 0, []]])) return
  expect(found).toEqual(found.map(inStep))
  expect(wrong).toEqual([[], 0, 0, []])
}

/** Rows that are missing there, rows that should not be there, and what else is not as in `inStep`. */
function stateOf(account: Account, book: Book) {
  const members = [...account.people].filter(([no]) => book.wanted(no))
  const wanted = members.flatMap(([no, of]) => setsOf(no, of))
  const far = account.platform.lists[book.index] ?? []
  const rows = new Set(far.map((row) => row.join()))
  // A row with fewer of the person's keys may stay: removing the person takes it along.
  const keys = new Set(wanted.flat())
  return {
    members: members.map(([no]) => no).sort(),
    ledger: [...book.ledger.keys()].sort(),
    missing: wanted.filter((row) => !rows.has(row.join())),
    tooMany: far.filter((row) => row.some((value) => value !== '' && !keys.has(value))),
    // Of somebody who is in no ledger a last word is never due.
    left: [...book.todo.keys(), ...[...book.again.keys()].filter((no) => book.ledger.has(no))],
    open: [book.replacing, book.privacyRun].filter((one) => one !== null),
  }
}

const inStep = ({ members }: ReturnType<typeof stateOf>): ReturnType<typeof stateOf> => ({
  members,
  ledger: members,
  missing: [],
  tooMany: [],
  left: [],
  open: [],
})
