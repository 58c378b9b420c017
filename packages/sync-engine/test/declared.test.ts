/** Migrations are read, and some written, by hand: the tables that the code declares are the tables that they make. */
import { readdirSync } from 'node:fs'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { is } from 'drizzle-orm'
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const ENGINE = '../src/schema/'

/** Files that declare tables, and the schema that holds them. */
const declared = {
  '../../events/src/schema.ts': 'sync',
  '../../events/src/embedded/schema.ts': 'bus',
  '../../service/src/idempotency-schema.ts': 'sync',
  '../../vault/src/schema.ts': 'sync',
  '../../../services/audiences/src/schema.ts': 'sync',
  '../../../gateway/src/schema.ts': 'gateway',
  '../../../services/connections/src/schema.ts': 'connections',
  '../../../services/behavior-export/src/schema.ts': 'behavior_export',
  '../../../services/scheduler/src/schema.ts': 'scheduler',
  '../../../services/webhooks/src/schema.ts': 'webhooks',
  ...Object.fromEntries(
    readdirSync(new URL(ENGINE, import.meta.url))
      .filter((file) => file !== 'columns.ts')
      .map((file) => [ENGINE + file, 'sync']),
  ),
}

test.each(Object.entries(declared))('%s declares what its migrations make: columns, types, what may be null', async (file, schema) => {
  const tables = Object.values((await import(new URL(file, import.meta.url).pathname)) as object).filter((value): value is PgTable => is(value, PgTable))
  expect(tables.length).toBeGreaterThan(0)
  for (const table of tables) {
    const { name, columns } = getTableConfig(table)
    const made = await database.admin<{ column: string }>(
      `SELECT format('%s %s%s', attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN ' not null' ELSE '' END) AS column
       FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`,
      [`${schema}.${name}`],
    )
    const wanted = columns.map((column) => `${column.name} ${column.getSQLType().replace(' (', '(')}${column.notNull || column.primary ? ' not null' : ''}`)
    expect({ table: name, columns: made.map(({ column }) => column).sort() }).toEqual({ table: name, columns: wanted.sort() })
  }
})
