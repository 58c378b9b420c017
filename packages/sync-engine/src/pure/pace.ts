/**
 * How fast the points of a quota may be used (R5). Points that were taken come back evenly over the quota's decay; how many are out is
 * the bucket's level. Up to three quarters of the capacity calls go at once. From there on each call is followed by a gap
 *
 *     gap = decay × (cost ÷ capacity) × (level ÷ capacity − 0.75) ÷ (0.95 − 0.75)
 *
 * so that at 95 % calls come exactly as fast as their points come back: the level cannot rise further, and nothing that comes back is
 * left unused. The last 5 % are never taken: a call is booked some seconds before it reaches the platform, whose own count therefore
 * falls later than ours (of a decay of 300 s, 5 % are 15 s), and the platform counts CPU and wall time, too.
 */

export const SLOW = 0.75 // vendors/meta.md §1.1: slow down from here …
export const STOP = 0.95 // … and stop here, because calling while throttled lengthens the block

export interface Bucket {
  readonly capacity: number
  readonly decaySeconds: number
  /** Points out now. */
  readonly level: number
  /** Until the platform takes calls again, by its own word. */
  readonly blockedMs: number
  /** Until the gap after the last call is over. */
  readonly pacedMs: number
}

/**
 * What one tenant has out of a bucket that all share. It comes back at the tenant's part of the rate, too: so whoever used more than
 * the others catches up with them.
 */
export interface Share {
  readonly level: number
  /** Tenants that want points now, this one included. */
  readonly tenants: number
}

export const drained = (level: number, capacity: number, decaySeconds: number, elapsedSeconds: number): number =>
  Math.max(0, level - (capacity * elapsedSeconds) / decaySeconds)

const msFor = (points: number, { capacity, decaySeconds }: Pick<Bucket, 'capacity' | 'decaySeconds'>): number => (points / capacity) * decaySeconds * 1_000

/** Points that may be out at once. An empty bucket lends one call, whatever it costs. */
export const usable = (capacity: number, cost: number): number => Math.max(STOP * capacity, cost)

/** How long a call has to wait, in milliseconds; 0: it may go now. */
export function waitFor(bucket: Bucket, cost: number, share?: Share): number {
  const over = bucket.level + cost - usable(bucket.capacity, cost)
  return Math.max(0, Math.ceil(Math.max(bucket.blockedMs, bucket.pacedMs, msFor(over, bucket), share ? shareWait(bucket, cost, share) : 0)))
}

/**
 * A tenant that has out more than its part of what all may have waits while others want points too, but only as long as the bucket is
 * scarce: below three quarters whoever wants points takes them, so that idle quota is used.
 */
function shareWait(bucket: Bucket, cost: number, { level, tenants }: Share): number {
  const scarce = bucket.level - SLOW * bucket.capacity
  if (tenants < 2 || scarce < 0) return 0
  const over = level + cost - Math.max(usable(bucket.capacity, cost) / tenants, cost)
  return Math.min(msFor(over, bucket), Math.max(1, msFor(scarce, bucket)))
}

/** The gap after a call, which is in `level` already, in milliseconds. */
export function gapAfter({ capacity, decaySeconds, level }: Pick<Bucket, 'capacity' | 'decaySeconds' | 'level'>, cost: number): number {
  const part = Math.min(1, Math.max(0, (level / capacity - SLOW) / (STOP - SLOW)))
  return Math.floor(part * msFor(cost, { capacity, decaySeconds }))
}

/**
 * The level after the platform said how much is used, in percent. Its word counts where it is higher than our count: others may call in
 * the same account. Where it also says when it takes calls again, one call may go then.
 */
export function levelSaid(level: number, capacity: number, percent: number, regains: boolean, cost: number): number {
  const said = (percent / 100) * capacity
  return Math.max(level, regains ? Math.min(said, usable(capacity, cost) - cost) : said)
}
