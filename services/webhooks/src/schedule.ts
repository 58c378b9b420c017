/**
 * When to try again, and what an answer means. Pure. Schedule and readings are those of Standard Webhooks (RELIABILITY.md §2d):
 * only 2xx is success, 410 ends it at once, 429, 502 and 504 ask for less.
 */
import type { Answer } from './post.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** Before each attempt, counted from the one before: 75 h 35 min 5 s in all. */
export const PAUSES_MS: readonly number[] = [0, 5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
const JITTER = 0.1 // so that what failed together does not come back together
const LONGEST_RETRY_AFTER_MS = 24 * HOUR
const THROTTLE_MS = 30 * SECOND // for an endpoint that asks for less and does not say how long

/** Milliseconds until the next attempt, after so many failed ones; undefined: there is none. */
export function pauseAfter(tries: number, random: () => number): number | undefined {
  const pause = PAUSES_MS[tries]
  return pause === undefined ? undefined : Math.round(pause * (1 - JITTER + 2 * JITTER * random()))
}

export interface Verdict {
  /** Why it failed, for the log of attempts; null: it was delivered. */
  readonly error: string | null
  /** 410: never again. */
  readonly gone: boolean
  /** Nothing is sent to the endpoint for so long. */
  readonly throttleMs: number
}

const ASKS_FOR_LESS: ReadonlySet<number | null> = new Set([429, 502, 504])

export function judge({ status, error, retryAfter }: Pick<Answer, 'status' | 'error' | 'retryAfter'>, nowMs: number): Verdict {
  if (error !== null || status === null) return { error: error ?? 'no_answer', gone: false, throttleMs: 0 }
  if (status >= 200 && status < 300) return { error: null, gone: false, throttleMs: 0 }
  const asked = retryAfterMs(retryAfter, nowMs)
  return {
    error: status >= 300 && status < 400 ? 'redirect_refused' : `http_${status}`,
    gone: status === 410,
    throttleMs: asked ?? (ASKS_FOR_LESS.has(status) ? THROTTLE_MS : 0),
  }
}

/** Seconds, or an HTTP date. */
function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined
  const ms = /^\d{1,9}$/.test(header.trim()) ? Number(header) * SECOND : Date.parse(header) - nowMs
  return Number.isFinite(ms) ? Math.min(LONGEST_RETRY_AFTER_MS, Math.max(0, ms)) : undefined
}
