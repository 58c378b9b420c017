/** R5: one bucket per quota the platform really has, shared by all pods, on the database's clock. */
import { randomUUID } from 'node:crypto'
import type { Database } from '@audience-sync/db/database'
import type { QuotaDefinition } from '@audience-sync/destination-kit/contract'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { destinationNo } from '../src/connector.ts'
import { block, capacityOf, heed, take } from '../src/store/limiter.ts'

const quota: QuotaDefinition = {
  id: 'points',
  scope: 'account',
  cost: { read: 1, write: 3 },
  capacity: { '': 10, standard: 100 },
  decaySeconds: 300,
}

let database: TestDatabase
let db: Database
let no: number
beforeAll(async () => {
  database = await testDatabase()
  db = database.as('connector_meta', 20)
  no = await destinationNo(db, 'meta')
})
afterAll(() => database.drop())

/** An account of its own for each test. */
const account = () => `act_${randomUUID()}`
const takeAt = (of: string, cost: number, tier: string | null = null) => db.tx((tx) => take(tx, no, quota, of, tier, cost))
const pass = (of: string, seconds: number) =>
  database.admin(`UPDATE sync.quota SET as_of = as_of - $2 * interval '1 second', blocked_until = blocked_until - $2 * interval '1 second' WHERE scope = $1`, [
    of,
    seconds,
  ])

describe('points', () => {
  test('are never taken twice: of 50 pods at once as many get some as there are', async () => {
    const of = account()
    const waits = await Promise.all(Array.from({ length: 50 }, () => takeAt(of, 3)))
    expect(waits.filter((wait) => wait === 0)).toHaveLength(3)
    for (const wait of waits.filter((wait) => wait > 0)) expect(wait).toBeLessThanOrEqual(300_000)
    const [bucket] = await database.admin<{ level: number }>('SELECT level FROM sync.quota WHERE scope = $1', [of])
    expect(bucket?.level).toBeCloseTo(9, 0)
  })

  test('come back evenly over the decay, and the wait that was named is enough', async () => {
    const of = account()
    for (let i = 0; i < 3; i += 1) expect(await takeAt(of, 3)).toBe(0)
    const wait = await takeAt(of, 3)
    // Two points are missing of ten that come back in 300 s.
    expect(wait).toBeGreaterThan(55_000)
    expect(wait).toBeLessThanOrEqual(60_000)
    await pass(of, wait / 1000 - 2)
    expect(await takeAt(of, 3)).toBeGreaterThan(0)
    await pass(of, 2.1)
    expect(await takeAt(of, 3)).toBe(0)
  })

  test('of one account are not another’s', async () => {
    const [one, other] = [account(), account()]
    await db.tx((tx) => block(tx, no, quota, one, 60_000))
    expect(await takeAt(one, 1)).toBeGreaterThan(50_000)
    expect(await takeAt(other, 1)).toBe(0)
  })

  test('of the installation are everybody’s', async () => {
    const all = { ...quota, id: 'project', scope: 'installation' as const }
    for (let i = 0; i < 10; i += 1) expect(await db.tx((tx) => take(tx, no, all, account(), null, 1))).toBe(0)
    expect(await db.tx((tx) => take(tx, no, all, account(), null, 1))).toBeGreaterThan(0)
  })
})

describe('what the platform says', () => {
  test('overrules our count: nobody calls while it blocks, and a shorter block does not lift a longer one', async () => {
    const of = account()
    await db.tx((tx) => block(tx, no, quota, of, 60_000))
    await db.tx((tx) => block(tx, no, quota, of, 1_000))
    expect(await takeAt(of, 1)).toBeGreaterThan(50_000)
    await pass(of, 61)
    expect(await takeAt(of, 1)).toBe(0)
  })

  test.each([
    [50, undefined, 0, 0],
    [80, undefined, 4_000, 5_000],
    [96, undefined, 55_000, 60_000],
    [100, 7_000, 6_000, 7_000],
  ])('of its own figures is heeded: %i %% (regains after %s ms)', async (percent, regainAfterMs, atLeast, atMost) => {
    const of = account()
    await db.tx((tx) => heed(tx, no, quota, of, { quota: 'points', percent, ...(regainAfterMs && { regainAfterMs }) }))
    const wait = await takeAt(of, 1)
    expect(wait).toBeGreaterThanOrEqual(atLeast)
    expect(wait).toBeLessThanOrEqual(atMost)
  })

  test('of the tier is remembered from the second call on; until then the smallest is assumed', async () => {
    const of = account()
    await takeAt(of, 10)
    expect(await takeAt(of, 10)).toBeGreaterThan(0)
    await db.tx((tx) => heed(tx, no, quota, of, { quota: 'points', percent: 1, tier: 'standard' }))
    expect(await takeAt(of, 10)).toBe(0)
  })

  test('of an unknown tier counts as the least that is known', () => {
    expect(capacityOf(quota, 'new')).toBe(10)
    expect(capacityOf({ ...quota, capacity: { a: 5, b: 7 } }, null)).toBe(5)
  })
})
