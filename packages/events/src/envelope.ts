/** From a record to an event: CloudEvents headers in binary mode, and the message as protobuf or protobuf-JSON. */
import { contentTypes, header } from '@audience-sync/contracts/events/headers'
import type { Topic } from '@audience-sync/contracts/events/topics'
import { fromBinary, fromJsonString, type Message } from '@bufbuild/protobuf'
import { PoisonError, type ReceivedEvent } from './consumer.ts'
import type { InRecord } from './transport.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const OPENING_BRACE = 0x7b
const MAX_ID = 200 // fits any id scheme, and the inbox's index

/** Stands in a dead letter's row when the record names no tenant. */
export const NO_TENANT = '00000000-0000-0000-0000-000000000000'

/** What can be known of a record without trusting it: enough to file it away. */
export function identify({ headers, topic, partition, offset }: InRecord): { id: string; tenantId: string } {
  const id = headers[header.id]
  const tenantId = (headers[header.tenant] ?? '').replace(/^ten_/, '')
  return { id: id && id.length <= MAX_ID ? id : `${topic}/${partition}/${offset}`, tenantId: UUID.test(tenantId) ? tenantId : NO_TENANT }
}

/** The record with its tenant by UUID, where the publisher used the name it knows; names that nobody has stay as they are. */
export async function withTenantId(record: InRecord, tenantNamed: (name: string) => Promise<string | undefined>): Promise<InRecord> {
  const name = record.headers[header.tenant]
  if (!name || identify(record).tenantId !== NO_TENANT) return record
  const tenantId = await tenantNamed(name)
  return tenantId ? { ...record, headers: { ...record.headers, [header.tenant]: tenantId } } : record
}

/** The relay puts the tenant before the key; other teams need not. */
export function aggregateOf(key: string, tenantId: string): string {
  const prefix = `${tenantId}:`
  return key.startsWith(prefix) ? key.slice(prefix.length) : key
}

/** Throws `PoisonError` with `tenant_missing`, `id_missing`, `type_mismatch`, `content_type_unknown` or `message_malformed`. */
export function open<M extends Message>(topic: Topic<M>, record: InRecord): ReceivedEvent<M> {
  const { headers } = record
  const { id, tenantId } = identify(record)
  if (tenantId === NO_TENANT) throw new PoisonError('tenant_missing', `header ${header.tenant} names no tenant`)
  if (headers[header.id] !== id) throw new PoisonError('id_missing', `header ${header.id} is missing or longer than ${MAX_ID}`)
  const type = headers[header.type] ?? topic.name
  if (type !== topic.name) throw new PoisonError('type_mismatch', `header ${header.type} names another type`)
  const time = Date.parse(headers[header.time] ?? '')
  return {
    id,
    tenantId,
    key: aggregateOf(record.key, tenantId),
    headers,
    message: parse(topic, record),
    occurredAt: Number.isNaN(time) ? new Date() : new Date(time),
    version: /^\d{1,15}$/.test(headers[header.version] ?? '') ? Number(headers[header.version]) : undefined,
    traceparent: headers[header.traceparent],
  }
}

function parse<M extends Message>(topic: Topic<M>, { headers, value }: InRecord): M {
  // Without a content type, an object in braces can only be JSON: no message in protobuf begins with a brace.
  const implied = topic.ingest && value[0] === OPENING_BRACE ? contentTypes.json : contentTypes.protobuf
  const contentType = (headers[header.contentType] ?? implied).split(';')[0]
  try {
    if (contentType === contentTypes.protobuf) return fromBinary(topic.schema, value)
    if (contentType === contentTypes.json && topic.ingest) return fromJsonString(topic.schema, value.toString('utf8'), { ignoreUnknownFields: true })
  } catch (cause) {
    // The parser's own words can quote the value.
    throw new PoisonError('message_malformed', `the value is not a ${topic.schema.typeName} (${(cause as Error).name})`)
  }
  throw new PoisonError('content_type_unknown', 'neither protobuf nor, on an ingest topic, JSON')
}
