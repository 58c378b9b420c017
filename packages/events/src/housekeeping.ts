/** What the outboxes and inboxes need not keep. Runs on the relay's connection, in short statements. */
import type pg from 'pg'

const KEEP_PUBLISHED = '3 days' // for looking at; the topic itself keeps 7
const KEEP_INBOX = '14 days' // S-3: longer than any topic keeps an event
const ROWS = 10_000 // a statement's worth: nothing may hold the change feed's horizon

export async function housekeep(client: pg.Client, schema: string): Promise<void> {
  await inPieces(
    client,
    `DELETE FROM ${schema}.outbox WHERE ctid IN (SELECT ctid FROM ${schema}.outbox WHERE published_at < now() - $1::interval LIMIT $2)`,
    KEEP_PUBLISHED,
  )
  await inPieces(
    client,
    `DELETE FROM ${schema}.inbox WHERE ctid IN (SELECT ctid FROM ${schema}.inbox WHERE received_at < now() - $1::interval LIMIT $2)`,
    KEEP_INBOX,
  )
}

async function inPieces(client: pg.Client, sql: string, age: string): Promise<void> {
  for (;;) {
    const { rowCount } = await client.query(sql, [age, ROWS])
    if (rowCount !== ROWS) return
  }
}
