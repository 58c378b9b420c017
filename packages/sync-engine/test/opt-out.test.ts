/**
 * Opt-outs for the whole account (R7), and removals that the platform refuses because of the size they would leave: against the strict
 * twin, with several audiences in one account.
 */
import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestRepeats } from '../src/worker/repeat.ts'
import { sha256 } from './people.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

const BUSINESS = '2000000000000001'
const NO_BRAKE = { brake: { sharePercent: 100, minimum: 100 } }

/** Never by a new list. */
const ONE_BY_ONE = { settings: { fullRefresh: 'add_and_remove' } }

let world: World
afterEach(() => world.close())

/** People 1 … n are in the first audience, and in so many others of the same account. */
async function start({ people = 3, others = 0, ...options }: WorldOptions & { people?: number; others?: number } = {}): Promise<number[]> {
  world = await makeWorld({ businessId: BUSINESS, ...NO_BRAKE, ...options })
  for (let no = 1; no <= people; no += 1) world.behavior.join(no)
  await world.sync()
  const made: number[] = []
  for (let i = 0; i < others; i += 1) {
    const [row] = await world.database.admin<{ no: number }>(
      `INSERT INTO sync.audience (id, tenant_id, tenant_no, destination, destination_no, behavior_id, connection_id, account_id, account_external_id, name, purpose, schedule, identifiers, retry_policy, brake, minimum_size, settings, status)
       SELECT $2, tenant_id, tenant_no, destination, destination_no, behavior_id, connection_id, account_id, account_external_id, 'Other ' || $3, purpose, schedule, identifiers, retry_policy, brake, minimum_size, settings, 'pending'
       FROM sync.audience WHERE no = $1 RETURNING no`,
      [world.audienceNo, randomUUID(), String(i)],
    )
    if (row) made.push(row.no)
    await world.database.admin(
      `INSERT INTO sync.run (id, tenant_id, audience_no, destination, destination_no, trigger, mode) SELECT $2, tenant_id, no, destination, destination_no, 'created', 'full' FROM sync.audience WHERE no = $1`,
      [row?.no, randomUUID()],
    )
  }
  await world.work()
  await settleAll()
  return made
}

const calls = (part: string) => world.twin.journal().filter(({ method, path }) => method === 'DELETE' && path.split('?')[0]?.endsWith(part))
const wide = () => calls('/usersofanyaudience')
const narrow = () => calls('/users')
const optOut = async (...people: number[]) => {
  for (const no of people) world.behavior.suppress(no)
  await world.suppressions()
  await world.work()
}
/** Each audience is looked at by itself. */
const settleAll = async () => {
  for (let i = 0; i < 4; i += 1) await world.settle()
}
const proofs = () =>
  world.database.admin<{ audience: number; no: number; state: string; shared: boolean; receipt: { fbtraceId?: string }; rows: number; sha: string }>(
    `SELECT p.audience_no AS audience, p.customer_no AS no, b.state, b.shared_call IS NOT NULL AS shared, b.receipt, b.rows, encode(b.sha256, 'hex') AS sha
     FROM sync.privacy_removal p JOIN sync.batch b ON b.no = p.batch_no WHERE b.audience_no = p.audience_no AND b.state IN ('accepted', 'applied') ORDER BY p.audience_no, p.customer_no, b.no`,
  )
