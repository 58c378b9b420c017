/** R5: one bucket per quota the platform really has, shared by all pods, on the database’s clock unless a test pushes it. */
import { randomUUID } from 'node:crypto'
import type { Database } from '@audience-sync/db/database'
import type { Usage } from '@audience-sync/destination-kit/contract'
import type { QuotaDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { destinationNo } from '../src/connector.ts'
import { block, blockedFor, capacityOf, heed, heedAll, take } from '../src/store/limiter.ts'

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
const clock = { aheadMs: 0 }
const callerOf = (of: string, tier: string | null = null, tenantId: string = randomUUID()) => ({
  destinationNo: no,
  tenantId,
  accountId: randomUUID(),
  accountExternalId: of,
  tier,
  aheadMs: clock.aheadMs,
})
const costing = (cost: number, definition = quota): QuotaDefinition => ({ ...definition, cost: { read: cost, write: cost } })
const takeAt = async (of: string, cost: number, tier: string | null = null) =>
  (await db.tx((tx) => take(tx, [costing(cost)], callerOf(of, tier), 'write'))).waitMs
const blockAt = (of: string, forMs: number) => db.tx((tx) => block(tx, quota, callerOf(of), forMs))
const hear = (of: string, usage: Partial<Usage>) => db.tx((tx) => heed(tx, quota, callerOf(of), { quota: 'points', percent: 1, ...usage }))
/** The limiter's clock is pushed. */
const pass = (_of: string, seconds: number) => {
  clock.aheadMs += seconds * 1_000
}

/** Until that backend waits for a lock. */
const waitedFor = (pid: number) =>
  until('a lock waited for', async () => {
    const [row] = await database.admin<{ waits: boolean }>(`SELECT wait_event_type = 'Lock' AS waits FROM pg_stat_activity WHERE pid = $1`, [pid])
    return row?.waits === true
  })

describe('points', () => {
  test('are never taken twice: of 50 pods at once as many get some as there are', async () => {
    const of = account()
    const waits = await Promise.all(Array.from({ length: 50 }, () => takeAt(of, 3)))
    // A fourth would pass 95 %; the third is in the zone of gaps, so it may have to wait for the gap of the second.
    expect(waits.filter((wait) => wait === 0)).toHaveLength(3)
    for (const wait of waits.filter((wait) => wait > 0)) expect(wait).toBeLessThanOrEqual(320_000)
    const [bucket] = await database.admin<{ spent: [number, number][] }>('SELECT spent FROM sync.quota WHERE scope = $1', [of])
    expect(bucket?.spent.reduce((sum, [, points]) => sum + points, 0)).toBe(9)
  })

  test('come back after the decay, and the wait that was named is enough', async () => {
    const of = account()
    for (let i = 0; i < 3; i += 1) expect(await takeAt(of, 3)).toBe(0)
    const wait = await takeAt(of, 3)
    expect(wait).toBeGreaterThan(300_000)
    expect(wait).toBeLessThanOrEqual(320_000)
    pass(of, wait / 1000 - 20) // more than the seconds that this takes
    expect(await takeAt(of, 3)).toBeGreaterThan(0)
    pass(of, 20.1)
    expect(await takeAt(of, 3)).toBe(0)
  })

  test('are taken and heard of in one order, whatever the headers’ order: no two workers of an account wait for each other', async () => {
    const of = account()
    const quotas = ['first', 'second'].map((id): QuotaDefinition => ({ ...quota, id }))
    const usages = ['second', 'first'].map((id): Usage => ({ quota: id, percent: 1 }))
    const [hearing, heard] = [Promise.withResolvers<void>(), Promise.withResolvers<number>()]
    // One has taken of the first and goes on to the second, while another hears of both.
    const taking = db.tx(async (tx) => {
      await take(tx, quotas.slice(0, 1), callerOf(of), 'write')
      hearing.resolve()
      await waitedFor(await heard.promise)
      // Nobody holds the second: there is nothing to wait for.
      await tx.query(`SET LOCAL lock_timeout = '200ms'`)
      return take(tx, quotas, callerOf(of), 'write')
    })
    await hearing.promise
    const listening = db.tx(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
      heard.resolve(rows[0]?.pid ?? 0)
      return heedAll(tx, quotas, callerOf(of), usages)
    })
    expect(await Promise.all([taking.then(({ waitMs }) => waitMs), listening])).toEqual([expect.any(Number), []])
  })

  test('of one account are not another’s', async () => {
    const [one, other] = [account(), account()]
    await blockAt(one, 60_000)
    expect(await takeAt(one, 1)).toBeGreaterThan(50_000)
    expect(await takeAt(other, 1)).toBe(0)
  })

  test('of the installation are everybody’s', async () => {
    const all = { ...costing(1), id: 'project', scope: 'installation' as const }
    const takeOne = async () => (await db.tx((tx) => take(tx, [all], callerOf(account()), 'write'))).waitMs
    for (let i = 0; i < 8; i += 1) expect(await takeOne()).toBe(0)
    pass('', 30) // the gap
    expect(await takeOne()).toBe(0)
    expect(await takeOne()).toBeGreaterThan(0)
  })

  test('of several quotas are taken all or none: whoever waits for one has lost none of the other', async () => {
    const of = account()
    const other = { ...quota, id: 'other' }
    await db.tx((tx) => block(tx, other, callerOf(of), 60_000))
    const refused = await db.tx((tx) => take(tx, [quota, other], callerOf(of), 'write'))
    expect(refused).toMatchObject({ quota: 'other' })
    expect(refused.waitMs).toBeGreaterThan(50_000)
    expect(await database.admin(`SELECT spent FROM sync.quota WHERE scope = $1 AND quota = 'points'`, [of])).toEqual([{ spent: [] }])
  })

  test('are slowed down from three quarters on: the next call waits for the gap', async () => {
    const of = account()
    expect(await takeAt(of, 8)).toBe(0)
    // 80 %: a quarter of the way from 75 to 95 % of the 240 s in which eight points of ten come back.
    const wait = await takeAt(of, 1)
    expect(wait).toBeGreaterThan(55_000)
    expect(wait).toBeLessThanOrEqual(60_000)
  })
})

