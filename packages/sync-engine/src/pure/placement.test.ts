/** R5: who gets scarce points first, who starts beside whom, who gives way, and that nobody waits for ever. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { spend } from './pace.ts'
import {
  type AccountNow,
  AT_WORK_MS,
  forecast,
  givesWay,
  hasRoom,
  PASSED_AT_MOST_MS,
  type Points,
  placed,
  placeOf,
  TURN_CALLS,
  type Waiting,
  windowMs,
} from './placement.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const NOW = 1_700_000_000_000
const PATIENCE = 5_000

const run = (audienceNo: number, more: Partial<Waiting> = {}): Waiting => ({
  audienceNo,
  account: 'a',
  first: false,
  requestedAt: NOW,
  gaveWayAt: null,
  windowMs: 0,
  calls: 1,
  ...more,
})
const daily = windowMs('schedule', 'daily')
const score = (level: number): Points => ({ capacity: 60, decaySeconds: 300, cost: 3, level, spent: level > 0 ? [[NOW + 100_000, level]] : [] })
const account = (more: Partial<AccountNow> = {}): AccountNow => ({ atWork: 0, callsPromised: 0, points: [score(0)], waitMs: 0, ...more })
const order = (due: readonly Waiting[], more: Partial<AccountNow> = {}) =>
  placed(due, new Map([['a', account(more)]]), PATIENCE, NOW).map(({ audienceNo }) => audienceNo)

describe('the line', () => {
  test('privacy before everything, then whom somebody waits for, then by what the schedule leaves', () => {
    const due = [
      run(1, { windowMs: daily, requestedAt: NOW - MINUTE }),
      run(2, { windowMs: windowMs('schedule', 'hourly'), calls: 200 }), // 50 minutes of points: ten minutes of slack
      run(3, { windowMs: windowMs('realtime', 'realtime') }),
      run(4, { windowMs: windowMs('api', 'daily'), requestedAt: NOW - 1 }),
      run(5, { first: true, requestedAt: NOW + MINUTE }),
    ]
    expect(order(due)).toEqual([5, 4, 3, 2, 1])
  })

  test.each([
    ['api', 'weekly', 0],
    ['created', 'daily', 0],
    ['realtime', 'realtime', 5_000],
    ['schedule', 'hourly', HOUR],
    ['schedule', 'daily', 24 * HOUR],
    ['schedule', 'weekly', 24 * HOUR],
    ['heal', 'manual', HOUR],
  ])('a run by %s of a schedule %s is due after %s ms', (trigger, frequency, ms) => {
    expect(windowMs(trigger, frequency)).toBe(ms)
  })

  test('whoever waits for half an hour is passed by nobody who comes later', () => {
    expect(order([run(1, { windowMs: daily, requestedAt: NOW - PASSED_AT_MOST_MS - 1 }), run(2)])).toEqual([1, 2])
    expect(order([run(1, { windowMs: daily, requestedAt: NOW - PASSED_AT_MOST_MS + 1 }), run(2)])).toEqual([2, 1])
  })

  test('accounts take turns: one with many at work gives its next place to another account', () => {
    const due = [run(1, { windowMs: daily }), run(2, { account: 'b', windowMs: daily, requestedAt: NOW + 3 * MINUTE })]
    const places = (atWork: number) =>
      placed(
        due,
        new Map([
          ['a', account({ atWork, points: [] })],
          ['b', account()],
        ]),
        PATIENCE,
        NOW,
      ).map(({ audienceNo }) => audienceNo)
    expect(places(0)).toEqual([1, 2])
    expect(places(1)).toEqual([2, 1])
  })

  test('nobody starves: under any stream of others, whoever is due is first in line after the bound at the latest', () => {
    const waiting = fc.record({ window: fc.constantFrom(0, 5_000, HOUR, daily), calls: fc.integer({ min: 1, max: 5_000 }), gave: fc.boolean() })
    fc.assert(
      fc.property(
        waiting,
        fc.array(fc.record({ window: fc.constantFrom(0, 5_000, HOUR, daily), calls: fc.integer({ min: 1, max: 100 }) })),
        fc.nat(8),
        (one, later, atWork) => {
          const old = run(0, { windowMs: one.window, calls: one.calls, requestedAt: NOW - HOUR, gaveWayAt: one.gave ? NOW : null })
          const joined = old.gaveWayAt ?? old.requestedAt
          const after = joined + PASSED_AT_MOST_MS + atWork * AT_WORK_MS + 1
          const due = [old, ...later.map(({ window, calls }, i) => run(i + 1, { windowMs: window, calls, requestedAt: after }))]
          expect(order(due, { points: [] })[0]).toBe(0)
          expect(placeOf(old, account({ atWork }))).toBeLessThan(after)
        },
      ),
    )
  })
})

describe('room', () => {
  test('a run starts beside another only if the points that both expect are there', () => {
    expect(hasRoom(account({ atWork: 1, callsPromised: 10 }), 5, PATIENCE)).toBe(true) // 45 of 60: three quarters
    expect(hasRoom(account({ atWork: 1, callsPromised: 10 }), 6, PATIENCE)).toBe(false)
    expect(hasRoom(account({ atWork: 1, points: [score(44)] }), 1, PATIENCE)).toBe(false)
  })

  test('idle points are used: where nobody is at work, somebody who is due always starts', () => {
    const due = fc.array(fc.record({ calls: fc.integer({ min: 1, max: 10_000 }), window: fc.constantFrom(0, HOUR, daily) }), { minLength: 1 })
    fc.assert(
      fc.property(due, fc.integer({ min: 0, max: 60 }), (runs, level) => {
        const all = runs.map(({ calls, window }, i) => run(i, { calls, windowMs: window }))
        expect(order(all, { points: [score(level)] })).toHaveLength(all.length)
      }),
    )
  })

  test('whoever has waited half an hour for room is passed by nobody of the account, and starts when those at work are done', () => {
    const large = (agoMs: number) => run(1, { calls: 100, requestedAt: NOW - agoMs })
    const small = [run(2), run(3, { account: 'b' })]
    const busy = { atWork: 1, callsPromised: 3 }
    expect(order([large(MINUTE), ...small], busy)).toEqual([3, 2])
    expect(order([large(PASSED_AT_MOST_MS + 1), ...small], busy)).toEqual([3])
    expect(order([large(PASSED_AT_MOST_MS + 1), ...small])).toEqual([1, 2, 3])
  })

  test('while the platform refuses calls only privacy is tried', () => {
    expect(order([run(1), run(2, { first: true })], { waitMs: PATIENCE + 1 })).toEqual([2])
    expect(order([run(1)], { waitMs: PATIENCE })).toEqual([1])
  })

  test('thirty audiences of one slot do not start together: as many as the points are for, then one after the other', () => {
    const slot = Array.from({ length: 30 }, (_, i) => run(i, { windowMs: daily, calls: 5 }))
    let atWork = 0
    for (const one of slot) if (hasRoom(account({ atWork, callsPromised: atWork * 5 }), one.calls, PATIENCE)) atWork += 1
    expect(atWork).toBe(3)
  })
})

describe('turns', () => {
  test('a run gives way after ten calls, and only where points are scarce', () => {
    expect(givesWay(TURN_CALLS, [score(45)])).toBe(true)
    expect(givesWay(TURN_CALLS - 1, [score(60)])).toBe(false)
    expect(givesWay(1_000, [score(44)])).toBe(false)
  })

  test('whoever gave way lets everybody pass who waits already, and half an hour of those who come', () => {
    const large = run(1, { requestedAt: NOW - 2 * HOUR, gaveWayAt: NOW, calls: 1_000 })
    const small = [run(2, { windowMs: daily, requestedAt: NOW - 1 }), run(3, { requestedAt: NOW + 10 * MINUTE }), run(4, { requestedAt: NOW + HOUR })]
    expect(order([large, ...small])).toEqual([3, 2, 1, 4])
  })
})

describe('the forecast', () => {
  const plan = (runs: readonly Waiting[], more: Partial<AccountNow> = {}) =>
    new Map(forecast(runs, account(more), 1_000, NOW).map((one) => [one.audienceNo, { starts: one.startsAt - NOW, ends: one.endsAt - NOW }]))

  test('one call now takes as long as a call; blocked, it begins when calls are taken again', () => {
    expect(plan([run(1)]).get(1)).toEqual({ starts: 0, ends: 1_000 })
    expect(plan([run(1)], { waitMs: 20_000 }).get(1)).toEqual({ starts: 20_000, ends: 21_000 })
  })

  test('a million people in an account of 60 points: a hundred calls take five fillings of 57', () => {
    const { ends = 0 } = plan([run(1, { calls: 100 })]).get(1) ?? {}
    expect(ends).toBeGreaterThan(5 * 300_000)
    expect(ends).toBeLessThan(6 * 300_000)
  })

  test('a large one does not keep ten small ones waiting: they are done while it still has most to do', () => {
    const small = Array.from({ length: 10 }, (_, i) => run(i + 2, { windowMs: daily }))
    const times = plan([run(1, { calls: 100, requestedAt: NOW - 1 }), ...small])
    for (const { audienceNo } of small) expect(times.get(audienceNo)?.ends).toBeLessThan(2 * 330_000)
    expect(times.get(1)?.ends).toBeGreaterThan(5 * 300_000)
  })

  test('a slot to come is not begun before its time', () => {
    const times = plan([run(1), run(2, { requestedAt: NOW + HOUR })])
    expect(times.get(2)).toEqual({ starts: HOUR, ends: HOUR + 1_000 })
  })

  test('everybody is told, and nobody twice', () => {
    const some = fc.array(fc.record({ calls: fc.integer({ min: 0, max: 40 }), at: fc.integer({ min: -HOUR, max: HOUR }) }), { maxLength: 12 })
    fc.assert(
      fc.property(some, (runs) => {
        const all = runs.map(({ calls, at }, i) => run(i, { calls, requestedAt: NOW + at }))
        const told = forecast(all, account({ points: [{ ...score(0), spent: spend([], 50, NOW, 300) }] }), 1_000, NOW)
        expect(told.map(({ audienceNo }) => audienceNo).sort((a, b) => a - b)).toEqual(all.map(({ audienceNo }) => audienceNo))
        for (const { startsAt, endsAt, audienceNo } of told) {
          expect(startsAt).toBeGreaterThanOrEqual(Math.max(NOW, all[audienceNo]?.requestedAt ?? 0))
          expect(endsAt).toBeGreaterThan(startsAt)
        }
      }),
      { numRuns: 50 },
    )
  })
})
