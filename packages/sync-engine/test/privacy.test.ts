/** What is kept about people, who may see it, and how the suppression log is read (SYNC.md C8, C10, R7, S-9). */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { readSuppressions } from '../src/suppressions.ts'
import { sha256 } from './people.ts'
import { makeWorld, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await makeWorld()
  for (const no of [1, 2, 3]) world.behavior.join(no)
})
afterEach(() => world.close())

describe('at rest', () => {
  test('no identifier and no digest is in any table, in no form, before and after its call is known', async () => {
    const secrets = [1, 2, 3].flatMap((no) => [`p${no}@example.com`, sha256(`p${no}@example.com`)])
    const look = async () => {
      const tables = await world.database.admin<{ name: string }>(
        `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
      )
      for (const { name } of tables) {
        const rows = await world.database.admin<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)
        const text = rows.map(({ row }) => row).join('\n')
        for (const secret of secrets) {
          expect(text.includes(secret)).toBe(false)
          expect(text.includes(Buffer.from(secret).toString('base64'))).toBe(false)
        }
      }
    }
    world.hooks.beforePush = look
    await world.sync()
    await look()
    const [call] = await world.database.admin(`SELECT request FROM sync.call WHERE path LIKE '%/users'`)
    expect(call?.request).toBeTruthy()
    expect(await world.database.admin('SELECT count(*)::int AS n FROM sync.ledger')).toEqual([{ n: 3 }])
  })

  test('a row of the ledger is bound to its person: it does not open as another’s', async () => {
    await world.sync()
    await world.database.admin(`UPDATE sync.ledger SET held = (SELECT held FROM sync.ledger WHERE customer_no = 2) WHERE customer_no = 1`)
    world.behavior.leave(1)
    const run = await world.submit()
    expect(await world.run(run)).toMatchObject({ status: 'failed', error: { code: 'internal' } })
    expect(world.far()).toHaveLength(3)
  })
})

describe('who sees what', () => {
  const TABLES = ['audience', 'run', 'batch', 'call', 'history', 'ledger']
  const visible = async (query: (sql: string) => Promise<{ rows: { n: number }[] }>) =>
    (await query(`SELECT n FROM (VALUES ${TABLES.map((table, i) => `(${i}, (SELECT count(*)::int FROM ${table}))`).join()}) AS t(i, n) ORDER BY i`)).rows.map(
      ({ n }) => n,
    )

  test('a connector sees its own destination, of all tenants, and nothing of another’s', async () => {
    await world.sync()
    await world.database.admin(`INSERT INTO sync.destination (id) VALUES ('elsewhere')`)
    // A role of its own, as every connector's: made here because there is no such service.
    const role = `connector_elsewhere_${randomUUID().slice(0, 8)}`
    await world.database.admin(`UPDATE sync.destination SET id = '${role.slice('connector_'.length)}' WHERE id = 'elsewhere'`)
    await world.database.admin(`CREATE ROLE ${role} IN ROLE connector`)
    const other = new pg.Client({ connectionString: world.database.adminUrl })
    await other.connect()
    try {
      await other.query(`SET ROLE ${role}; SET search_path = sync`)
      expect(await visible((sql) => other.query(sql))).toEqual(TABLES.map(() => 0))
      expect((await visible((sql) => world.engine.db.pool.query(sql))).every((n) => n > 0)).toBe(true)
      for (const table of ['tombstone', 'quota', 'suppression_cursor']) {
        const { rows } = await other.query(`SELECT count(*)::int AS n FROM ${table}`)
        expect(rows).toEqual([{ n: 0 }])
      }
      await expect(other.query(`UPDATE audience SET name = 'taken'`)).resolves.toMatchObject({ rowCount: 0 })
      await expect(
        other.query('INSERT INTO tombstone (destination_no, customer_no, purposes, xid, seq) VALUES ($1, 1, 1, 1, 1)', [world.engine.destinationNo]),
      ).rejects.toThrow('row-level security')
    } finally {
      await other.end()
      await world.database.admin(`DROP ROLE ${role}`)
    }
  })

  test('the audiences service sees one tenant at a time, and none without a name', async () => {
    await world.sync()
    const db = world.database.as('audiences')
    const seen = (tenant: string) => db.tenant(tenant, (tx) => visible((sql) => tx.query(sql)))
    expect((await seen(world.tenantId)).every((n) => n > 0)).toBe(true)
    expect(await seen(randomUUID())).toEqual(TABLES.map(() => 0))
    expect(await visible((sql) => db.pool.query(sql))).toEqual(TABLES.map(() => 0))
  })

  test('the audiences service may not write what only a connector knows', async () => {
    const db = world.database.as('audiences')
    for (const sql of ['DELETE FROM ledger', `UPDATE ledger SET held = ''`, 'SELECT payload FROM batch_payload', 'SELECT * FROM tombstone'])
      await expect(db.tenant(world.tenantId, (tx) => tx.query(sql))).rejects.toThrow('permission denied')
  })
})

describe('the suppression log', () => {
  test('C8: is read again from its beginning when its history is another', async () => {
    await world.sync()
    world.behavior.suppress(1)
    await world.suppressions()
    await world.database.admin('DELETE FROM sync.tombstone')
    world.behavior.epoch = 'e2'
    await world.suppressions()
    expect(await world.database.admin('SELECT customer_no FROM sync.tombstone')).toEqual([{ customer_no: 1 }])
    expect(await world.database.admin('SELECT epoch FROM sync.suppression_cursor')).toEqual([{ epoch: 'e2' }])
  })

  test('read by many at once makes one run for privacy, and its cursor never goes back', async () => {
    await world.sync()
    world.behavior.suppress(1)
    world.behavior.suppress(2)
    await Promise.all(Array.from({ length: 10 }, () => readSuppressions(world.engine)))
    expect(await world.database.admin(`SELECT status FROM sync.run WHERE trigger = 'privacy'`)).toHaveLength(1)
    expect(await world.database.admin('SELECT position FROM sync.suppression_cursor')).toEqual([{ position: world.behavior.suppressed.at(-1)?.at }])
  })

  test('C10: makes no run for whoever is in no ledger, and a tombstone all the same', async () => {
    world.behavior.suppress(3)
    await world.suppressions()
    expect(await world.database.admin(`SELECT no FROM sync.run WHERE trigger = 'privacy'`)).toEqual([])
    expect(await world.database.admin('SELECT customer_no FROM sync.tombstone')).toEqual([{ customer_no: 3 }])
  })
})

describe('the settler', () => {
  test('forgets whoever was removed, when the platform has applied it', async () => {
    await world.sync()
    world.behavior.leave(1)
    await world.submit()
    const people = () => world.database.admin('SELECT customer_no AS no FROM sync.ledger ORDER BY 1')
    expect(await people()).toEqual([{ no: 1 }, { no: 2 }, { no: 3 }])
    await world.settle()
    expect(await people()).toEqual([{ no: 2 }, { no: 3 }])
  })

  test('does not forget whoever came back meanwhile', async () => {
    await world.sync()
    world.behavior.leave(1)
    await world.submit()
    world.behavior.join(1)
    await world.submit()
    await world.settle()
    expect(await world.database.admin('SELECT customer_no AS no FROM sync.ledger ORDER BY 1')).toEqual([{ no: 1 }, { no: 2 }, { no: 3 }])
    expect(world.far()).toHaveLength(3)
  })
})
