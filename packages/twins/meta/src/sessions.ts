/**
 * Upload sessions: vendors/meta.md §4.3. A session belongs to one call family of one audience, its id is unique in the ad account, its batches come
 * in sequence from 1 with one schema, and the last one says so. A batch may be sent again with the same bytes; with others it is refused, and so
 * is one that skips a number or comes after the last. A call without a session gets one made up.
 */
import { invalidParameter } from './errors.ts'

export type Batch = { id: string; seq: number; last: boolean }
export type Operation = 'add' | 'remove' | 'remove_everywhere' | 'replace'

export type Session = {
  id: string
  accountId: string
  /** The audience, or the account for a removal from all audiences. */
  target: string
  operation: Operation
  schema: string
  /** Number → digest of the request. */
  batches: Map<number, string>
  last: number | undefined
  /** Running totals, repeats included: the platform has no idea that it saw them before. */
  received: number
  invalid: number
  /** Batches accepted and not yet applied. */
  open: number
  startedAt: number
  endedAt: number | undefined
}

const LARGEST_ID = 2n ** 63n - 1n
const KNOWN = ['session_id', 'batch_seq', 'last_batch_flag', 'estimated_num_total']

/** @param raw the request's bytes, because a 64-bit number does not survive JSON.parse */
export const readSession = (given: unknown, raw: () => string): Batch | undefined => {
  if (given === undefined) return undefined
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw invalidParameter('Param session must be an object', 'session')
  const session = given as Record<string, unknown>
  const unknown = Object.keys(session).find((name) => !KNOWN.includes(name))
  if (unknown !== undefined) throw invalidParameter(`Unknown key in session: ${unknown}`, 'session')
  const id = wholeNumber(session.session_id, raw)
  if (id === undefined || id < 1n || id > LARGEST_ID) throw invalidParameter('Param session[session_id] must be a positive 64-bit integer', 'session')
  const { batch_seq: seq, last_batch_flag: last } = session
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1) throw invalidParameter('Param session[batch_seq] must be an integer from 1', 'session')
  if (last !== undefined && typeof last !== 'boolean') throw invalidParameter('Param session[last_batch_flag] must be a boolean', 'session')
  const total = session.estimated_num_total
  if (total !== undefined && (typeof total !== 'number' || !Number.isSafeInteger(total) || total < 0))
    throw invalidParameter('Param session[estimated_num_total] must be an integer', 'session')
  return { id: id.toString(), seq, last: last ?? false }
}

const wholeNumber = (value: unknown, raw: () => string): bigint | undefined => {
  if (typeof value === 'string') return /^\d{1,19}$/.test(value) ? BigInt(value) : undefined
  if (typeof value !== 'number' || !Number.isInteger(value)) return undefined
  if (Number.isSafeInteger(value)) return BigInt(value)
  const exact = /"session_id\\?"\s*:\s*(\d{1,19})\b/.exec(raw())?.[1]
  return exact === undefined ? undefined : BigInt(exact)
}

export type Sessions = {
  /** The session that this batch belongs to, begun if it is the first. @throws GraphError 100 where the rules forbid the batch */
  take(batch: Batch, call: { accountId: string; target: string; operation: Operation; schema: readonly string[]; digest: string; now: number }): Session
  /** All of one audience, the newest first. */
  of(target: string): Session[]
  count(): number
  reset(): void
}

export const createSessions = (): Sessions => {
  const sessions = new Map<string, Session>()
  return {
    take: (batch, { accountId, target, operation, schema, digest, now }) => {
      const key = `${accountId}/${batch.id}`
      const session = sessions.get(key) ?? {
        id: batch.id,
        accountId,
        target,
        operation,
        schema: JSON.stringify(schema),
        batches: new Map<number, string>(),
        last: undefined,
        received: 0,
        invalid: 0,
        open: 0,
        startedAt: now,
        endedAt: undefined,
      }
      checkBatch(session, batch, { target, operation, schema: JSON.stringify(schema), digest })
      sessions.set(key, session)
      if (restarts(session, batch)) {
        Object.assign(session, { received: 0, invalid: 0, last: undefined, endedAt: undefined })
        for (const seq of session.batches.keys()) session.batches.set(seq, ANYTHING)
      }
      session.batches.set(batch.seq, digest)
      if (batch.last) session.last = batch.seq
      return session
    },
    of: (target) =>
      Array.from(sessions.values())
        .filter((session) => session.target === target)
        .reverse(),
    count: () => sessions.size,
    reset: () => sessions.clear(),
  }
}

/** In place of a digest: a batch of a replacement that was begun anew may bring what it will. */
const ANYTHING = ''

/** Batch 1 of a replacement that comes again begins it anew, with whatever it brings: nothing that came before counts (§4.4). */
const restarts = (session: Session, batch: Batch) => session.operation === 'replace' && batch.seq === 1

const checkBatch = (session: Session, batch: Batch, call: { target: string; operation: Operation; schema: string; digest: string }): void => {
  const refuse = (why: string) => invalidParameter(`Session ${session.id}: ${why}`, 'session')
  if (session.target !== call.target || session.operation !== call.operation) throw refuse('the id was used before in this ad account')
  if (session.schema !== call.schema) throw refuse('the schema must stay the same in all batches')
  const before = session.batches.get(batch.seq)
  if (before !== undefined) {
    if (before !== ANYTHING && before !== call.digest && !restarts(session, batch)) throw refuse(`batch ${batch.seq} was sent before with other content`)
    return
  }
  if (session.last !== undefined) throw refuse(`the last batch was ${session.last}`)
  if (batch.seq !== session.batches.size + 1) throw refuse(`batch ${batch.seq} does not follow ${session.batches.size}`)
}
