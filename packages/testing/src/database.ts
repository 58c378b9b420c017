/** A database of one's own for one test file, cloned from the migrated template. */
import { randomBytes } from 'node:crypto'
import { type Database, openDatabase } from '@audience-sync/db/database'
import { type ServiceRole, urlAs } from '@audience-sync/infra/postgres/roles'
import pg from 'pg'
import { TEMPLATE } from './template.ts'

export interface TestDatabase {
  /** Connection string of the superuser: for looking at everything, never for the code under test. */
  readonly adminUrl: string
  /** Connection string of a service's role. */
  url(role: ServiceRole): string
  /** A `Database` of a service's role; closed with the test database. */
  as(role: ServiceRole, max?: number): Database
  /** One query as superuser. */
  admin<R extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<R[]>
  drop(): Promise<void>
}

/** Of those who wait in line for a connection, in tests that let a hundred in at once. */
export const PATIENT_MS = 60_000

/** Call in `beforeAll`, and `drop()` in `afterAll`. */
export async function testDatabase(): Promise<TestDatabase> {
  const root = process.env.TEST_ADMIN_URL
  if (!root) throw new Error('TEST_ADMIN_URL is not set: tests with Postgres belong in a test/ folder, where jest starts the cluster.')
  const name = `t_${randomBytes(6).toString('hex')}`
  await asRoot(root, `CREATE DATABASE ${name} TEMPLATE ${TEMPLATE} STRATEGY file_copy`)
  const at = new URL(root)
  at.pathname = `/${name}`
  const adminUrl = at.href
  // Privileges on a database are not copied with it.
  const admin = new pg.Pool({ connectionString: adminUrl, max: 2 })
  admin.on('error', () => {})
  await admin.query(`GRANT CONNECT, TEMPORARY ON DATABASE ${name} TO PUBLIC`)
  const opened: Database[] = []
  return {
    adminUrl,
    url: (role) => urlAs(adminUrl, role),
    as(role, max) {
      const database = openDatabase({ url: urlAs(adminUrl, role), name: `test ${role}`, connectTimeoutMs: PATIENT_MS, ...(max && { max }) })
      opened.push(database)
      return database
    },
    admin: async <R extends pg.QueryResultRow>(sql: string, values: unknown[] = []) => (await admin.query<R>(sql, values)).rows,
    async drop() {
      await Promise.all(opened.map((database) => database.close()))
      await admin.end()
      // Without FORCE: it would kill backends that are already leaving, and their clients would see an error.
      for (let tries = 0; ; tries += 1) {
        try {
          await asRoot(root, `DROP DATABASE ${name}`)
          return
        } catch (error) {
          if (tries >= 50 || (error as { code?: string }).code !== '55006') throw error // 55006: somebody is still connected
        }
      }
    },
  }
}

async function asRoot(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
