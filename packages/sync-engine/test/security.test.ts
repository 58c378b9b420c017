import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { afterAll, beforeAll, expect, test } from '@jest/globals'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

/** Tables of a tenant or a destination, in any schema, that row-level security does not hold. */
const openTables = () =>
  database.admin<{ table: string }>(`
    SELECT DISTINCT format('%s.%s', n.nspname, c.relname) AS table
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('tenant_id', 'tenant_no', 'destination_no') AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg_%'
      AND (NOT c.relrowsecurity OR NOT c.relforcerowsecurity OR NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))`)

test('every table of a tenant or a destination, in every schema, forces row-level security and has a policy', async () => {
  expect(await openTables()).toEqual([])
})

test('a tenant’s table without it would be found: not enabled, not forced, or without a policy', async () => {
  await database.admin('CREATE TABLE gateway.bare (tenant_id uuid)')
  expect(await openTables()).toEqual([{ table: 'gateway.bare' }])
  await database.admin('ALTER TABLE gateway.bare ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON gateway.bare USING (true)')
  expect(await openTables()).toEqual([{ table: 'gateway.bare' }])
  await database.admin('ALTER TABLE gateway.bare FORCE ROW LEVEL SECURITY; DROP POLICY p ON gateway.bare')
  expect(await openTables()).toEqual([{ table: 'gateway.bare' }])
  await database.admin('DROP TABLE gateway.bare')
})

test('no service owns a table, is a superuser or bypasses row-level security', async () => {
  const strong = await database.admin(
    `SELECT rolname FROM pg_roles WHERE (rolsuper OR rolbypassrls OR rolcreaterole) AND rolname NOT IN ('postgres') AND rolname NOT LIKE 'pg_%'`,
  )
  expect(strong).toEqual([])
  const owners = await database.admin(`SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
  expect(owners).toEqual([{ tableowner: 'migrator' }])
})
