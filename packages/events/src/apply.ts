/**
 * What a transport does with records, whichever it is. Records of one partition come in order; they leave as effects in the
 * database, as dead letters, or not at all because the inbox knew them (S-3). When `apply` resolves, the offset may be
 * committed; when it throws, nothing of the transaction at hand was kept and the same records are to be given again.
 */
import type { Database, Tx } from '@audience-sync/db/database'
import type { Message } from '@bufbuild/protobuf'
import { context, propagation, type SpanContext, SpanKind, trace } from '@opentelemetry/api'
import type { Logger } from 'pino'
import { type Consumer, PoisonError, type ReceivedEvent } from './consumer.ts'
import { bury } from './dead-letters.ts'
import { open, withTenantId } from './envelope.ts'
import { faultPoint } from './fault-point.ts'
import type { InRecord } from './transport.ts'

const STOP_GRACE_MS = 5_000 // what a handler may still take when the service stops; stopping has 10 s in all
const HANDLER_DEADLINE_MS = 25_000 // F30: below the group's session timeout of 30 s, so that a hanging handler loses its call, not the partition

export interface ApplyParts<M extends Message> {
  readonly db: Database
  readonly consumer: Consumer<M>
  readonly deadLetterKey: Buffer
  readonly log: Logger
  readonly handlerDeadlineMs?: number
}

interface Delivery<M extends Message> {
  readonly record: InRecord
  readonly event: ReceivedEvent<M>
}

export type Apply = (records: readonly InRecord[], signal: AbortSignal, attempt: number) => Promise<void>

export function applier<M extends Message>({ db, consumer, deadLetterKey, log, handlerDeadlineMs = HANDLER_DEADLINE_MS }: ApplyParts<M>): Apply {
  const tracer = trace.getTracer('@audience-sync/events')
  const size = consumer.batch?.messages ?? 1

  return async (records, signal, attempt) => {
    const deliveries: Delivery<M>[] = []
    const toGrave = async (record: InRecord, error: PoisonError) => {
      log.warn(
        { consumer: consumer.name, topic: record.topic, partition: record.partition, offset: record.offset, code: error.code, detail: error.message },
        'event goes to the dead letters',
      )
      await bury({ db, key: deadLetterKey, consumer: consumer.name, record, reason: error.code, attempts: attempt })
    }

    const applyChunk = async (chunk: readonly Delivery<M>[]): Promise<void> => {
      signal.throwIfAborted()
      try {
        await traced(chunk, () => transaction(chunk))
      } catch (error) {
        if (!(error instanceof PoisonError)) throw error
        // Halve until the bad one stands alone: the others are applied in their order.
        const [only, ...more] = chunk
        if (only && more.length === 0) return toGrave(only.record, error)
        const middle = chunk.length >> 1
        await applyChunk(chunk.slice(0, middle))
        await applyChunk(chunk.slice(middle))
      }
    }

    const transaction = async (chunk: readonly Delivery<M>[]) => {
      const tenantId = chunk[0]?.event.tenantId ?? ''
      await db.tenant(tenantId, async (tx) => {
        const fresh = await claim(
          tx,
          tenantId,
          chunk.map(({ event }) => event),
        )
        faultPoint('consumer.after_inbox')
        if (fresh.length > 0) await withDeadline(tx, (handlerSignal) => consumer.handle(tx, fresh, { log, signal: handlerSignal }), signal)
        faultPoint('consumer.before_commit')
      })
      faultPoint('consumer.after_commit')
    }

    /** The inbox rows of those that were not seen before, in this transaction. */
    const claim = async (tx: Tx, tenantId: string, events: readonly ReceivedEvent<M>[]): Promise<ReceivedEvent<M>[]> => {
      const { rows } = await tx.query<{ event_id: string }>(
        'INSERT INTO inbox (tenant_id, consumer, event_id) SELECT $1, $2, id FROM unnest($3::text[]) AS id ON CONFLICT DO NOTHING RETURNING event_id',
        [tenantId, consumer.name, [...new Set(events.map(({ id }) => id))]],
      )
      const left = new Set(rows.map(({ event_id }) => event_id))
      return events.filter(({ id }) => left.delete(id)) // the first of an id that comes twice in one batch
    }

    const withDeadline = async (tx: Tx, run: (signal: AbortSignal) => Promise<void>, outer: AbortSignal) => {
      const deadline = new AbortController()
      const late = Promise.withResolvers<never>()
      const giveUp = () => {
        // The handler may go on one day: the connection is taken from under it, so that it cannot touch the pool's next user.
        ;(tx as unknown as { end(): Promise<void> }).end().catch(() => {})
        const error = new Error(`the handler of ${consumer.name} took too long`)
        deadline.abort(error)
        late.reject(error)
      }
      let timer = setTimeout(giveUp, handlerDeadlineMs)
      const hurry = () => {
        clearTimeout(timer)
        timer = setTimeout(giveUp, Math.min(STOP_GRACE_MS, handlerDeadlineMs))
      }
      outer.addEventListener('abort', hurry, { once: true })
      try {
        await Promise.race([run(AbortSignal.any([outer, deadline.signal])), late.promise])
      } finally {
        outer.removeEventListener('abort', hurry)
        clearTimeout(timer)
      }
    }

    /** One span for the call, child of the first event's request, linked to the others'. */
    const traced = (chunk: readonly Delivery<M>[], run: () => Promise<void>): Promise<void> => {
      const [parent = context.active(), ...others] = chunk.map(({ record }) => propagation.extract(context.active(), record.headers))
      const links = others.map((other) => trace.getSpanContext(other)).filter((span): span is SpanContext => span !== undefined)
      const span = tracer.startSpan(`${consumer.topic.name} process`, { kind: SpanKind.CONSUMER, links: links.map((link) => ({ context: link })) }, parent)
      return context.with(trace.setSpan(parent, span), run).finally(() => span.end())
    }

    const { tenantNamed } = consumer
    for (const given of records) {
      if (consumer.wants && !consumer.wants(given.headers)) continue
      const record = tenantNamed ? await withTenantId(given, (name) => tenantNamed(db, name)) : given
      try {
        deliveries.push({ record, event: open(consumer.topic, record) })
      } catch (error) {
        if (!(error instanceof PoisonError)) throw error
        await toGrave(record, error)
      }
    }
    for (const chunk of chunks(deliveries, size)) await applyChunk(chunk)
  }
}

/** By tenant, each in its order, then cut to size. A key holds its tenant, so order per key is kept. */
function chunks<M extends Message>(deliveries: readonly Delivery<M>[], size: number): Delivery<M>[][] {
  const byTenant = Map.groupBy(deliveries, ({ event }) => event.tenantId)
  return [...byTenant.values()].flatMap((of) => Array.from({ length: Math.ceil(of.length / size) }, (_, at) => of.slice(at * size, (at + 1) * size)))
}
