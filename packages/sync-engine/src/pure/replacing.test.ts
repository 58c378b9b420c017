import { describe, expect, test } from '@jest/globals'
import { type Choosing, whyNotReplace } from './replacing.ts'

const good: Choosing = {
  wish: 'auto',
  refusal: null,
  full: true,
  plan: false,
  tooSmall: false,
  adopted: false,
  unfinished: false,
  failedBefore: false,
  removalsRefused: false,
  people: 100_000,
  present: 90_000,
  changes: 50_000,
  peopleAtMost: 99_999_999,
  worthFrom: { people: 10_000, share: 0.3 },
  quotaMs: 60_000,
  windowMs: 90 * 60_000,
}

describe('the whole list anew, or additions and removals', () => {
  test('a full run with a large difference says the list anew', () => expect(whyNotReplace(good)).toBeNull())

  test.each<[string, Partial<Choosing>]>([
    ['an incremental run', { full: false }],
    ['a choice of the user', { wish: 'never' }],
    ['what the destination cannot', { refusal: 'two lanes' }],
    ['a plan, which is applied exactly', { plan: true }],
    ['an audience below its minimum (C14)', { tooSmall: true }],
    ['an adopted audience (C21)', { adopted: true }],
    ['anything unknown or unapplied (C21)', { unfinished: true }],
    ['a replacement that failed before', { failedBefore: true }],
    ['an empty list', { people: 0 }],
    ['a first run', { present: 0 }],
    ['no difference', { changes: 0 }],
    ['100 million people', { present: 100_000_000 }],
    ['a quota that does not let it through in time', { quotaMs: 46 * 60_000 }],
    ['a small difference', { changes: 29_999 }],
    ['a short list', { people: 9_999, present: 9_999, changes: 9_999 }],
  ])('%s forbids it', (_what, change) => expect(whyNotReplace({ ...good, ...change })).toEqual(expect.any(String)))

  test.each<[string, Partial<Choosing>]>([
    ['the user’s wish', { wish: 'always' }],
    ['removals that the platform refuses', { removalsRefused: true }],
  ])('%s makes a small difference and a short list worth it, and lifts no rule', (_what, change) => {
    const small = { ...good, people: 5, present: 5, changes: 1, ...change }
    expect(whyNotReplace(small)).toBeNull()
    expect(whyNotReplace({ ...small, adopted: true })).not.toBeNull()
    expect(whyNotReplace({ ...small, unfinished: true })).not.toBeNull()
  })
})
