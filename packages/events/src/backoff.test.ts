import { expect, test } from '@jest/globals'
import { backoffMs, bell, pause } from './backoff.ts'

test('waits double up to half a minute, with full jitter', () => {
  expect([1, 2, 3, 20, 5_000].map((attempt) => backoffMs(attempt, undefined, () => 1))).toEqual([200, 400, 800, 30_000, 30_000])
  expect(backoffMs(9, undefined, () => 0)).toBe(0)
})

test('a pause ends when it is told to', async () => {
  const stop = new AbortController()
  const paused = pause(1_000_000, stop.signal)
  stop.abort()
  await paused
  await pause(1_000_000, stop.signal)
})

test('a bell that rang before anybody waited is heard, once', async () => {
  const { ring, wait } = bell()
  const stop = new AbortController()
  ring()
  await wait(1_000_000, stop.signal)
  const second = wait(1_000_000, stop.signal)
  ring()
  await second
})
