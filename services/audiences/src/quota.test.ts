import { describe, expect, test } from '@jest/globals'
import { forecast } from './quota.ts'

const now = new Date('2026-11-23T10:00:00Z')
const score = { cost: { read: 1, write: 3 }, decaySeconds: 300 }

describe('how long a quota lasts', () => {
  test('for ever, where points come back as fast as they are used', () => {
    // 60 points in 300 s come back: 180 in 900 s, as many as 60 writes cost.
    expect(forecast(score, 60, 30, { reads: 0, writes: 60 }, now)).toEqual({ perHour: 720, goneAt: null })
    expect(forecast(score, 60, 60, { reads: 0, writes: 0 }, now)).toEqual({ perHour: 0, goneAt: null })
  })
  test('until what is left is gone at the rate beyond that', () => {
    // 270 + 90 points in 900 s, less 180 that come back: 0.2 a second, and 30 are left.
    expect(forecast(score, 60, 30, { reads: 90, writes: 90 }, now)).toEqual({ perHour: 1440, goneAt: '2026-11-23T10:02:30.000Z' })
  })
})
