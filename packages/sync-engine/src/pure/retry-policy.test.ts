import { expect, test } from '@jest/globals'
import { firstPauseMs, givesUp } from './retry-policy.ts'

const started = new Date('2026-11-01T10:00:00Z')
const after = (hours: number) => started.getTime() + hours * 3_600_000

test('a run gives up after as many attempts as the audience allows, eight unless it says', () => {
  expect([2, 3].map((attempts) => givesUp({ attempts: 3 }, attempts, started, after(0)))).toEqual([false, true])
  expect([7, 8].map((attempts) => givesUp({}, attempts, started, after(0)))).toEqual([false, true])
})

test('and when its window is over, however few attempts there were', () => {
  expect([1.9, 2].map((hours) => givesUp({ windowHours: 2 }, 1, started, after(hours)))).toEqual([false, true])
  expect([23.9, 24].map((hours) => givesUp({}, 1, started, after(hours)))).toEqual([false, true])
  expect(givesUp({ windowHours: 2 }, 1, null, after(99))).toBe(false)
})

test('the first pause is the audience’s, else the engine’s', () => {
  expect([firstPauseMs({ backoffSeconds: 10 }, 1_000), firstPauseMs({}, 1_000)]).toEqual([10_000, 1_000])
})
