/**
 * Who is worked on next, and who waits (R5). Three rules, and no other:
 *
 * 1. *The line.* Everybody has a place: the time when they joined the line (asked for, or gave way) plus how long others may pass them.
 *    That is the slack that their schedule leaves, and half an hour at most, so nobody starves: whoever joins later than that comes
 *    later. Somebody pressed a button: no slack. Each run that the account has at work already puts its next one back by five
 *    minutes, so that one account's hundred audiences do not keep another's from the workers. Removals for privacy, and whoever
 *    only has to stop, stand in no line.
 * 2. *Room.* An account's points are promised to the runs at work as far as they expect to use them. Another run starts only if its own
 *    expected points fit beside them, or if nobody of the account is at work: so runs of one slot start one after the other as
 *    the points come back, and idle points are used. Whoever has waited half an hour for room is not passed any more.
 * 3. *Turns.* Where points are scarce, and somebody else of the account waits, a run gives way after ten calls and joins the line anew,
 *    with the full slack. It goes on where it was.
 */
import { type Limit, levelOf, SLOW, type Spent, spend, waitFor } from './pace.ts'

const SECOND_MS = 1_000
const HOUR_MS = 3_600_000
export const PASSED_AT_MOST_MS = HOUR_MS / 2 // "hours" is what nobody should wait behind others
export const AT_WORK_MS = 300_000 // five runs of one account count like half an hour of another's waiting
export const TURN_CALLS = 10 // each turn is planned anew: fewer, and a large run would mostly plan; of 60 points in 5 minutes it is 150 s

/** How long after it was asked for a run should be done. Weekly ones on the same day: the week is the schedule, not the patience. */
const WINDOWS_MS: Readonly<Record<string, number>> = {
  realtime: 5 * SECOND_MS,
  hourly: HOUR_MS,
  daily: 24 * HOUR_MS,
  weekly: 24 * HOUR_MS,
}

/** What runs by itself follows the schedule, or what real time is to the audience; what somebody asked for is due at once. */
export function windowMs(trigger: string, frequency: string): number {
  if (trigger === 'realtime') return WINDOWS_MS.realtime ?? 0
  if (trigger === 'schedule') return WINDOWS_MS[frequency] ?? HOUR_MS
  if (trigger === 'heal') return HOUR_MS // nothing is wrong yet: it says again what was said
  return 0
}

export interface Waiting {
  readonly audienceNo: number
  readonly account: string
  /** Removals for privacy, and whoever only has to stop. */
  readonly first: boolean
  readonly requestedAt: number
  /** When it last made room for others. */
  readonly gaveWayAt: number | null
  /** See `windowMs`. */
  readonly windowMs: number
  /** Calls that it expects to make. */
  readonly calls: number
}

/** One quota that bounds an account's writes. */
export interface Points extends Limit {
  readonly spent: Spent
  /** Of them, those out now. */
  readonly level: number
  /** Of one call. */
  readonly cost: number
}

/** An account as it is now. */
export interface AccountNow {
  /** Runs at work, and the calls that they still expect to make. */
  readonly atWork: number
  readonly callsPromised: number
  readonly points: readonly Points[]
  /** Until one call may go. */
  readonly waitMs: number
}

/** When the work should be done. */
export const deadlineOf = ({ requestedAt, windowMs: window }: Pick<Waiting, 'requestedAt' | 'windowMs'>): number => requestedAt + window

/** How long the points of so many calls take to come back. */
const callsMs = (points: readonly Points[], calls: number): number =>
  Math.max(0, ...points.map(({ capacity, decaySeconds, cost }) => (calls * cost * decaySeconds * SECOND_MS) / capacity))

/** Place in the line: the smaller, the earlier. */
export function placeOf(run: Waiting, { atWork, points }: Pick<AccountNow, 'atWork' | 'points'>): number {
  const joined = run.gaveWayAt ?? run.requestedAt
  const slack = run.gaveWayAt === null ? run.windowMs - callsMs(points, run.calls) : PASSED_AT_MOST_MS
  return joined + Math.min(Math.max(0, slack), PASSED_AT_MOST_MS) + atWork * AT_WORK_MS
}