describe('a tenant’s share of the installation’s points', () => {
  const project: QuotaDefinition = { id: 'shared', scope: 'installation', cost: { read: 1, write: 1 }, capacity: { '': 20 }, decaySeconds: 300 }
  const takeAs = async (tenantId: string) => (await db.tx((tx) => take(tx, [project], callerOf(account(), null, tenantId), 'write'))).waitMs
  /** Somebody of this tenant has something to do. */
  const wants = async (tenantId: string) => {
    await database.admin(
      `WITH made AS (INSERT INTO sync.audience (id, tenant_id, tenant_no, destination, destination_no, behavior_id, connection_id, account_id, account_external_id, name, purpose,
         schedule, identifiers, retry_policy, brake, minimum_size, settings, status)
       VALUES (gen_random_uuid(), $1, 1, 'meta', $2, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'x', 'n', 'targeting', '{}', '{email}', '{}', '{}', 0, '{}', 'active') RETURNING no)
       INSERT INTO sync.run (id, tenant_id, audience_no, destination, destination_no, trigger, mode) SELECT gen_random_uuid(), $1, no, 'meta', $2, 'api', 'incremental' FROM made`,
      [tenantId, no],
    )
  }

  test('is not passed while another wants points, and the other gets its own; below three quarters nobody is held back', async () => {
    const [greedy, late] = [randomUUID(), randomUUID()]
    await wants(greedy)
    await wants(late)
    for (let i = 0; i < 15; i += 1) expect(await takeAs(greedy)).toBe(0) // idle points are used
    expect(await takeAs(late)).toBe(0) // 75 % are out: scarce from here on, and the late one is first
    pass('', 5) // the gap
    const wait = await takeAs(greedy)
    expect(await takeAs(late)).toBe(0)
    // It has 15 points of the nine and a half that are its share: it waits until they are back.
    expect(wait).toBeGreaterThan(290_000)
    pass('', wait / 1_000)
    expect(await takeAs(greedy)).toBe(0)
  })
})

