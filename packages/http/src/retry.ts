/** Full jitter (F10): a random wait up to `base × 2^attempt`, capped, so that those who failed together do not return together. */

const BASE_MS = 1_000
const CAP_MS = 300_000

export interface BackoffOptions {
  /** 0 for the wait before the first repetition. */
  readonly attempt: number
  readonly baseMs?: number
  readonly capMs?: number
  /** In [0, 1). */
  readonly random?: () => number
}

/** Milliseconds to wait. */
export const backoff = ({ attempt, baseMs = BASE_MS, capMs = CAP_MS, random = Math.random }: BackoffOptions): number =>
  Math.floor(random() * Math.min(capMs, baseMs * 2 ** attempt))
