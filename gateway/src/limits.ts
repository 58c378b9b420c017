/**
 * How much a caller may ask, per pod: a bucket per tenant for reads, writes and bulk requests, one per address for public pages,
 * a count of open streams, and the pace of uploads. Whatever the answer, its `RateLimit` headers tell of the bucket that counted.
 */
import type { TenantLimits } from '@audience-sync/contracts/rest/gateway'
import { AppError } from '@audience-sync/errors/app-error'
import { type Rate, rate, rateLimitHeaders, type TokenBuckets, type Verdict } from './rate-limit.ts'

/** What a route counts as. */
export type RouteClass = 'read' | 'write' | 'bulk' | 'stream'

export type Limits = Readonly<Record<keyof TenantLimits, number>>

/** RELIABILITY.md §3.4; bulk requests and streams are ours. */
export const DEFAULT_LIMITS: Limits = { read: 50, write: 10, bulk: 10, importBytes: 10_000_000, streams: 20 }

const PUBLIC_RATE = rate('public', 50) // per address: pages and callbacks without a credential
const STREAM_RETRY_MS = 5_000

export interface Counted {
  readonly headers: Record<string, string>
}

export interface Limiter {
  /** Counts a request; throws `rate_limited`. The headers are to be sent either way: `onCounted` gets them first. */
  request(tenantId: string, limits: TenantLimits, kind: RouteClass, onCounted: (headers: Record<string, string>) => void): void
  /** Likewise for a caller without a credential. `refuse: false` for probes. */
  address(ip: string, onCounted: (headers: Record<string, string>) => void, refuse: boolean): void
  /** How long to wait before these bytes of an upload may pass; 0: they have been counted. */
  bytes(tenantId: string, limits: TenantLimits, count: number): number
  /** Takes one of the tenant's streams, or throws `rate_limited`. Answers how to give it back. */
  stream(tenantId: string, limits: TenantLimits): () => void
}

export function limiter(buckets: TokenBuckets, defaults: Limits): Limiter {
  const open = new Map<string, number>()

  function count(key: string, by: Rate, onCounted: (headers: Record<string, string>) => void, refuse: boolean): void {
    const verdict = buckets.take(key, by)
    onCounted(rateLimitHeaders(by, verdict))
    if (refuse && !verdict.allowed) throw refused(by.policy, verdict)
  }

  return {
    request(tenantId, limits, kind, onCounted) {
      const bucket = kind === 'stream' ? 'read' : kind
      count(tenantId, rate(bucket, limits[bucket] ?? defaults[bucket]), onCounted, true)
    },
    address: (ip, onCounted, refuse) => count(ip, PUBLIC_RATE, onCounted, refuse),
    bytes(tenantId, limits, count) {
      const { allowed, resetMs } = buckets.take(tenantId, rate('import', limits.importBytes ?? defaults.importBytes), count)
      return allowed ? 0 : Math.max(1, resetMs)
    },
    stream(tenantId, limits) {
      const now = open.get(tenantId) ?? 0
      if (now >= (limits.streams ?? defaults.streams)) {
        throw new AppError('rate_limited', `Only ${now} streams may be open at once.`, { retryAfterMs: STREAM_RETRY_MS })
      }
      open.set(tenantId, now + 1)
      let given = false
      return () => {
        if (given) return
        given = true
        const left = (open.get(tenantId) ?? 1) - 1
        if (left > 0) open.set(tenantId, left)
        else open.delete(tenantId)
      }
    },
  }
}

const refused = (policy: string, { resetMs }: Verdict) =>
  new AppError('rate_limited', `The limit «${policy}» is used up.`, { retryAfterMs: Math.max(1, resetMs) })
