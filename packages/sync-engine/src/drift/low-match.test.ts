import { expect, test } from '@jest/globals'
import { type Judged, judge } from './low-match.ts'

const NOW = new Date('2026-11-10T03:00:00Z')
const OLD: Judged = { since: '2026-11-01T03:00:00.000Z', low: false }
const lowOf = (before: Judged | null, rate: number | null, finished = true) => judge(before, { rate, finished }, NOW).low

test('less than 30 % is low, and no longer from 35 % on', () => {
  expect([0.3, 0.29, 0].map((rate) => lowOf(OLD, rate))).toEqual([false, true, true])
  expect([0.29, 0.3, 0.34, 0.35, 1].map((rate) => lowOf({ ...OLD, low: true }, rate))).toEqual([true, true, true, false, false])
})

test('nothing changes where the rate is not known, or the platform has not finished', () => {
  for (const low of [true, false]) {
    expect(lowOf({ ...OLD, low }, null)).toBe(low)
    expect(lowOf({ ...OLD, low }, low ? 0.9 : 0.1, false)).toBe(low)
  }
})

test('the first two days are not judged; they count from the first look, and a far audience that is new begins anew', () => {
  expect(judge(null, { rate: 0.1, finished: true }, NOW)).toEqual({ since: NOW.toISOString(), low: false })
  expect(lowOf({ since: '2026-11-08T03:00:00.001Z', low: false }, 0.1)).toBe(false)
  expect(judge({ since: '2026-11-08T03:00:00.000Z', low: false }, { rate: 0.1, finished: true }, NOW)).toEqual({ since: '2026-11-08T03:00:00.000Z', low: true })
})
