import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { nextSlot, Schedule } from './schedule.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata']
const schedule = (fields: Partial<Schedule>) => Schedule.parse({ frequency: 'daily', ...fields })
const next = (fields: Partial<Schedule>, after: string) => nextSlot(schedule(fields), new Date(after))?.toISOString()
const clockOf = (timeZone: string) => new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' })

describe('a slot', () => {
  test('daily: wall time in the zone, summer and winter', () => {
    const berlin = { at: '03:00', timeZone: 'Europe/Berlin' }
    expect(next(berlin, '2026-01-10T00:00:00Z')).toBe('2026-01-10T02:00:00.000Z')
    expect(next(berlin, '2026-01-10T02:00:00Z')).toBe('2026-01-11T02:00:00.000Z')
    expect(next(berlin, '2026-07-10T00:00:00Z')).toBe('2026-07-10T01:00:00.000Z')
  })

  test('F18: a time that the zone skips moves to the next minute that exists', () => {
    expect(next({ at: '02:30', timeZone: 'Europe/Berlin' }, '2026-03-28T12:00:00Z')).toBe('2026-03-29T01:00:00.000Z')
    expect(next({ at: '02:30', timeZone: 'America/New_York' }, '2026-03-08T05:00:00Z')).toBe('2026-03-08T07:00:00.000Z')
    expect(next({ at: '02:15', timeZone: 'Australia/Lord_Howe' }, '2026-10-03T12:00:00Z')).toBe('2026-10-03T15:30:00.000Z')
    // Samoa left out 30 December 2011.
    expect(next({ at: '03:00', timeZone: 'Pacific/Apia' }, '2011-12-29T23:00:00Z')).toBe('2011-12-30T10:00:00.000Z')
  })

  test('F18: a time that comes twice counts the first time', () => {
    const berlin = { at: '02:30', timeZone: 'Europe/Berlin' }
    expect(next(berlin, '2026-10-24T12:00:00Z')).toBe('2026-10-25T00:30:00.000Z')
    expect(next(berlin, '2026-10-25T00:30:00Z')).toBe('2026-10-26T01:30:00.000Z')
    expect(next({ at: '01:30', timeZone: 'America/New_York' }, '2026-11-01T00:00:00Z')).toBe('2026-11-01T05:30:00.000Z')
  })

  test('weekly: only on its weekday', () => {
    expect(next({ frequency: 'weekly', at: '00:15', timeZone: 'Asia/Kolkata', weekday: 'monday' }, '2026-11-23T00:00:00Z')).toBe('2026-11-29T18:45:00.000Z')
  })

  test('hourly: the minute of `at` in the zone', () => {
    expect(next({ frequency: 'hourly', at: '00:20' }, '2026-11-23T10:20:00Z')).toBe('2026-11-23T11:20:00.000Z')
    expect(next({ frequency: 'hourly', at: '03:00', timeZone: 'Asia/Kolkata' }, '2026-11-23T10:00:00Z')).toBe('2026-11-23T10:30:00.000Z')
  })

  test('manual and realtime have none', () => {
    for (const frequency of ['manual', 'realtime'] as const) expect(nextSlot(schedule({ frequency }), new Date())).toBeNull()
  })

  test('a zone or a time that does not exist is refused', () => {
    expect(Schedule.safeParse({ frequency: 'daily', timeZone: 'Mars/Olympus' }).success).toBe(false)
    expect(Schedule.safeParse({ frequency: 'daily', at: '24:00' }).success).toBe(false)
  })
})

describe('P16: 400 days in 5 zones', () => {
  const start = Date.UTC(2026, 0, 1)

  test.each(zones)('%s: a daily schedule has one slot for each calendar day, at its time but where the zone skips it', (timeZone) => {
    for (const at of ['00:00', '02:30', '23:59']) {
      const date = new Intl.DateTimeFormat('en-CA', { timeZone })
      const clock = clockOf(timeZone)
      const days: string[] = []
      let moved = 0
      for (let slot = new Date(start); days.length < 400; ) {
        slot = nextSlot(schedule({ at, timeZone }), slot) as Date
        days.push(date.format(slot))
        if (clock.format(slot) !== at) moved += 1
      }
      expect(new Set(days).size).toBe(400)
      expect(moved).toBeLessThanOrEqual(2)
      expect((Date.parse(days[399] as string) - Date.parse(days[0] as string)) / DAY).toBe(399)
    }
  })

  test('hourly slots are at most 90 minutes apart, and never less than 30, where the clock moves by half an hour', () => {
    const timeZone = 'Australia/Lord_Howe'
    let before = nextSlot(schedule({ frequency: 'hourly', at: '00:45', timeZone }), new Date(start)) as Date
    for (let hours = 0; hours < 400 * 24; hours += 1) {
      const slot = nextSlot(schedule({ frequency: 'hourly', at: '00:45', timeZone }), before) as Date
      expect(slot.getTime() - before.getTime()).toBeGreaterThanOrEqual(0.5 * HOUR)
      expect(slot.getTime() - before.getTime()).toBeLessThanOrEqual(1.5 * HOUR)
      before = slot
    }
  })

  test('whoever asks between two slots is told the same one', () => {
    const frequency = fc.constantFrom('hourly' as const, 'daily' as const, 'weekly' as const)
    const minuteOfDay = fc.integer({ min: 0, max: 1439 })
    fc.assert(
      fc.property(
        frequency,
        minuteOfDay,
        fc.constantFrom(...zones),
        fc.integer({ min: 0, max: 400 * DAY }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (f, m, timeZone, ms, share) => {
          const at = `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`
          const wanted = schedule({ frequency: f, at, timeZone })
          const after = start + ms
          const slot = (nextSlot(wanted, new Date(after)) as Date).getTime()
          expect(slot).toBeGreaterThan(after)
          const between = after + Math.floor((slot - after) * share)
          expect(nextSlot(wanted, new Date(Math.min(between, slot - 1)))?.getTime()).toBe(slot)
        },
      ),
      { numRuns: 500 },
    )
  })
})
