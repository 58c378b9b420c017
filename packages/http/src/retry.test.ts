import { expect, test } from '@jest/globals'
import { backoff } from './retry.ts'

test('waits up to a second doubled with each attempt, and never more than five minutes', () => {
  const most = (attempt: number) => backoff({ attempt, random: () => 1 })
  expect([0, 1, 2, 8, 9, 60].map(most)).toEqual([1_000, 2_000, 4_000, 256_000, 300_000, 300_000])
})

test('waits anything between nothing and the most', () => {
  expect(backoff({ attempt: 3, baseMs: 100, random: () => 0 })).toBe(0)
  expect(backoff({ attempt: 3, baseMs: 100, random: () => 0.5 })).toBe(400)
  expect(backoff({ attempt: 3, baseMs: 100, capMs: 300, random: () => 0.5 })).toBe(150)
  const own = backoff({ attempt: 0 })
  expect(own).toBeGreaterThanOrEqual(0)
  expect(own).toBeLessThan(1_000)
})
