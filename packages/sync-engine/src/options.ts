/** How the engine's workers behave. All of it is configuration: in the sandbox and in tests the times are shorter (DESIGN.md R9). */
import { zInteger } from '@audience-sync/service/config'
import type { z } from 'zod'

const ms = (fallback: number, what: string) => zInteger({ min: 1, max: 3_600_000, fallback }).describe(`${what}, in milliseconds`)

export const engineOptions = {
  ENGINE_WORKERS: zInteger({ min: 1, max: 64, fallback: 4 }).describe('audiences worked on at once by one process'),
  // Longer than a call, so that a call ends before somebody else takes over (SYNC.md C16).
  ENGINE_LEASE_MS: ms(45_000, 'how long a lease lasts, on the database’s clock'),
  ENGINE_CALL_MS: ms(30_000, 'total deadline of one platform call'), // RELIABILITY.md F12
  ENGINE_POLL_MS: ms(1_000, 'how often workers look for due runs when nobody woke them'),
  ENGINE_SETTLE_MS: ms(30_000, 'how often the platform is asked whether accepted changes were applied'),
  ENGINE_SUPPRESSION_MS: ms(15_000, 'how often the suppression log is read when nobody woke its reader'),
  ENGINE_HORIZON_MS: ms(10_000, 'how long a run waits for its cause to become visible before it queues another'), // C5
  ENGINE_PATIENCE_MS: ms(5_000, 'waits up to this long are slept through; longer ones give the lease back'),
  ENGINE_BACKOFF_MS: ms(1_000, 'first pause after a failed call; it doubles, with full jitter, up to five minutes'), // F10
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
export const REFUSED_AGAIN_MS = 3_600_000 // R7: a removal for privacy that the platform refused is tried until it is done, but nothing changes within minutes
export const SLOW_AFTER = '48 hours' // SYNC.md C20: nothing waits on the platform's word any longer than this
export const UNCONFIRMED_AFTER = '7 days' // API.md: then the run completes with what was confirmed
