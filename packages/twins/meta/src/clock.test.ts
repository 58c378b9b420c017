import { describe, expect, test } from '@jest/globals'
import { createClock } from './clock.ts'

describe('clock', () => {
  test('a push runs what fell due, in order of due time, and tells it that time', () => {
    const clock = createClock(() => 1_000)
    const ran: number[] = []
    for (const due of [3_000, 2_000, 9_000]) clock.at(due, (at) => ran.push(at))
    clock.advance(4_000)
    expect(ran).toEqual([2_000, 3_000])
    expect(clock.now()).toBe(5_000)
    clock.stop()
  })

  test('without a push the work runs when its time has come', async () => {
    const clock = createClock()
    const due = clock.now() + 20
    await new Promise<void>((resolve) => clock.at(due, () => resolve()))
    expect(clock.now()).toBeGreaterThanOrEqual(due)
  })

  test('work that falls due while time is pushed may ask for more work on the way', () => {
    const clock = createClock(() => 0)
    const ran: string[] = []
    clock.at(10, (at) => clock.at(at + 10, () => ran.push('second')))
    clock.advance(20)
    expect(ran).toEqual(['second'])
    clock.stop()
  })

  test('a reset forgets the push and the work', () => {
    const clock = createClock(() => 0)
    clock.advance(500)
    clock.at(600, () => expect(true).toBe(false))
    clock.reset()
    expect(clock.now()).toBe(0)
    clock.advance(1_000)
  })
})
