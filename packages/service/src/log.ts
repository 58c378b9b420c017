/**
 * Log lines that cannot carry a person or a secret (RELIABILITY.md §3.9, F24).
 *
 * Redaction by path misses what nobody thought of, so lines are *picked*: numbers, booleans, single machine words under names
 * that stand for ids, codes and places, objects of counts, and errors reduced to what they are. Everything else is written as
 * `[left out]`, so that its author sees it. Messages are for fixed words; addresses and tokens in them are masked as a last resort.
 */
import { type DestinationStream, type Logger, pino } from 'pino'
import { reduceError } from './log-error.ts'
import { mask } from './log-mask.ts'
import { traceId } from './otel.ts'

export type { Logger }

/** Names whose text is written: ids, codes and places of ours; never what a tenant, a person or a platform typed. */
const NAMES = new Set(
  (
    'service host url method route path topic consumer group schema table role destination issuer audience subject ' +
    'event version what why phase state status reason type kind mode trigger operation direction detail ' +
    'slot at until since position epoch cause signal bus code id'
  ).split(' '),
)
const ID_LIKE = /(?:Ids?|_ids?|Code|At|Status|Version|Kind)$/
/** One word, as programs write them: an id, a code, a path, a time. A person's name has a space, an address has an @. */
const MACHINE_WORD = /^[\w.:/{}*+-]{1,128}$/
const MOST_ITEMS = 20
const LEFT_OUT = '[left out]'

function pick(name: string, value: unknown): unknown {
  if (value === undefined || value === null || typeof value === 'number' || typeof value === 'boolean') return value
  if (value instanceof Error) return reduceError(value)
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'string') return pickText(name, value)
  if (Array.isArray(value)) return value.slice(0, MOST_ITEMS).map((item) => pick(name, item))
  if (typeof value === 'object' && Object.values(value).every((count) => typeof count === 'number')) return value
  return LEFT_OUT
}

/** Without the query of an address: that may hold a token. */
function pickText(name: string, text: string): string {
  const word = mask(text.split('?')[0] ?? '')
  return (NAMES.has(name) || ID_LIKE.test(name)) && MACHINE_WORD.test(word) ? word : LEFT_OUT
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
  const log = pino(
    {
      level,
      base: { service: name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), bindings: pickAll, log: pickAll },
      // pino would take an error's own message where none is given, and print the arguments of a format; both may hold anything.
      hooks: {
        logMethod(args, method) {
          const [first, second] = args as unknown[]
          const fields = first instanceof Error ? { err: first } : typeof first === 'object' ? first : {}
          const words = typeof first === 'string' ? first : typeof second === 'string' ? second : 'failed'
          method.apply(this, [fields, mask(words)] as Parameters<typeof method>)
        },
      },
      mixin: () => {
        const id = traceId()
        return id ? { trace_id: id } : {}
      },
      serializers: { err: (error: unknown) => error }, // already reduced; pino's own would print an axios error whole
    },
    destination,
  )
  // pino's formatters pass over the bindings of children; these inherit this method.
  const { child } = log
  log.child = function (this: Logger, bindings: Record<string, unknown>, options: Parameters<typeof child>[1]) {
    return child.call(this, pickAll(bindings), options)
  } as typeof child
  return log
}
