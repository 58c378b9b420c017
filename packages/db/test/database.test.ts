import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { onRollback } from '../src/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const TENANT = '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'

test('a transaction knows its tenant, and the next user of the connection does not', async () => {
  const db = database.as('gateway', 1)
  const seen = await db.tenant(TENANT, async (tx) => (await tx.query(`SELECT current_setting('app.tenant_id') AS id`)).rows[0].id)
  expect(seen).toBe(TENANT)
  const after = await db.pool.query(`SELECT current_setting('app.tenant_id', true) AS id`)
  expect(after.rows[0].id).toBe('')
})

test('a deadlock is tried again as a whole transaction', async () => {
  const db = database.as('gateway', 2)
  let tries = 0
  const result = await db.tx(async (tx) => {
    tries += 1
    if (tries === 1) await tx.query(`DO $$ BEGIN RAISE EXCEPTION 'seeded' USING ERRCODE = '40P01'; END $$`)
    return 'done'
  })
  expect([result, tries]).toEqual(['done', 2])
})

test('what a transaction took out of memory is back when it is tried again', async () => {
  const db = database.as('gateway', 2)
  const waiting = ['a', 'b']
  const seen: string[][] = []
  await db.tx(async (tx) => {
    const taken = waiting.splice(0)
    onRollback(tx, () => waiting.unshift(...taken))
    seen.push(taken)
    if (seen.length === 1) await tx.query(`DO $$ BEGIN RAISE EXCEPTION 'seeded' USING ERRCODE = '40P01'; END $$`)
  })
  expect([seen, waiting]).toEqual([
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    [],
  ])
})

test('a failed transaction leaves nothing and its connection is clean', async () => {
  const db = database.as('relay', 1)
  await expect(
    db.tx(async (tx) => {
      await tx.query('CREATE TEMPORARY TABLE left_over (a int)')
      throw new Error('on purpose')
    }),
  ).rejects.toThrow('on purpose')
  const { rows } = await db.pool.query(`SELECT to_regclass('pg_temp.left_over') AS there`)
  expect(rows[0].there).toBeNull()
})
