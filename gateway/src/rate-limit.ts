/**
 * Token buckets in this pod's memory. A bucket holds twice its rate (the burst) and refills steadily; an idle one is full, so
 * forgetting it changes nothing. With n pods behind a balancer a tenant gets up to n times the rate: give each pod rate / n.
 * Money-like quotas are counted in Postgres by their owners, not here.
 */
const BURST = 2 // RELIABILITY.md §3.4
const MAX_BUCKETS = 50_000 // some 5 MB; the longest unused go first, which are full anyway

export interface Verdict {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  /** Until `remaining` has grown by one, or until the refused cost fits. */
  readonly resetMs: number
}

export interface Rate {
  /** Shown in the RateLimit headers. */
  readonly policy: string
  readonly perSecond: number
  readonly burst: number
}

/** A rate with the usual burst. */
export const rate = (policy: string, perSecond: number): Rate => ({ policy, perSecond, burst: perSecond * BURST })

interface Bucket {
  tokens: number
  at: number
}

export class TokenBuckets {
  readonly #buckets = new Map<string, Bucket>()
  readonly #now: () => number
  readonly #max: number

  /** `now` in milliseconds, monotonic. */
  constructor(now: () => number = () => performance.now(), max = MAX_BUCKETS) {
    this.#now = now
    this.#max = max
  }

  /** Takes `cost` tokens if they are there; a cost above the burst is let through by a full bucket, which then owes the rest. */
  take(key: string, rate: Rate, cost = 1): Verdict {
    const bucket = this.#fill(key, rate)
    const needed = Math.min(cost, rate.burst)
    const allowed = bucket.tokens >= needed
    if (allowed) bucket.tokens -= cost
    return verdict(bucket, rate, allowed, needed)
  }

  /** What `take` would say, without taking. */
  peek(key: string, rate: Rate): Verdict {
    const bucket = this.#fill(key, rate)
    return verdict(bucket, rate, bucket.tokens >= 1, 1)
  }

  #fill(key: string, rate: Rate): Bucket {
    const now = this.#now()
    const name = `${rate.policy}|${key}`
    const old = this.#buckets.get(name)
    const bucket = old ?? { tokens: rate.burst, at: now }
    bucket.tokens = Math.min(rate.burst, bucket.tokens + ((now - bucket.at) / 1000) * rate.perSecond)
    bucket.at = now
    this.#buckets.delete(name) // and in again: the map's order is that of the last use
    this.#buckets.set(name, bucket)
    if (this.#buckets.size > this.#max) this.#buckets.delete(this.#buckets.keys().next().value as string)
    return bucket
  }
}

function verdict({ tokens }: Bucket, rate: Rate, allowed: boolean, needed: number): Verdict {
  const wanted = allowed ? Math.min(Math.floor(tokens) + 1, rate.burst) : needed
  return { allowed, limit: rate.burst, remaining: Math.max(0, Math.floor(tokens)), resetMs: Math.max(0, ((wanted - tokens) / rate.perSecond) * 1000) }
}

/** `RateLimit` and `RateLimit-Policy` in the form of the IETF draft (httpapi-ratelimit-headers, -08 on): structured fields. */
export function rateLimitHeaders(rate: Rate, { limit, remaining, resetMs }: Verdict): Record<string, string> {
  return {
    'ratelimit-policy': `"${rate.policy}";q=${Math.floor(limit)};w=${Math.max(1, Math.ceil(rate.burst / rate.perSecond))}`,
    ratelimit: `"${rate.policy}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`,
  }
}
