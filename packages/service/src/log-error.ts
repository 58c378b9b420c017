/**
 * What a log line may say of an error: its class, codes and the places it came through. Never its message (a driver's or a
 * platform's message quotes data), Postgres' `detail`, or a request's headers and body. The exceptions are the engine's own
 * complaints about our code, which quote names of variables.
 */
import { mask } from './log-mask.ts'

const OWN_WORDS = new Set(['TypeError', 'ReferenceError', 'ConfigError'])
/** Of an error's own properties, those that are codes or names of things: of Postgres, of the system, of HTTP, of ours. */
const PICKED = ['code', 'status', 'statusCode', 'requestId', 'phase', 'syscall', 'constraint', 'table', 'column', 'schema', 'routine'] as const
const DEEPEST_CAUSE = 3
const FRAMES = 8

export interface ReducedError {
  readonly type: string
  readonly frames?: readonly string[]
  readonly cause?: ReducedError
  readonly [picked: string]: unknown
}

export function reduceError(error: Error, depth = 0): ReducedError {
  const type = error.constructor?.name || error.name
  const own = error as unknown as Record<string, unknown>
  const picked = PICKED.flatMap((name) => {
    const value = own[name]
    return typeof value === 'number' || (typeof value === 'string' && /^[\w.:-]{1,64}$/.test(value)) ? [[name, value] as const] : []
  })
  const issues = Array.isArray(own.issues)
    ? own.issues.slice(0, 10).map((issue: { path?: unknown[]; code?: unknown }) => `${issue.path?.join('.')}: ${String(issue.code)}`)
    : []
  const frames = (error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, FRAMES)
  return {
    type,
    ...Object.fromEntries(picked),
    ...(OWN_WORDS.has(type) && { message: mask(error.message) }),
    ...(issues.length > 0 && { issues }),
    ...(frames.length > 0 && { frames: frames.map((line) => line.trim()) }),
    ...(error.cause instanceof Error && depth < DEEPEST_CAUSE && { cause: reduceError(error.cause, depth + 1) }),
  }
}
