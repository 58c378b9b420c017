/** Where a system's data lie: a clone of the test run's template, or, outside a test run, a durable cluster of one's own. */
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

export const systemDatabase = (dataDir: string): Promise<SystemDatabase> => (process.env.TEST_ADMIN_URL ? testDatabase() : ownDatabase(dataDir))

async function ownDatabase(dataDir: string): Promise<SystemDatabase> {
  const postgres = await startPostgres({ dataDir: join(dataDir, 'postgres') })
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
