/**
 * Once per test run: a cluster, the roles, and a migrated template database that each test file clones in some ten
 * milliseconds. A Kafka broker is started by the first file that asks for one. `TEST_DATABASE_URL` names a superuser's connection to use instead of a cluster of our own.
 */
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate } from '@audience-sync/db/migrate'
import { createRoles, MIGRATOR, urlAs } from '@audience-sync/infra/postgres/roles'
import { schemas } from '@audience-sync/infra/postgres/schemas'
import { type PostgresServer, startPostgres } from '@audience-sync/infra/postgres/server'
import pg from 'pg'
import { prepareBroker } from './kafka.ts'
import { TEMPLATE } from './template.ts'

const GIB = 1024 ** 3

declare global {
  var testInfra: { postgres?: PostgresServer; folder?: string; stops: (() => Promise<void>)[] } | undefined
}

export default async function globalSetup(): Promise<void> {
  const infra: NonNullable<typeof globalThis.testInfra> = { stops: [] }
  globalThis.testInfra = infra
  let admin = process.env.TEST_DATABASE_URL
  if (!admin) {
    const folder = mkdtempSync(join(memoryFolder(), 'audience-sync-test-'))
    try {
      const postgres = await startPostgres({ dataDir: folder, unsafeFast: true })
      admin = postgres.url()
      infra.stops.push(async () => {
        await postgres.stop()
        rmSync(folder, { recursive: true, force: true })
      })
    } catch (error) {
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
  }
  await makeTemplate(admin)
  process.env.TEST_ADMIN_URL = admin
  infra.stops.push(prepareBroker())
}

/** Databases in memory are ten times quicker to clone; on disk where memory is short. */
function memoryFolder(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm')
    if (bavail * bsize > GIB) return '/dev/shm'
  } catch {
    // No such folder on this system.
  }
  return tmpdir()
}

async function makeTemplate(admin: string): Promise<void> {
  const client = new pg.Client({ connectionString: admin })
  await client.connect()
  await client.query(`ALTER DATABASE ${TEMPLATE} WITH IS_TEMPLATE false`).catch(() => {})
  await client.query(`DROP DATABASE IF EXISTS ${TEMPLATE}`)
  await client.query(`CREATE DATABASE ${TEMPLATE}`)
  const template = new URL(admin)
  template.pathname = `/${TEMPLATE}`
  await createRoles(template.href)
  await migrate(urlAs(template.href, MIGRATOR), schemas)
  await client.query(`ALTER DATABASE ${TEMPLATE} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`)
  await client.end()
}
