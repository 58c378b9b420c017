/**
 * Where a system's data lie: a cluster of its own, durable unless it serves a test run. Not a database of the run's cluster: transaction
 * ids are a cluster's, so a long transaction of any other test would keep the change feed behind it (R2), and runs and plans of this
 * system would wait for it, or leave out what they should have seen. Where a server was given (`TEST_DATABASE_URL`) there is only that.
 */
import { join } from 'node:path'
import { migrate } from '@audience-sync/db/migrate'
import { createRoles, MIGRATOR, type ServiceRole, urlAs } from '@audience-sync/infra/postgres/roles'
import { schemas } from '@audience-sync/infra/postgres/schemas'
import { startPostgres } from '@audience-sync/infra/postgres/server'
import pg from 'pg'
import { testDatabase } from './database.ts'

export interface SystemDatabase {
  url(role: ServiceRole): string
  /** One query as superuser: for looking at everything. */
  admin<R extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<R[]>
  drop(): Promise<void>
}

export const systemDatabase = (dataDir: string): Promise<SystemDatabase> => (process.env.TEST_DATABASE_URL ? testDatabase() : ownDatabase(dataDir))

async function ownDatabase(dataDir: string): Promise<SystemDatabase> {
  const postgres = await startPostgres({ dataDir: join(dataDir, 'postgres'), unsafeFast: process.env.TEST_ADMIN_URL !== undefined })
  const adminUrl = postgres.url()
  await createRoles(adminUrl)
  await migrate(urlAs(adminUrl, MIGRATOR), schemas)
  const pool = new pg.Pool({ connectionString: adminUrl, max: 2 })
  pool.on('error', () => {})
  return {
    url: (role) => urlAs(adminUrl, role),
    admin: async <R extends pg.QueryResultRow>(sql: string, values: unknown[] = []) => (await pool.query<R>(sql, values)).rows,
    async drop() {
      await pool.end()
      await postgres.stop()
    },
  }
}
