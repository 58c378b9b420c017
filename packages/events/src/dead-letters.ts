/**
 * Where events go that can never be used (F4): `<topic>.dlq`, through the outbox, in one transaction with the inbox row. The
 * value is encrypted (RELIABILITY.md §3.1), because what cannot be parsed may be anybody's personal data. Layout:
 * 12 bytes of random IV, ciphertext, 16 bytes of tag. Bound to its place by the associated data.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { contentTypes, header } from '@audience-sync/contracts/events/headers'
import { deadLettersOf } from '@audience-sync/contracts/events/topics'
import { newUuid } from '@audience-sync/contracts/ids'
import type { Database } from '@audience-sync/db/database'
import { aggregateOf, identify } from './envelope.ts'
import { insertOutbox } from './outbox.ts'
import type { InRecord } from './transport.ts'

export const letterHeader = {
  id: 'dlq_id',
  topic: 'dlq_topic',
  partition: 'dlq_partition',
  offset: 'dlq_offset',
  consumer: 'dlq_consumer',
  reason: 'dlq_reason',
  attempts: 'dlq_attempts',
  at: 'dlq_time',
  contentType: 'dlq_content_type',
  keyId: 'dlq_key_id',
} as const

const IV_BYTES = 12
const TAG_BYTES = 16
const KEY_BYTES = 32

/** Names a key without telling it. */
export const keyId = (key: Buffer): string => createHash('sha256').update('dead-letter-key').update(key).digest('hex').slice(0, 16)

export function checkKey(key: Buffer | undefined): Buffer {
  if (key?.length !== KEY_BYTES) throw new Error(`A transport that subscribes needs deadLetterKey, ${KEY_BYTES} bytes: dead letters are never stored in clear.`)
  return key
}

const boundTo = (headers: Readonly<Record<string, string>>): Buffer =>
  Buffer.from(JSON.stringify(['dlq1', headers[letterHeader.id], headers[letterHeader.topic], headers[letterHeader.consumer], headers[letterHeader.keyId]]))

function seal(key: Buffer, headers: Readonly<Record<string, string>>, value: Buffer): Buffer {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES }).setAAD(boundTo(headers))
  return Buffer.concat([iv, cipher.update(value), cipher.final(), cipher.getAuthTag()])
}

/** The record as it was. Throws when the key is another or the letter was changed. */
export function openLetter(key: Buffer, letter: InRecord): InRecord {
  const iv = letter.value.subarray(0, IV_BYTES)
  const tag = letter.value.subarray(letter.value.length - TAG_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES }).setAAD(boundTo(letter.headers)).setAuthTag(tag)
  const value = Buffer.concat([decipher.update(letter.value.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()])
  const original = Object.fromEntries(Object.entries(letter.headers).filter(([name]) => !name.startsWith('dlq_') && name !== header.contentType))
  return {
    topic: letter.headers[letterHeader.topic] ?? '',
    partition: Number(letter.headers[letterHeader.partition]),
    offset: letter.headers[letterHeader.offset] ?? '',
    key: letter.key,
    headers: { ...original, [header.contentType]: letter.headers[letterHeader.contentType] ?? contentTypes.protobuf },
    value,
  }
}

export interface Burial {
  readonly db: Database
  readonly key: Buffer
  readonly consumer: string
  readonly record: InRecord
  readonly reason: string
  readonly attempts: number
}

/** Files the record away. A second delivery of it does nothing: the inbox row is there. */
export async function bury({ db, key, consumer, record, reason, attempts }: Burial): Promise<void> {
  const { id, tenantId } = identify(record)
  const eventId = newUuid()
  const headers = {
    ...record.headers,
    [header.contentType]: 'application/octet-stream',
    [letterHeader.id]: eventId,
    [letterHeader.topic]: record.topic,
    [letterHeader.partition]: String(record.partition),
    [letterHeader.offset]: record.offset,
    [letterHeader.consumer]: consumer,
    [letterHeader.reason]: reason,
    [letterHeader.attempts]: String(attempts),
    [letterHeader.at]: new Date().toISOString(),
    [letterHeader.contentType]: record.headers[header.contentType] ?? contentTypes.protobuf,
    [letterHeader.keyId]: keyId(key),
  }
  await db.tenant(tenantId, async (tx) => {
    const { rowCount } = await tx.query('INSERT INTO inbox (tenant_id, consumer, event_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
      tenantId,
      consumer,
      id,
    ])
    if (rowCount === 0) return
    await insertOutbox(tx, {
      tenantId,
      eventId,
      topic: deadLettersOf(record.topic),
      key: aggregateOf(record.key, tenantId),
      headers,
      value: seal(key, headers, record.value),
    })
  })
}
