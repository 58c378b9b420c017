/**
 * Log lines that cannot carry a person or a secret (RELIABILITY.md §3.9, F24).
 *
 * Redaction by path misses what nobody thought of, so lines are *picked*: numbers, booleans, and text under names that
 * stand for ids, codes and places; counts as objects of numbers; errors reduced to what they are. Everything else is
 * written as `[left out]`, so that the author sees it. Messages are for fixed words; addresses and tokens in them are masked
 * as a last resort.
 */
import { type DestinationStream, type Logger, pino } from 'pino'
import { reduceError } from './log-error.ts'
import { mask } from './log-mask.ts'
import { traceId } from './otel.ts'

export type { Logger }

/** Names whose text is written. Ids, codes and names of things of ours; never what a tenant or a platform typed. */
const TEXT_NAMES = new Set(
  'name service host url version event what why phase state status reason type kind mode trigger operation direction destination method route path topic consumer group schema table role slot at until since position epoch cause signal bus level code'.split(
    ' ',
  ),
)
const TEXT_SUFFIXES = /(?:Id|Ids|_id|_ids|Code|At|Key(?:Hash)|Name|Status|Version|Kind)$/
const PERSONAL = /^(?:first|last|full|user|person|customer|display)_?name$/i
const LONGEST = 256

const LEFT_OUT = '[left out]'

const mayBeText = (name: string) => (TEXT_NAMES.has(name) || TEXT_SUFFIXES.test(name) || name === 'id') && !PERSONAL.test(name)

function pick(name: string, value: unknown): unknown {
  if (value === undefined || value === null || typeof value === 'number' || typeof value === 'boolean') return value
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Error) return reduceError(value)
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'string') return mayBeText(name) ? mask(value).slice(0, LONGEST) : LEFT_OUT
  if (Array.isArray(value)) return mayBeText(name) ? value.slice(0, 20).map((item) => pick(name, item)) : LEFT_OUT
  if (typeof value === 'object') {
    const entries = Object.entries(value)
    return entries.every(([, count]) => typeof count === 'number') ? value : LEFT_OUT
  }
  return LEFT_OUT
}

const pickAll = (line: Record<string, unknown>) => Object.fromEntries(Object.entries(line).map(([name, value]) => [name, pick(name, value)]))

export interface LoggerOptions {
  readonly name: string
  readonly level?: string
  /** Standard output unless given. */
  readonly destination?: DestinationStream
}

/** The logger of one service. Children (`log.child({ runId })`) pick likewise. */
export function createLogger({ name, level = 'info', destination = pino.destination({ fd: 1, sync: true }) }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: { service: name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), bindings: pickAll, log: pickAll },
      // `log.error(error)` alone: pino would take the error's own message, which may hold anything.
      hooks: {
        logMethod(args, method) {
          const [first, second, ...rest] = args as unknown[]
          if (first instanceof Error)
            method.apply(this, [{ err: first }, typeof second === 'string' ? mask(second) : 'failed', ...rest] as Parameters<typeof method>)
          else if (typeof first === 'string') method.apply(this, [mask(first)] as Parameters<typeof method>)
          else if (first instanceof Object && 'err' in first && second === undefined) method.apply(this, [first, 'failed'] as Parameters<typeof method>)
          else method.apply(this, [first, ...(second === undefined ? [] : [mask(String(second))])] as Parameters<typeof method>)
        },
      },
      mixin: () => {
        const id = traceId()
        return id ? { traceId: id } : {}
      },
      serializers: { err: (error: unknown) => error }, // already reduced; pino's own would print an axios error whole
    },
    destination,
  )
}
