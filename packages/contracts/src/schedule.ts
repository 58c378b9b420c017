/**
 * When an audience is synced by itself. `Schedule` is the shape of API.md; `nextSlot` is the one rule for its times, used by the
 * scheduler, which fires, and by audiences, which shows `nextRunAt`. Pure: no clock is read here.
 *
 * A slot is an instant. Daily and weekly slots are wall times in the schedule's zone: a time that the zone skips moves to the
 * next minute that exists, one that comes twice counts the first time (RELIABILITY.md F18). Hourly slots come every real hour.
 */
import { DateTime, IANAZone } from 'luxon'
import { z } from 'zod'

const weekdays = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const

export const Schedule = z.strictObject({
  frequency: z.enum(['manual', 'hourly', 'daily', 'weekly', 'realtime']),
  at: z
    .string()
    .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day, HH:MM')
    .default('03:00')
    .meta({ description: 'local time of day; of hourly schedules only the minute counts' }),
  timeZone: z
    .string()
    .max(64)
    .refine((name) => IANAZone.isValidZone(name), 'an IANA time zone, for example Europe/Berlin')
    .default('UTC'),
  weekday: z.enum(weekdays).default('monday').meta({ description: 'of weekly schedules' }),
})
export type Schedule = z.infer<typeof Schedule>

/** The first slot later than `after`; null for schedules that time does not drive (manual, realtime). */
export function nextSlot(schedule: Schedule, after: Date): Date | null {
  if (schedule.frequency === 'manual' || schedule.frequency === 'realtime') return null
  return schedule.frequency === 'hourly' ? nextHourly(schedule, after) : nextWallTime(schedule, after)
}

function nextHourly({ at, timeZone }: Schedule, after: Date): Date {
  const minute = Number(at.slice(3))
  const from = DateTime.fromJSDate(after, { zone: timeZone })
  // An hour back too: where the clock moves by half an hour, this hour's minute may lie on either side.
  for (let hour = -1; ; hour += 1) {
    const slot = from.plus({ hours: hour }).set({ minute, second: 0, millisecond: 0 })
    if (slot.toMillis() > after.getTime()) return slot.toJSDate()
  }
}

function nextWallTime({ frequency, at, timeZone, weekday }: Schedule, after: Date): Date {
  const { year, month, day } = DateTime.fromJSDate(after, { zone: timeZone })
  // Days are counted in UTC: a zone may skip a whole one. The day before too: its skipped time may have moved into this one.
  const today = DateTime.utc(year, month, day)
  for (let days = -1; ; days += 1) {
    const date = today.plus({ days })
    if (frequency === 'weekly' && weekdays[date.weekday - 1] !== weekday) continue
    const slot = firstInstant(date.set({ hour: Number(at.slice(0, 2)), minute: Number(at.slice(3)) }), timeZone)
    if (slot.getTime() > after.getTime()) return slot
  }
}

/** The first instant at which the zone's clocks show `wall`, or the first minute after it that they do show. */
function firstInstant(wall: DateTime, timeZone: string): Date {
  for (let shown = wall; ; shown = shown.plus({ minutes: 1 })) {
    const { year, month, day, hour, minute } = shown
    const local = DateTime.fromObject({ year, month, day, hour, minute }, { zone: timeZone })
    // luxon moves a time that does not exist; then it reads differently.
    if (local.day !== day || local.hour !== hour || local.minute !== minute) continue
    return new Date(Math.min(...local.getPossibleOffsets().map((possible) => possible.toMillis())))
  }
}
