/** A request's body on its way through: counted, paced and timed, never collected. */
import { type Readable, Transform } from 'node:stream'
import { AppError } from '@audience-sync/errors/app-error'

export interface UploadRules {
  /** Bytes; one more ends the request with `payload_too_large`. */
  readonly limit: number
  /** For the whole body; then `request_timeout`. */
  readonly timeoutMs: number
  /** How long to wait before so many bytes may pass; 0: now. */
  readonly pace?: (bytes: number) => number
}

export const tooLarge = (limit: number) => new AppError('payload_too_large', `This route takes ${limit} bytes at most.`)

/** What goes to the service. It is destroyed with an `AppError` when a rule is broken, which ends the request to the service too. */
export function guardedUpload(body: Readable, { limit, timeoutMs, pace }: UploadRules): Transform {
  let seen = 0
  let waiting: NodeJS.Timeout | undefined
  const guarded = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length
      if (seen > limit) return done(tooLarge(limit))
      const pass = () => {
        const waitMs = pace?.(chunk.length) ?? 0
        if (waitMs === 0) return done(null, chunk)
        waiting = setTimeout(pass, waitMs)
      }
      pass()
    },
    destroy(error, done) {
      clearTimeout(waiting)
      clearTimeout(deadline)
      body.unpipe(guarded)
      done(error)
    },
  })
  const deadline = setTimeout(() => guarded.destroy(new AppError('request_timeout', 'The body did not arrive in time.')), timeoutMs)
  guarded.once('end', () => clearTimeout(deadline))
  body.once('error', (error) => guarded.destroy(error))
  body.once('close', () => {
    if (!body.readableEnded) guarded.destroy(new Error('The caller went away.'))
  })
  return body.pipe(guarded)
}
