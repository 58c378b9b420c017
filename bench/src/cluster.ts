/** A PostgreSQL of the benchmark's own, as durable as in production, and databases in it with all schemas. Gone when it is over. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { type Database, openDatabase } from '@audience-sync/db/database'
import { migrate } from '@audience-sync/db/migrate'
import { createRoles, MIGRATOR, type ServiceRole, urlAs } from '@audience-sync/infra/postgres/roles'
import { schemas } from '@audience-sync/infra/postgres/schemas'
import { startPostgres } from '@audience-sync/infra/postgres/server'
import pg from 'pg'
import { scratch } from './figures.ts'

export interface BenchDatabase {
  url(role: ServiceRole): string
  /** As a service sees it, under row-level security. */
  as(role: ServiceRole): Database
  /** As superuser: for generated data and for looking at results, never for what is measured. */
  admin<R extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<R[]>
}

export interface Cluster {
  /** For the conditions of a report. */
  readonly settings: Readonly<Record<string, string>>
  database(name: string): Promise<BenchDatabase>
  stop(): Promise<void>
}

async function openCluster(): Promise<Cluster> {
  mkdirSync(scratch('.'), { recursive: true }) // PostgreSQL's own user has to pass through
  const dataDir = scratch(`postgres-${randomBytes(4).toString('hex')}`)
  const server = await startPostgres({ dataDir })
  const closing: (() => Promise<void>)[] = []
  const root = new pg.Pool({ connectionString: server.url(), max: 1 })
  const setting = async (name: string) => (await root.query<Record<string, string>>(`SHOW ${name}`)).rows[0]?.[name] ?? ''
  const names = ['server_version', 'shared_buffers', 'fsync', 'synchronous_commit'] as const
  const settings = Object.fromEntries(await Promise.all(names.map(async (name) => [`postgres ${name}`, await setting(name)] as const)))
  return {
    settings,
    async database(name) {
      await root.query(`CREATE DATABASE ${name}`)
      await createRoles(server.url(name))
      await migrate(urlAs(server.url(name), MIGRATOR), schemas)
      const admin = new pg.Pool({ connectionString: server.url(name), max: 2 })
      admin.on('error', () => {}) // the server goes first when something else failed
      closing.push(() => admin.end())
      const url = (role: ServiceRole) => urlAs(server.url(name), role)
      return {
        url,
        as(role) {
          const database = openDatabase({ url: url(role), name: `bench ${role}` })
          closing.push(() => database.close())
          return database
        },
        admin: async <R extends pg.QueryResultRow>(sql: string, values: unknown[] = []) => (await admin.query<R>(sql, values)).rows,
      }
    },
    async stop() {
      await Promise.all([root.end(), ...closing.map((close) => close())])
      await server.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** Runs `fn` on a cluster of its own and takes it away again, whatever happens. */
export async function onCluster<T>(fn: (cluster: Cluster) => Promise<T>): Promise<T> {
  const cluster = await openCluster()
  try {
    return await fn(cluster)
  } finally {
    await cluster.stop()
  }
}
