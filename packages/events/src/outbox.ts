/**
 * The only way to say something to other services (S-1): a row in the caller's transaction. If it commits, the event will be
 * sent, once or more; if it rolls back, nothing was said.
 */
import { contentTypes, header, MAX_OWN_BYTES, SCHEMA_VERSION } from '@audience-sync/contracts/events/headers'
import type { Topic } from '@audience-sync/contracts/events/topics'
import { newUuid } from '@audience-sync/contracts/ids'
import type { Tx } from '@audience-sync/db/database'
import { create, type Message, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import type { GenMessage } from '@bufbuild/protobuf/codegenv2'
import { context, propagation } from '@opentelemetry/api'

export interface NewEvent<M extends Message> {
  readonly topic: Topic<M>
  /** UUID; must be the tenant of the transaction, or the row-level policy refuses. */
  readonly tenantId: string
  /** Id of the aggregate: events of one key keep their order. Take it under the aggregate's row lock. */
  readonly key: string
  readonly message: MessageInitShape<GenMessage<M>>
  /** More headers, for example `destination`. Never personal data. */
  readonly headers?: Readonly<Record<string, string>>
  /** Of the aggregate, so that consumers can pass over old news. */
  readonly version?: number
  /** A UUID chosen beforehand, where the caller must not say the same twice. */
  readonly eventId?: string
}

/** Answers the event's id. Throws `RangeError` when the message is larger than 64 KiB: it could never be sent and would block its key (F5). */
export async function publish<M extends Message>(tx: Tx, event: NewEvent<M>): Promise<string> {
  const { schema, name, ingest } = event.topic
  const value = Buffer.from(toBinary(schema, create(schema, event.message)))
  if (value.length > MAX_OWN_BYTES)
    throw new RangeError(`An event of ${name} has ${value.length} bytes; ${MAX_OWN_BYTES} are allowed. Send a reference instead.`)
  if (ingest) throw new TypeError(`${name} comes from outside; we only read it.`)
  const headers = { [header.contentType]: contentTypes.protobuf, [header.schemaVersion]: SCHEMA_VERSION, ...currentTrace(), ...event.headers }
  const row = { ...event, topic: name, eventId: event.eventId ?? newUuid(), headers, value }
  await insertOutbox(tx, row)
  return row.eventId
}

/** The trace alone: baggage stays where it is. */
function currentTrace(): Record<string, string> {
  const carried: Record<string, string> = {}
  propagation.inject(context.active(), carried)
  const traceparent = carried[header.traceparent]
  return traceparent ? { [header.traceparent]: traceparent } : {}
}

export interface OutboxRow {
  readonly tenantId: string
  readonly eventId: string
  readonly topic: string
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly value: Buffer
  readonly version?: number
}

/** The notification wakes the relay at commit; without a listener it costs nothing. */
export async function insertOutbox(tx: Tx, { tenantId, eventId, topic, key, headers, value, version }: OutboxRow): Promise<void> {
  await tx.query(
    `WITH row AS (
       INSERT INTO outbox (tenant_id, event_id, topic, key, headers, value, version) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ) SELECT pg_notify('outbox', current_schema())`,
    [tenantId, eventId, topic, key, JSON.stringify(headers), value, version ?? null],
  )
}
