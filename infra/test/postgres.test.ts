import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { postgresFolder, startPostgres } from '@audience-sync/infra/postgres/server'
import { afterEach, expect, test } from '@jest/globals'
import pg from 'pg'

let parent = ''
afterEach(() => {
  const folder = postgresFolder(join(parent, 'postgres'))
  rmSync(folder, { recursive: true, force: true })
  rmSync(parent, { recursive: true, force: true })
})

const ask = async (url: string, sql: string) => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(sql)
  await client.end()
  return rows
}

test('starts in a private folder too, whoever starts it, and finds its data again', async () => {
  parent = mkdtempSync(join(tmpdir(), 'private-'))
  chmodSync(parent, 0o700)
  const options = { dataDir: join(parent, 'postgres'), unsafeFast: true }
  const first = await startPostgres(options)
  await ask(first.url(), 'CREATE TABLE kept AS SELECT 1 AS n')
  await first.stop()
  const second = await startPostgres(options)
  expect(await ask(second.url(), 'SELECT n FROM kept')).toEqual([{ n: 1 }])
  await second.stop()
  expect(existsSync(join(postgresFolder(options.dataDir), 'cluster', 'postmaster.pid'))).toBe(false)
})