/** Whether a run fits beside what the account's runs at work expect to use. */
export function hasRoom({ atWork, callsPromised, points, waitMs }: AccountNow, calls: number, patienceMs: number): boolean {
  if (waitMs > patienceMs) return false
  return atWork === 0 || points.every(({ capacity, level, cost }) => level + (callsPromised + calls) * cost <= SLOW * capacity)
}

/**
 * Who may start now, in order. A large run may find no room for long while small ones fit beside those at work: once it has waited for
 * half an hour, nobody of its account starts before it.
 */
export function placed(due: readonly Waiting[], accounts: ReadonlyMap<string, AccountNow>, patienceMs: number, now: number): Waiting[] {
  const of = ({ account }: Waiting) => accounts.get(account) ?? FREE
  const closed = new Set<string>()
  return due
    .map((run) => ({ run, place: run.first ? Number.NEGATIVE_INFINITY : placeOf(run, of(run)) }))
    .sort((a, b) => a.place - b.place || a.run.requestedAt - b.run.requestedAt || a.run.audienceNo - b.run.audienceNo)
    .map(({ run }) => run)
    .filter((run) => {
      if (run.first) return true
      if (closed.has(run.account)) return false
      if (hasRoom(of(run), run.calls, patienceMs)) return true
      if (now - (run.gaveWayAt ?? run.requestedAt) > PASSED_AT_MOST_MS) closed.add(run.account)
      return false
    })
}

const FREE: AccountNow = { atWork: 0, callsPromised: 0, points: [], waitMs: 0 }

/** Points are scarce from three quarters on: the same line from which calls are slowed down. */
const isScarce = (points: readonly Points[]): boolean => points.some(({ capacity, level }) => level >= SLOW * capacity)

/** Whether a run that has made so many calls in this turn makes room, if others of its account wait. */
export const givesWay = (calls: number, points: readonly Points[]): boolean => calls >= TURN_CALLS && isScarce(points)

export interface Forecast {
  readonly audienceNo: number
  readonly startsAt: number
  readonly endsAt: number
}

/**
 * When the work of one account will begin and end, if nothing else comes: the same line and the same turns, played forward. One
 * run at a time, and without the gaps above three quarters of the capacity: what several runs at once, or the pace, change in it is
 * less than what the estimate of the calls does.
 */
export function forecast(runs: readonly Waiting[], account: Pick<AccountNow, 'points' | 'waitMs'>, callMs: number, now: number): Forecast[] {
  const left = runs.map((run) => ({ run, calls: Math.max(1, run.calls), startsAt: Number.NaN }))
  const ended: Forecast[] = []
  let points = account.points
  let at = now + (runs.length > 0 ? account.waitMs : 0)
  const waitMs = () => Math.max(0, ...points.map((one) => waitFor({ ...one, now: at, blockedMs: 0, pacedMs: 0 }, one.cost)))
  const call = () => {
    points = points.map((one) => {
      const spent = spend(one.spent, one.cost, at, one.decaySeconds)
      return { ...one, spent, level: levelOf(spent, at) }
    })
    at += callMs
  }
  while (left.length > 0) {
    const here = left.filter(({ run }) => run.requestedAt <= at)
    const [next] = here.toSorted((a, b) => placeIn(a.run, points) - placeIn(b.run, points) || a.run.audienceNo - b.run.audienceNo)
    if (!next) {
      at = Math.min(...left.map(({ run }) => run.requestedAt))
      continue
    }
    for (let made = 0; next.calls > 0; made += 1) {
      const forMs = waitMs()
      if (made >= TURN_CALLS && (forMs > 0 || isScarce(points))) break
      at += forMs
      if (Number.isNaN(next.startsAt)) next.startsAt = at
      call()
      next.calls -= 1
    }
    if (next.calls > 0) {
      next.run = { ...next.run, gaveWayAt: at }
      continue
    }
    left.splice(left.indexOf(next), 1)
    ended.push({ audienceNo: next.run.audienceNo, startsAt: next.startsAt, endsAt: at })
  }
  return ended
}

const placeIn = (run: Waiting, points: readonly Points[]): number => (run.first ? Number.NEGATIVE_INFINITY : placeOf(run, { atWork: 0, points }))
