/** How the engine's workers behave. All of it is configuration: in the sandbox and in tests the times are shorter (DESIGN.md R9). */
import { z } from 'zod'

const ms = (value: number) => z.coerce.number().int().positive().default(value)

export const engineOptions = {
  /** Audiences worked on at once by one process. */
  ENGINE_WORKERS: z.coerce.number().int().min(1).max(64).default(4),
  /** A lease lasts so long on the database's clock; longer than a call, so that a call ends before somebody else takes over (C16). */
  ENGINE_LEASE_MS: ms(45_000),
  /** The total deadline of one platform call (RELIABILITY.md F12). */
  ENGINE_CALL_MS: ms(30_000),
  /** How often workers look for due runs when nobody woke them. */
  ENGINE_POLL_MS: ms(1_000),
  /** How often the platform is asked whether accepted changes were applied. */
  ENGINE_SETTLE_MS: ms(30_000),
  /** How often the suppression log is read when nobody woke the reader. */
  ENGINE_SUPPRESSION_MS: ms(15_000),
  /** A run waits so long for its cause to become visible, then queues another (C5). */
  ENGINE_HORIZON_MS: ms(10_000),
  /** Waits up to this long are slept through; longer ones give the lease back. */
  ENGINE_PATIENCE_MS: ms(5_000),
  /** First pause after a failed call; it doubles, with full jitter, up to five minutes (F10). */
  ENGINE_BACKOFF_MS: ms(1_000),
}

export interface EngineOptions {
  readonly workers: number
  readonly leaseMs: number
  readonly callMs: number
  readonly pollMs: number
  readonly settleMs: number
  readonly suppressionMs: number
  readonly horizonMs: number
  readonly patienceMs: number
  readonly backoffMs: number
}

export function engineOptionsOf(config: z.output<z.ZodObject<typeof engineOptions>>): EngineOptions {
  return {
    workers: config.ENGINE_WORKERS,
    leaseMs: config.ENGINE_LEASE_MS,
    callMs: config.ENGINE_CALL_MS,
    pollMs: config.ENGINE_POLL_MS,
    settleMs: config.ENGINE_SETTLE_MS,
    suppressionMs: config.ENGINE_SUPPRESSION_MS,
    horizonMs: config.ENGINE_HORIZON_MS,
    patienceMs: config.ENGINE_PATIENCE_MS,
    backoffMs: config.ENGINE_BACKOFF_MS,
  }
}

export const PAGE = 10_000 // rows of the feed, or people of a fetch, at once: some MB in memory, 5–10 k changes a transaction
export const UNKNOWN_TRIES = 8 // resends of one batch within a run (F10); after that the run ends and the next one resends first
export const BACKOFF_CAP_MS = 300_000
export const REJECTED_TRIES = 5 // later runs that try a refused person again while the data stay the same
export const SLOW_AFTER = '48 hours' // SYNC.md C20: nothing waits on the platform's word any longer than this
export const UNCONFIRMED_AFTER = '7 days' // API.md: then the run completes with what was confirmed
export const FRESH_MS = 60_000 // C11: bytes older than this, and surely not sent, are fetched anew
