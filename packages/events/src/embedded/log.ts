/**
 * The log itself. Appending locks the partition's head row until commit, so a reader that has seen number n has seen all
 * below it: no late commit is ever skipped, whoever appends.
 */
import { hash } from 'node:crypto'
import type pg from 'pg'
import type { InRecord, OutRecord } from '../transport.ts'

export const PARTITIONS = 6 // as on Kafka: the same order, the same parallelism
export const CHANNEL = 'bus' // a notification per partition that grew: `<topic>/<partition>`
const RETENTION = '7 days' // RELIABILITY.md §4.4; as the broker's (infra/src/kafka/topics.ts)
const DEAD_LETTER_RETENTION = '14 days' // time for a fix and a redrive; as the broker's
const FETCH_BYTES = 1_048_576 // F28: what one partition holds in memory at most, beside one record of that size
const SWEEP_ROWS = 10_000 // short transactions: nothing may hold the change feed's horizon

const partitionOf = (key: string): number => Number.parseInt(hash('sha1', key).slice(0, 8), 16) % PARTITIONS
export const bellOf = (topic: string, partition: number): string => `${topic}/${partition}`

/** One transaction: all of them or none. */
export async function append(pool: pg.Pool, records: readonly OutRecord[]): Promise<void> {
  const placed = records.map((record) => ({ ...record, partition: partitionOf(record.key) }))
  const groups = [...Map.groupBy(placed, ({ topic, partition }) => bellOf(topic, partition)).entries()].sort(([a], [b]) => (a < b ? -1 : 1)) // one order of locking: no deadlock
  const client = await pool.connect()
  let broken: Error | undefined
  const onError = (error: Error) => {
    broken = error
  }
  client.on('error', onError) // a checked-out connection that dies says so here, and would end the process unheard
  try {
    await client.query('BEGIN')
    for (const [where, group] of groups) {
      const { topic = '', partition = 0 } = group[0] ?? {}
      const { rows } = await client.query<{ first: number }>(
        `INSERT INTO bus.head AS head (topic, partition, next) VALUES ($1, $2, $3)
         ON CONFLICT (topic, partition) DO UPDATE SET next = head.next + EXCLUDED.next RETURNING next - $3 AS first`,
        [topic, partition, group.length],
      )
      await client.query(
        `INSERT INTO bus.log (topic, partition, seq, key, headers, value)
         SELECT $1, $2, $3::bigint + ordinal - 1, key, headers, value FROM unnest($4::text[], $5::jsonb[], $6::bytea[]) WITH ORDINALITY AS r (key, headers, value, ordinal)`,
        [topic, partition, rows[0]?.first, group.map(({ key }) => key), group.map(({ headers }) => JSON.stringify(headers)), group.map(({ value }) => value)],
      )
      await client.query('SELECT pg_notify($1, $2)', [CHANNEL, where])
    }
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch((failure: Error) => {
      broken = failure
    })
    throw error
  } finally {
    client.removeListener('error', onError)
    client.release(broken)
  }
}

interface LogRow {
  readonly seq: number
  readonly key: string
  readonly headers: Record<string, string>
  readonly value: Buffer
}

/** From a number on, at most `records` of them and a bounded number of bytes (one record at least). */
export async function fetchFrom(pool: pg.Pool, topic: string, partition: number, seq: number, records: number): Promise<InRecord[]> {
  const { rows } = await pool.query<LogRow>(
    `WITH page AS MATERIALIZED (
       SELECT seq, sum(octet_length(value)) OVER (ORDER BY seq) - octet_length(value) AS before
       FROM (SELECT seq, value FROM bus.log WHERE topic = $1 AND partition = $2 AND seq >= $3 ORDER BY seq LIMIT $4) AS next
     )
     SELECT seq, key, headers, value FROM page JOIN bus.log USING (seq) WHERE topic = $1 AND partition = $2 AND before < $5 ORDER BY seq`,
    [topic, partition, seq, records, FETCH_BYTES],
  )
  return rows.map(({ seq: at, key, headers, value }) => ({ topic, partition, offset: String(at), key, headers, value }))
}

/** Where the group goes on; a new group begins with the oldest record there is. */
export async function committed(pool: pg.Pool, group: string, topic: string, partition: number): Promise<number> {
  const { rows } = await pool.query<{ next: number }>('SELECT next FROM bus.consumer_offset WHERE "group" = $1 AND topic = $2 AND partition = $3', [
    group,
    topic,
    partition,
  ])
  return Number(rows[0]?.next ?? 0)
}

/** Never backwards: a reader that has lost its lock without knowing cannot undo its successor's work. */
export async function commit(pool: pg.Pool, group: string, topic: string, partition: number, next: number): Promise<void> {
  await pool.query(
    `INSERT INTO bus.consumer_offset AS o ("group", topic, partition, next) VALUES ($1, $2, $3, $4)
     ON CONFLICT ("group", topic, partition) DO UPDATE SET next = EXCLUDED.next, committed_at = now() WHERE o.next < EXCLUDED.next`,
    [group, topic, partition, next],
  )
}

/** Reads a topic up to where it ends now. */
export async function readAll(pool: pg.Pool, topic: string, each: (record: InRecord) => Promise<void>): Promise<void> {
  const { rows } = await pool.query<{ partition: number; next: number }>('SELECT partition, next FROM bus.head WHERE topic = $1 ORDER BY partition', [topic])
  for (const { partition, ...head } of rows) {
    const next = Number(head.next)
    for (let seq = 0; seq < next; ) {
      const page = (await fetchFrom(pool, topic, partition, seq, 100)).filter(({ offset }) => Number(offset) < next)
      for (const record of page) await each(record)
      const last = page.at(-1)
      if (!last) break
      seq = Number(last.offset) + 1
    }
  }
}

/** Needs the relay's role. */
export async function sweepLog(pool: pg.Pool): Promise<void> {
  for (;;) {
    const { rowCount } = await pool.query(
      `DELETE FROM bus.log WHERE ctid IN (
         SELECT ctid FROM bus.log WHERE appended_at < now() - $1::interval AND (topic NOT LIKE '%.dlq' OR appended_at < now() - $2::interval) ORDER BY appended_at LIMIT $3)`,
      [RETENTION, DEAD_LETTER_RETENTION, SWEEP_ROWS],
    )
    if (rowCount !== SWEEP_ROWS) return
  }
}
