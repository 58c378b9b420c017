/** A call that brought no answer. What follows from it depends on one question only: can the request have been done? */

/**
 * `not_sent`: surely not done (no such host, refused, no connection in time). `sent`: unknown (S-5).
 * `breaker_open`: not tried. `aborted`: the caller withdrew it; it may have been done.
 */
export type FailurePhase = 'not_sent' | 'sent' | 'breaker_open' | 'aborted'

/** Messages are fixed words with the name of the peer: nothing of the request or the answer. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  readonly phase: FailurePhase
  /** The system's code where there is one: `ECONNREFUSED`, `ECONNRESET`, … */
  readonly code: string | undefined

  constructor(phase: FailurePhase, message: string, code?: string) {
    super(message)
    this.phase = phase
    this.code = code
  }
}
