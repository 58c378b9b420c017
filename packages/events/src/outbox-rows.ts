/** The relay's view of an outbox: what is to be sent, what was sent, and a row as a record. */
import { header, SPEC_VERSION } from '@audience-sync/contracts/events/headers'
import type pg from 'pg'
import type { OutRecord } from './transport.ts'

const BATCH_ROWS = 500
const BATCH_BYTES = 524_288 // a batch of one partition must fit the broker's limit of 1 MiB, with one more row on top

export interface OutboxRow {
  readonly id: number
  readonly event_id: string
  readonly tenant_id: string
  readonly topic: string
  readonly key: string
  readonly headers: Record<string, string>
  readonly value: Buffer
  readonly version: number | null
  readonly created_at: Date
}

/** In order; the advisory lock makes us alone, SKIP LOCKED passes over rows that an operator has in hand. */
export async function unpublished(client: pg.Client, schema: string, refusedKeys: readonly string[]): Promise<OutboxRow[]> {
  const { rows } = await client.query<OutboxRow>(
    `WITH next AS (
       SELECT id, sum(octet_length(value)) OVER (ORDER BY id) - octet_length(value) AS before
       FROM (SELECT id, value FROM ${schema}.outbox WHERE published_at IS NULL AND tenant_id || ':' || key <> ALL($1) ORDER BY id LIMIT $2) AS page
     )
     SELECT o.id, event_id, tenant_id, topic, key, headers, value, version, created_at FROM ${schema}.outbox AS o JOIN next USING (id)
     WHERE published_at IS NULL AND before < $3 ORDER BY o.id FOR UPDATE OF o SKIP LOCKED`,
    [refusedKeys, BATCH_ROWS, BATCH_BYTES],
  )
  return rows
}

export const keyOf = ({ tenant_id, key }: OutboxRow): string => `${tenant_id}:${key}`

export async function markPublished(client: pg.Client, schema: string, rows: readonly OutboxRow[]): Promise<void> {
  await client.query(`UPDATE ${schema}.outbox SET published_at = now() WHERE id = ANY($1) AND published_at IS NULL`, [rows.map(({ id }) => id)])
}

/** A dead letter brings the headers of the event that it was: those win. */
export const toRecord = (row: OutboxRow, schema: string): OutRecord => ({
  topic: row.topic,
  key: keyOf(row),
  headers: {
    [header.id]: row.event_id,
    [header.type]: row.topic,
    [header.source]: `/audience-sync/${schema}`,
    [header.specVersion]: SPEC_VERSION,
    [header.time]: row.created_at.toISOString(),
    [header.tenant]: row.tenant_id,
    ...(row.version !== null && { [header.version]: String(row.version) }),
    ...row.headers,
  },
  value: row.value,
})