const due = () =>
  world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status IN ('waiting', 'queued'); UPDATE sync.quota SET blocked_until = NULL`)
const left = () => world.database.admin(`SELECT audience_no, customer_no, reason FROM sync.todo ORDER BY 1, 2`)

describe('an opt-out', () => {
  test('R7: is one call for all audiences of the account, and each of them has its proof', async () => {
    await start({ others: 3 })
    expect(world.far()).toHaveLength(12)
    await optOut(1)
    expect(wide()).toHaveLength(1)
    expect(narrow()).toHaveLength(0)
    await settleAll()
    expect(world.far()).toEqual(
      Array.from({ length: 4 }, () => [sha256('p2@example.com'), sha256('p3@example.com')])
        .flat()
        .sort(),
    )
    const proof = await proofs()
    expect(proof.map(({ state }) => state)).toEqual(Array.from({ length: 4 }, () => 'applied'))
    expect(proof.filter(({ shared }) => shared)).toHaveLength(3)
    // The very bytes and answer of the one call.
    const [call] = wide()
    expect(new Set(proof.map(({ sha }) => sha))).toEqual(new Set([sha256(typeof call?.body === 'string' ? call.body : JSON.stringify(call?.body))]))
    expect(new Set(proof.map(({ receipt }) => JSON.stringify(receipt))).size).toBe(1)
    expect(await world.database.admin('SELECT DISTINCT customer_no AS no FROM sync.ledger ORDER BY 1')).toEqual([{ no: 2 }, { no: 3 }])
    expect(await left()).toEqual([])
  })

  test('R7: goes to each audience by itself where the account belongs to no portfolio, with proof', async () => {
    world = await makeWorld(NO_BRAKE)
    for (const no of [1, 2]) world.behavior.join(no)
    await world.sync()
    await optOut(1)
    await world.settle()
    expect(wide()).toHaveLength(0)
    expect(narrow()).toHaveLength(1)
    expect(world.far()).toEqual([sha256('p2@example.com')])
    expect(await proofs()).toMatchObject([{ no: 1, state: 'applied', shared: false, rows: 1 }])
  })

  test('C13: leaves alone whoever stays in another audience of the account, and removes them from this one', async () => {
    const [ldu] = await start({ others: 1 })
    await world.database.admin(`UPDATE sync.audience SET settings = '{"limitedDataUse":true}' WHERE no = $1`, [ldu])
    world.behavior.suppress(1, ['ads'])
    await world.suppressions()
    await world.work()
    await world.settle()
    expect(wide()).toHaveLength(0)
    expect(narrow()).toHaveLength(1)
    expect(world.far().filter((digest) => digest === sha256('p1@example.com'))).toHaveLength(1)
  })

  test('S-4: is sent again byte for byte after its answer was lost, and once', async () => {
    await start({ others: 1 })
    world.twin.fault({ kind: 'apply_then_reset', match: { path: '/usersofanyaudience' }, times: 1 })
    await optOut(1)
    await due()
    await world.work()
    await world.settle()
    expect(wide()).toHaveLength(2)
    expect(new Set(wide().map(({ body }) => JSON.stringify(body))).size).toBe(1)
    expect(new Set(world.far())).toEqual(new Set([sha256('p2@example.com'), sha256('p3@example.com')]))
    expect(await left()).toEqual([])
  })

  test('C12: is not taken for done in an audience whose ledger says something else than it did at the call', async () => {
    const [other] = await start({ others: 1 })
    world.behavior.suppress(1)
    await world.suppressions()
    // The other audience's turn comes later; what it holds is not what the call saw.
    await world.database.admin(`UPDATE sync.run SET not_before = now() + interval '1 hour' WHERE audience_no = $1`, [other])
    await world.work()
    await world.database.admin(`UPDATE sync.privacy_removal SET held_digest = '\\x00' WHERE held_digest IS NOT NULL`)
    await due()
    await world.work()
    expect(wide()).toHaveLength(2)
    expect((await proofs()).map(({ shared }) => shared)).toEqual([false, false])
  })

  test('C4: is said again for the account when an addition may still land after it', async () => {
    await start({ twin: { reorder: true } })
    world.behavior.join(4)
    await world.request()
    await world.work()
    await optOut(4)
    expect(wide()).toHaveLength(1)
    for (let i = 0; i < 3; i += 1) {
      world.twin.clock.advance(20_000)
      await world.settle()
      await requestRepeats(world.engine)
      await world.work()
    }
    expect(wide().length).toBeGreaterThan(1)
    expect(narrow()).toHaveLength(0)
    expect(world.far()).not.toContain(sha256('p4@example.com'))
    expect((await proofs()).filter(({ no }) => no === 4).length).toBeGreaterThan(1)
  })

  test('C2: says whoever shares an identifier again, in every audience that the call reached', async () => {
    await start({ others: 1 })
    const again = await world.database.admin(`SELECT count(*)::int AS n FROM sync.say_again`)
    expect(again).toEqual([{ n: 0 }])
    // Person 2 carries the same address in both.
    world.behavior.join(2, { email: 'p1@example.com', phone: '+14155550102' })
    await world.request()
    await world.work()
    await world.database.admin(
      `INSERT INTO sync.run (id, tenant_id, audience_no, destination, destination_no, trigger, mode) SELECT gen_random_uuid(), tenant_id, no, destination, destination_no, 'api', 'full' FROM sync.audience WHERE no <> $1`,
      [world.audienceNo],
    )
    await world.work()
    await world.settle()
    await optOut(1)
    const said = await world.database.admin<{ no: number }>(
      'SELECT audience_no AS no FROM sync.say_again WHERE customer_no = 2 AND after_batch IS NOT NULL ORDER BY 1',
    )
    expect(said).toHaveLength(2)
  })
})

describe('a removal that would make the audience too small', () => {
  const refuse = (times = 1) => world.twin.fault({ kind: 'too_small', match: { method: 'DELETE', path: '/users' }, times })

  test('holds the audience with a reason of its own, gives nobody up, and is done when the audience has grown', async () => {
    await start(ONE_BY_ONE)
    refuse()
    world.behavior.leave(1)
    const run = await world.sync()
    expect(await world.run(run)).toMatchObject({ status: 'completed_with_rejections', counts: { planned: 1, rejected: 1, removed: 0 } })
    expect(await world.audience()).toMatchObject({ status: 'held', status_reason: { code: 'removal_refused', platform: { code: '200/1870047' } } })
    expect(await left()).toMatchObject([{ customer_no: 1, reason: 'too_small' }])
    expect(world.far()).toHaveLength(3)
    // Larger by one: the same person is removed by a run of its own.
    world.behavior.join(4)
    await world.sync()
    expect(world.far()).toHaveLength(4)
    await world.work()
    await world.settle()
    expect(world.far()).toEqual([2, 3, 4].map((no) => sha256(`p${no}@example.com`)).sort())
    expect(await left()).toEqual([])
    expect(await world.audience()).toMatchObject({ status: 'active', status_reason: null, shrink_refused: null })
  })

  test('is not tried over and over while nothing changes', async () => {
    await start(ONE_BY_ONE)
    refuse(10)
    world.behavior.leave(1)
    await world.sync()
    await world.sync()
    await world.settle()
    await world.work()
    expect(narrow()).toHaveLength(1)
    expect(await world.audience()).toMatchObject({ status: 'held' })
  })

  test('frees the audience when the person comes back', async () => {
    await start(ONE_BY_ONE)
    refuse()
    world.behavior.leave(1)
    await world.sync()
    world.behavior.join(1)
    await world.sync()
    expect(await left()).toEqual([])
    // Said again as they are, which has no effect that the platform could show.
    expect(await world.audience()).toMatchObject({ status: 'pending', shrink_refused: null })
    expect(world.far()).toHaveLength(3)
  })

  test('R7: of an opt-out falls back to the whole account by itself, though they stay in another audience, which says them again', async () => {
    const [ldu] = await start({ others: 1 })
    await world.database.admin(`UPDATE sync.audience SET settings = '{"limitedDataUse":true}' WHERE no = $1`, [ldu])
    world.twin.fault({ kind: 'too_small', match: { method: 'DELETE', path: '/users' }, times: 1 })
    world.behavior.suppress(1, ['ads'])
    await world.suppressions()
    await world.work()
    expect(narrow()).toHaveLength(1)
    expect(wide()).toHaveLength(1)
    await settleAll()
    expect(await left()).toEqual([])
    expect(await proofs()).toMatchObject([{ no: 1, state: 'applied' }])
    expect(await world.database.admin('SELECT audience_no AS no, customer_no FROM sync.say_again')).toEqual([{ no: ldu, customer_no: 1 }])
    await requestRepeats(world.engine)
    await world.work()
    await world.settle()
    expect(world.far().filter((digest) => digest === sha256('p1@example.com'))).toHaveLength(1)
  })

  test('R7: of an opt-out waits in the open where the account belongs to no portfolio', async () => {
    world = await makeWorld(NO_BRAKE)
    for (const no of [1, 2]) world.behavior.join(no)
    await world.sync()
    refuse()
    await optOut(1)
    expect(await world.audience()).toMatchObject({ status: 'held', status_reason: { code: 'removal_refused' } })
    expect(await left()).toMatchObject([{ customer_no: 1, reason: 'privacy' }])
    expect(await world.database.admin(`SELECT status FROM sync.run WHERE trigger = 'privacy'`)).toEqual([{ status: 'waiting' }])
    await due()
    await world.work()
    await world.settle()
    expect(world.far()).toEqual([sha256('p2@example.com')])
    expect(await world.audience()).toMatchObject({ status: 'active' })
  })
})