describe('what the platform says', () => {
  test('overrules our count: nobody calls while it blocks, and a shorter block does not lift a longer one', async () => {
    const of = account()
    await blockAt(of, 60_000)
    await blockAt(of, 1_000)
    expect(await takeAt(of, 1)).toBeGreaterThan(50_000)
    pass(of, 61)
    expect(await takeAt(of, 1)).toBe(0)
  })

  test.each([
    [50, undefined, 0, 0],
    [85, undefined, 0, 0], // slowed down, not stopped: this call may go, the next waits for the gap
    [95, undefined, 300_000, 320_000],
    [100, undefined, 300_000, 320_000],
    [100, 60_000, 30_000, 60_000],
    [3, 60_000, 30_000, 60_000], // the platform refuses calls for another reason than its percentages
  ])('of its own figures is heeded: %i %% (regains after %s ms)', async (percent, regainAfterMs, atLeast, atMost) => {
    const of = account()
    await hear(of, { percent, regainAfterMs })
    const wait = await takeAt(of, 1)
    expect(wait).toBeGreaterThanOrEqual(atLeast)
    expect(wait).toBeLessThanOrEqual(atMost)
    // Once the platform takes calls again, it is believed: several go.
    if (regainAfterMs) {
      pass(of, regainAfterMs / 1_000)
      for (let i = 0; i < 3; i += 1) expect(await takeAt(of, 1)).toBe(0)
    }
    if (percent === 85) expect(await takeAt(of, 0.5)).toBeGreaterThan(10_000)
  })

  test('of the tier is remembered from the second call on; until then the smallest is assumed', async () => {
    const of = account()
    await takeAt(of, 9)
    expect(await takeAt(of, 9)).toBeGreaterThan(0)
    await hear(of, { tier: 'standard' })
    pass(of, 320)
    expect(await takeAt(of, 9)).toBe(0)
    expect(await takeAt(of, 50)).toBe(0)
  })

  test('of calls refused reaches whoever has taken points already', async () => {
    const of = account()
    expect(await takeAt(of, 1)).toBe(0)
    expect(await db.tx((tx) => blockedFor(tx, [quota], callerOf(of), 'write'))).toBe(0)
    await blockAt(of, 60_000)
    expect(await db.tx((tx) => blockedFor(tx, [quota], callerOf(of), 'write'))).toBeGreaterThan(50_000)
    expect(await db.tx((tx) => blockedFor(tx, [{ ...quota, cost: { read: 1, write: 0 } }], callerOf(of), 'write'))).toBe(0)
  })

  test('where only the platform counts: its percentage alone stops calls', async () => {
    const of = account()
    const told: QuotaDefinition = { id: 'told', scope: 'account', cost: { read: 0, write: 0 }, capacity: { '': 100 }, decaySeconds: 3_600 }
    const takeTold = async () => (await db.tx((tx) => take(tx, [told], callerOf(of), 'write'))).waitMs
    for (let i = 0; i < 3; i += 1) expect(await takeTold()).toBe(0)
    await db.tx((tx) => heed(tx, told, callerOf(of), { quota: 'told', percent: 96 }))
    const wait = await takeTold()
    expect(wait).toBeGreaterThan(3_600_000)
    expect(wait).toBeLessThanOrEqual(3_840_000)
  })

  test('of an unknown tier counts as the least that is known', () => {
    expect(capacityOf(quota, 'new')).toBe(10)
    expect(capacityOf({ ...quota, capacity: { a: 5, b: 7 } }, null)).toBe(5)
  })

  test('of each audience adds to what the account may use, up to the most there is', () => {
    const growing = { ...quota, capacity: { '': 5_000, full: 190_000 }, perAudience: { points: 40, most: 195_000 } }
    expect(capacityOf(growing, null, 12)).toBe(5_480)
    expect(capacityOf(growing, 'full', 12)).toBe(190_480)
    expect(capacityOf(growing, 'full', 500)).toBe(195_000)
  })
})
