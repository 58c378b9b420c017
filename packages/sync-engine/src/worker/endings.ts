/** How work on a run may stop before it is done. Thrown through the worker, decided upon once, in `work.ts`. */
import type { Failure } from '@audience-sync/destination-kit/failure'
import type { StatusReason } from '../store/status.ts'
import type { Hold } from './brake.ts'

/** Goes on by itself, after a time (`forMs`) or when something happens (`null`: somebody has to mend the connection). */
export class RunWaits extends Error {
  override readonly name = 'RunWaits'
  readonly forMs: number | null
  readonly reason: StatusReason
  constructor(forMs: number | null, reason: StatusReason) {
    super(`waits: ${reason.code}`)
    this.forMs = forMs
    this.reason = reason
  }
}

/** Cannot go on; what was not accepted is left to do. */
export class RunFails extends Error {
  override readonly name = 'RunFails'
  readonly reason: StatusReason
  /** The far audience is not there: by the platform's own word, or as far as we are shown. */
  readonly missing: 'gone' | 'unseen' | null
  constructor(reason: StatusReason, missing: RunFails['missing'] = null) {
    super(`fails: ${reason.code}`)
    this.reason = reason
    this.missing = missing
  }
}

/** A replacement of the whole list will not be finished; the run goes on by adding and removing. */
export class ReplaceFails extends Error {
  override readonly name = 'ReplaceFails'
  readonly reason: StatusReason
  /** A call of it may have been taken. */
  readonly begun: boolean
  constructor(reason: StatusReason, begun: boolean) {
    super(`replacement fails: ${reason.code}`)
    this.reason = reason
    this.begun = begun
  }
}

/** Somebody asked for it: cancel, pause or delete. */
export class RunStops extends Error {
  override readonly name = 'RunStops'
  readonly wish: 'cancel' | 'pause' | 'remove'
  constructor(wish: 'cancel' | 'pause' | 'remove') {
    super(`stops: ${wish}`)
    this.wish = wish
  }
}

/** The brake (R6). */
export class RunHolds extends Error {
  override readonly name = 'RunHolds'
  readonly figures: Hold
  constructor(figures: Hold) {
    super('held by the brake')
    this.figures = figures
  }
}

export const failsWith = (failure: Failure): RunFails => new RunFails(reasonOf(failure), failure.kind === 'gone' ? 'gone' : null)

export const reasonOf = ({ code, message, platform, link }: Failure): StatusReason => ({
  code,
  detail: message,
  ...(platform && { platform }),
  ...(link && { link }),
})
