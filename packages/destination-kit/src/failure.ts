/**
 * How talking to a platform fails. An adapter turns what the platform answered into one failure, and says with its kind what is
 * known of the outcome; what follows from a kind (retry, wait, split, pause, stop) is the engine's business alone.
 */
import type { PlatformAnswer } from '@audience-sync/errors/app-error'
import type { Code } from '@audience-sync/errors/catalogue'

export type FailureKind =
  | 'throttled' // the quota is used up: wait, costs no attempt
  | 'unavailable' // surely not done: try again with backoff
  | 'unknown' // may have been done: send the same bytes again
  | 'busy' // the audience is being worked on: try again in a while
  | 'auth' // token dead
  | 'permission' // someone must grant something
  | 'terms' // someone must sign something
  | 'gone' // the audience is not there any more
  | 'integrity' // the audience is flagged
  | 'blocked' // the account is blocked for now: hours
  | 'too_small' // a removal was refused because of the size it leaves
  | 'rows' // the batch is refused because of some row: where the answer does not say which (`rows`), it is split
  | 'invalid' // the request is refused as a whole, splitting would not help

export interface Failure {
  readonly kind: FailureKind
  readonly code: Code
  readonly message: string
  readonly retryAfterMs?: number | undefined
  /** With `throttled`: the quota that is used up; missing: the manifest's first. */
  readonly quota?: string | undefined
  /** With `rows`: those to blame, where the answer names them. They are taken out and the others sent again. */
  readonly rows?: readonly RowRejection[] | undefined
  readonly platform?: PlatformAnswer | undefined
  /** Where the user can mend it. */
  readonly link?: string | undefined
}

export class DestinationError extends Error {
  override readonly name = 'DestinationError'
  readonly failure: Failure
  constructor(failure: Failure, cause?: unknown) {
    super(failure.message, { cause })
    this.failure = failure
  }
}

export interface RowRejection {
  /** Index in the batch. */
  readonly row: number
  readonly code: Code
  readonly platform?: PlatformAnswer | undefined
}
