/**
 * How fast the points of a quota may be used (R5). A point counts for the quota's whole decay after its call, then it is back: where a
 * platform lets points fall evenly instead, this is the careful reading. Up to three quarters of the capacity calls go at once. From
 * there on each call is followed by a gap
 *
 *     gap = decay × (cost ÷ capacity) × (level ÷ capacity − 0.75) ÷ (0.95 − 0.75)
 *
 * which grows to the rate at which points come back in the long run. The last 5 % are never taken: CPU and wall time count, too, and
 * so does whoever else calls in the same account.
 */

export const SLOW = 0.75 // vendors/meta.md §1.1: slow down from here …
const STOP = 0.95 // … and stop here, because calling while throttled lengthens the block
const SLOTS = 30 // of a decay: what is remembered together. Points come back one to two slots late

/** Points that are out, and when they come back, in milliseconds on the limiter's clock; oldest first. */
export type Spent = readonly (readonly [backAt: number, points: number])[]

export interface Limit {
  readonly capacity: number
  readonly decaySeconds: number
}

export interface Bucket extends Limit {
  readonly spent: Spent
  readonly now: number
  /** Until the platform takes calls again, by its own word. */
  readonly blockedMs: number
  /** Until the gap after the last call is over. */
  readonly pacedMs: number
}

/** What one tenant has out of a bucket that all share. */
export interface Share {
  readonly spent: Spent
  /** Tenants that want points now, this one included. */
  readonly tenants: number
}

export const levelOf = (spent: Spent, now: number): number => spent.reduce((sum, [backAt, points]) => (backAt > now ? sum + points : sum), 0)

/**
 * Points are booked some seconds before their call reaches the platform, which counts them from then on: a whole slot more makes up
 * for that (of 300 s, 10 s).
 */
export function spend(spent: Spent, points: number, now: number, decaySeconds: number): Spent {
  const slotMs = (decaySeconds * 1_000) / SLOTS
  const backAt = (Math.floor(now / slotMs) + 2) * slotMs + decaySeconds * 1_000
  const out = spent.filter(([at]) => at > now)
  const last = out.at(-1)
  return last && last[0] === backAt ? [...out.slice(0, -1), [backAt, last[1] + points]] : [...out, [backAt, points]]
}

/** Points that may be out at once. An empty bucket lends one call, whatever it costs. */
export const usable = (capacity: number, cost: number): number => Math.max(STOP * capacity, cost)

/** How long until no more than `most` are out. */
function untilAtMost(spent: Spent, now: number, most: number): number {
  let level = levelOf(spent, now)
  for (const [backAt, points] of spent) {
    if (level <= most) return 0
    if (backAt <= now) continue
    level -= points
    if (level <= most) return backAt - now
  }
  return 0
}

/** How long a call has to wait, in milliseconds; 0: it may go now. `calls`: until so many may go, as far as the bucket holds them. */
export function waitFor(bucket: Bucket, cost: number, share?: Share, calls = 1): number {
  const { spent, now, capacity, blockedMs, pacedMs } = bucket
  const most = usable(capacity, cost)
  const wanted = Math.min(calls * cost, most)
  return Math.ceil(Math.max(blockedMs, pacedMs, untilAtMost(spent, now, most - wanted), share ? shareWait(bucket, cost, share) : 0))
}

/**
 * A tenant that has out more than its part of what all may have waits while others want points too, but only as long as the bucket is
 * scarce: below three quarters whoever wants points takes them, so that idle quota is used.
 */
function shareWait({ spent, now, capacity }: Bucket, cost: number, share: Share): number {
  if (share.tenants < 2 || levelOf(spent, now) < SLOW * capacity) return 0
  const part = Math.max(usable(capacity, cost) / share.tenants, cost)
  return Math.min(untilAtMost(share.spent, now, part - cost), untilAtMost(spent, now, SLOW * capacity - Number.MIN_VALUE))
}

/** The gap after a call, which is in `level` already, in milliseconds. */
export function gapAfter({ capacity, decaySeconds }: Limit, level: number, cost: number): number {
  const part = Math.min(1, Math.max(0, (level / capacity - SLOW) / (STOP - SLOW)))
  return Math.floor((part * cost * decaySeconds * 1_000) / capacity)
}

/**
 * After the platform said how much is used, in percent. Its word counts where it is higher than our count: others may call in the same
 * account. When their points come back nobody knows, so they are taken to be as new as can be.
 */
export function heard(spent: Spent, { capacity, decaySeconds }: Limit, now: number, percent: number): Spent {
  const more = Math.floor((percent / 100) * capacity) - levelOf(spent, now)
  return more > 0 ? spend(spent, more, now, decaySeconds) : spent
}
