import { describe, expect, test } from '@jest/globals'
import { judge, PAUSES_MS, pauseAfter } from './schedule.ts'

const middle = () => 0.5
const HOUR = 3_600_000

describe('the schedule (Standard Webhooks)', () => {
  test('ten attempts over 75 h 35 min 5 s', () => {
    expect(PAUSES_MS.map((_, tries) => pauseAfter(tries, middle))).toEqual([
      0,
      5_000,
      300_000,
      1_800_000,
      2 * HOUR,
      5 * HOUR,
      10 * HOUR,
      14 * HOUR,
      20 * HOUR,
      24 * HOUR,
    ])
    expect(PAUSES_MS.reduce((sum, one) => sum + one)).toBe((75 * 60 + 35) * 60_000 + 5_000)
    expect(pauseAfter(10, middle)).toBeUndefined()
  })

  test('each pause varies by a tenth, both ways', () => {
    expect(pauseAfter(4, () => 0)).toBe(1.8 * HOUR)
    expect(pauseAfter(4, () => 0.999_999_999)).toBeCloseTo(2.2 * HOUR, 0)
  })
})

describe('what an answer means', () => {
  const now = Date.parse('2026-11-01T00:00:00Z')
  const of = (status: number | null, retryAfter: string | null = null, error: string | null = null) => judge({ status, retryAfter, error }, now)

  test.each([200, 201, 202, 204, 299])('%i is success', (status) => expect(of(status)).toEqual({ error: null, gone: false, throttleMs: 0 }))

  test.each([301, 302, 307, 308])('%i is failure: nobody follows redirects', (status) =>
    expect(of(status, null)).toEqual({ error: 'redirect_refused', gone: false, throttleMs: 0 }),
  )

  test.each([400, 401, 404, 500, 503])('%i is failure', (status) => expect(of(status)).toEqual({ error: `http_${status}`, gone: false, throttleMs: 0 }))

  test('410 ends it', () => expect(of(410)).toMatchObject({ error: 'http_410', gone: true }))

  test.each([429, 502, 504])('%i asks for less', (status) => expect(of(status).throttleMs).toBe(30_000))

  test('Retry-After is obeyed, in seconds or as a date, up to a day', () => {
    expect(of(503, '120').throttleMs).toBe(120_000)
    expect(of(429, 'Sun, 01 Nov 2026 01:00:00 GMT').throttleMs).toBe(HOUR)
    expect(of(429, '999999').throttleMs).toBe(24 * HOUR)
    expect(of(503, 'Sun, 01 Nov 2020 01:00:00 GMT').throttleMs).toBe(0)
    expect(of(429, 'soon').throttleMs).toBe(30_000)
  })

  test('no answer is failure, with its word', () => expect(of(null, null, 'timeout')).toEqual({ error: 'timeout', gone: false, throttleMs: 0 }))
})
