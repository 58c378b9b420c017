/**
 * Brings the schemas up to date: the SQL files that drizzle-kit generated and a person read, in order, each once,
 * all under one advisory lock so that ten pods starting together migrate once. Runs as the migrations' role, never as a service's.
 *
 * Tables are declared without a schema (plain `pgTable`); the search path puts them where they belong. So the tables that
 * every service needs (outbox, inbox, idempotency) are one set of files applied to many schemas.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import pg from 'pg'

const LOCK = 7_310_001 // any constant of ours: one lock for all schemas, migrations are rare and short

interface JournalEntry {
  readonly idx: number
  readonly tag: string
}

export interface Migrations {
  /** Postgres schema; also where the list of applied files is kept. */
  readonly schema: string
  /** Folders named `drizzle` with drizzle-kit's `meta/_journal.json` and its SQL files, applied in this order. */
  readonly folders: readonly string[]
}

/** Applies what is missing of every schema, in the given order. Answers what was applied now, as `schema/package/tag`. */
export async function migrate(url: string, schemas: readonly Migrations[]): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'migrations' })
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK])
    const applied: string[] = []
    for (const { schema, folders } of schemas) {
      await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`)
      await client.query(
        `CREATE TABLE IF NOT EXISTS ${schema}.migration (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
      )
      for (const folder of folders) applied.push(...(await migrateFolder(client, schema, folder)))
    }
    return applied
  } finally {
    await client.end()
  }
}

async function migrateFolder(client: pg.Client, schema: string, folder: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string; sha256: string }>(`SELECT name, sha256 FROM ${schema}.migration`)
  const done = new Map(rows.map(({ name, sha256 }) => [name, sha256]))
  const { entries } = JSON.parse(readFileSync(join(folder, 'meta', '_journal.json'), 'utf8')) as { entries: JournalEntry[] }
  const applied: string[] = []
  for (const { tag } of entries.toSorted((a, b) => a.idx - b.idx)) {
    // drizzle-kit writes "public". before the tables of a foreign key although they were declared without a schema.
    const sql = readFileSync(join(folder, `${tag}.sql`), 'utf8').replaceAll('"public".', '')
    const name = `${basename(dirname(folder))}/${tag}`
    const sha256 = createHash('sha256').update(sql).digest('hex')
    const before = done.get(name)
    if (before === sha256) continue
    if (before !== undefined) throw new Error(`Migration ${schema}/${name} was changed after it had been applied. Write a new one instead.`)
    await client.query('BEGIN')
    try {
      await client.query(`SET LOCAL search_path TO ${schema}`)
      await client.query(sql)
      await client.query(`INSERT INTO ${schema}.migration (name, sha256) VALUES ($1, $2)`, [name, sha256])
      await client.query('COMMIT')
    } catch (cause) {
      await client.query('ROLLBACK')
      throw new Error(`Migration ${schema}/${name} failed and was rolled back: ${(cause as Error).message}`, { cause })
    }
    applied.push(`${schema}/${name}`)
  }
  return applied
}
