import { type Code, catalogue } from './catalogue.ts'

/** The platform's own words beside ours (R8). */
export interface PlatformAnswer {
  readonly code?: string
  readonly message?: string
  readonly requestId?: string
}

export interface AppErrorOptions {
  readonly cause?: unknown
  /** Overrides the catalogue's advice where the case is more special. */
  readonly solution?: string
  readonly platform?: PlatformAnswer
  /** Answered as `Retry-After`, in whole seconds, rounded up. */
  readonly retryAfterMs?: number
  /** More members of the problem document, for example the counts of a stale plan. Never personal data. */
  readonly extra?: Readonly<Record<string, unknown>>
}

/** A refusal with a stable code. The HTTP status comes from the catalogue; the server's one error handler answers it. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: Code
  readonly options: AppErrorOptions

  constructor(code: Code, detail: string, options: AppErrorOptions = {}) {
    super(detail, { cause: options.cause })
    this.code = code
    this.options = options
  }

  get status(): number {
    return catalogue[this.code].status
  }
}

/** RFC 9457, as API.md gives it. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly solution: string
  readonly requestId: string
  readonly platform?: PlatformAnswer
  readonly [extra: string]: unknown
}

/** The problem document of an error; anything that is not an `AppError` is `internal` and tells nothing of itself. */
export function toProblem(error: unknown, requestId: string): Problem {
  const known = error instanceof AppError ? error : new AppError('internal', 'Something went wrong on our side; it is logged under the request id.')
  const { title, status, solution } = catalogue[known.code]
  return {
    ...known.options.extra,
    type: `/errors#${known.code}`,
    title,
    status,
    detail: known.message,
    code: known.code,
    solution: known.options.solution ?? solution,
    requestId,
    ...(known.options.platform && { platform: known.options.platform }),
  }
}
