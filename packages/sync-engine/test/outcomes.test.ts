/** What the engine makes of each way in which a platform can answer, or not answer. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestApproval, requestCancel } from '../src/requests.ts'
import { emails, sha256, upTo } from './people.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

let world: World
afterEach(() => world.close())
const start = async (options?: WorldOptions, ...members: number[]) => {
  world = await makeWorld(options)
  for (const no of members) world.behavior.join(no)
}
/** Lets waiting runs be due, as time would. */
const wakeUp = () => world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'waiting'; DELETE FROM sync.quota`)

describe('a call whose answer was lost', () => {
  test.each(['apply_then_reset', 'html_200'] as const)('%s: the same bytes are sent again until the outcome is known', async (kind) => {
    await start({}, 1, 2, 3)
    world.twin.fault({ kind, match: { path: '/users', method: 'POST' }, times: 2 })
    const run = await world.sync()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 3, accepted: 3, applied: 3, unknown: 0 } })
    const bodies = world.uploads().map(({ body }) => body)
    expect(bodies).toHaveLength(3)
    expect(new Set(bodies).size).toBe(1)
    expect(world.far()).toEqual(emails(1, 2, 3))
  })

  test('an audience whose creation was not answered is found by our marker and not made twice', async () => {
    await start({}, 1)
    world.twin.fault({ kind: 'apply_then_reset', match: { path: '/customaudiences', method: 'POST' }, times: 1 })
    await world.sync()
    expect(world.twin.state().audiences).toHaveLength(1)
    expect(world.far()).toEqual(emails(1))
  })

  test('a run that gives up leaves its batch unknown, and the next run resends that first', async () => {
    await start({}, 1, 2)
    world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 8 })
    const first = await world.submit()
    expect(await world.run(first)).toMatchObject({ status: 'failed', counts: { planned: 2, unknown: 2 } })
    const second = await world.sync()
    expect((await world.run(first)).counts).toMatchObject({ unknown: 0, accepted: 2 })
    expect(await world.run(second)).toMatchObject({ status: 'completed' })
    expect(new Set(world.uploads().map(({ body }) => body)).size).toBe(1)
  })
})

describe('a refusal', () => {
  test('that names no row is split until the bad row stands alone', async () => {
    await start({}, ...upTo(8))
    world.twin.fault({ kind: 'status', match: { path: '/users', method: 'POST' }, times: 1, status: 400, code: 100 })
    const run = await world.sync()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 8, accepted: 8 } })
    expect(world.uploads()).toHaveLength(3)
    expect(world.far()).toEqual(emails(...upTo(8)))
  })

  test.each(['POST', 'DELETE'])('C20: of every row of a call leaves nothing to be applied, by name or only counted: the run has ended (%s)', async (method) => {
    await start({ minimumSize: 1 }, ...upTo(8))
    if (method === 'DELETE') {
      await world.sync()
      for (const no of [1, 2, 3]) world.behavior.leave(no)
    }
    const match = { path: '/users', method }
    world.twin.fault({ kind: 'reject_rows', match, rows: 8 })
    const named = await world.run(await world.submit())
    expect(named).toMatchObject({ status: 'completed_with_rejections', counts: { accepted: 0, rejected: named.counts.planned, unknown: 0 } })
    expect(await world.audience()).toMatchObject({ status: 'active' })
    world.twin.fault({ kind: 'partial', match, rows: 8 })
    const counted = await world.run(await world.submit())
    expect(counted).toMatchObject({ status: 'completed_with_rejections', counts: { accepted: 0, rejected: 0, unknown: named.counts.planned } })
    expect(await world.audience()).toMatchObject({ status: 'active' })
  })

  test('of the platform’s limit is a state with a time, and costs no attempt', async () => {
    await start({}, 1)
    world.twin.fault({ kind: 'throttle', delayMs: 60_000, match: { path: '/users', method: 'POST' }, times: 1 })
    const run = await world.submit()
    expect(await world.run(run)).toMatchObject({ status: 'waiting', wait_reason: { code: 'platform_throttled' } })
    expect(await world.audience()).toMatchObject({ status: 'rate_limited' })
    // The time that it names passes, there as here.
    world.twin.clock.advance(3_600_000)
    await wakeUp()
    await world.work()
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 1, accepted: 1 } })
  })

  test('of an account that the platform takes for abusive stops the whole account for hours, and says why', async () => {
    await start({}, 1)
    world.twin.fault({ kind: 'status', match: { path: '/users', method: 'POST' }, times: 1, status: 400, code: 368 })
    const run = await world.submit()
    expect(await world.run(run)).toMatchObject({ status: 'waiting', wait_reason: { code: 'platform_blocked' } })
    expect(await world.audience()).toMatchObject({ status: 'rate_limited', status_reason: { code: 'platform_blocked', until: expect.any(String) } })
    // Calling on would lengthen it, from whichever audience of the account.
    expect(
      await world.database.admin(`SELECT scope, blocked_until > now() + interval '1 hour' AS blocked FROM sync.quota WHERE blocked_until IS NOT NULL`),
    ).toEqual([{ scope: expect.any(String), blocked: true }])
    await wakeUp()
    await world.work()
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 1, accepted: 1 } })
  })

  test('for unsigned terms fails the run with the code and keeps everyone to do', async () => {
    await start({}, 1, 2)
    world.twin.fault({ kind: 'status', match: { path: '/users', method: 'POST' }, times: 1, status: 400, code: 200, subcode: 1870034 })
    const run = await world.submit()
    expect(await world.run(run)).toMatchObject({ status: 'failed', error: { code: 'terms_not_signed' }, counts: { planned: 2, failed: 2 } })
    expect(await world.audience()).toMatchObject({ status: 'error', status_reason: { code: 'terms_not_signed' } })
    await world.sync()
    expect(world.far()).toEqual(emails(1, 2))
  })

  test('of a token that died in the middle lets the run wait for a new connection', async () => {
    await start({ rowsPerCall: 1 }, 1, 2, 3)
    world.hooks.afterPush = async () => {
      world.hooks.afterPush = async () => {}
      world.twin.fault({ kind: 'expire_token', match: { path: '/users' }, times: 1 })
    }
    const run = await world.submit()
    expect(await world.run(run)).toMatchObject({ status: 'waiting', wait_reason: { code: 'connection_expired' }, counts: { accepted: 1 } })
    expect(await world.audience()).toMatchObject({ status: 'error', status_reason: { code: 'connection_expired' } })
  })

  test('because somebody deleted the audience there ends the run and asks its owner', async () => {
    await start({}, 1)
    await world.sync()
    const [audience] = world.twin.state().audiences
    await fetch(`${world.twin.url}/_twin/audiences/${audience?.id}`, { method: 'DELETE' })
    world.behavior.join(2)
    const run = await world.submit()
    expect(await world.run(run)).toMatchObject({ status: 'failed', error: { code: 'audience_missing' } })
    expect(world.twin.state().audiences.filter(({ deleted }) => !deleted)).toEqual([])
  })
})

describe('the brake', () => {
  test('holds a run that would remove more than its share, sends nothing, and goes on when approved', async () => {
    await start({ brake: { sharePercent: 30, minimum: 2 } }, ...upTo(6))
    await world.sync()
    const calls = world.uploads().length
    for (const no of [1, 2, 3]) world.behavior.leave(no)
    const run = await world.submit()
    expect(await world.run(run)).toMatchObject({ status: 'held', hold: { removals: 3, size: 6 }, counts: { planned: 0 } })
    expect(world.uploads()).toHaveLength(calls)
    expect(await world.audience()).toMatchObject({ status: 'held', status_reason: { code: 'audience_held' } })
    await world.engine.db.tenant(world.tenantId, (tx) => requestApproval(tx, run))
    await world.work()
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { removed: 3 } })
    expect(world.far()).toEqual(emails(4, 5, 6))
  })

  test('an approved run holds again when the removals grew by more than a tenth', async () => {
    await start({ brake: { sharePercent: 30, minimum: 2 } }, ...upTo(6))
    await world.sync()
    for (const no of [1, 2, 3]) world.behavior.leave(no)
    const run = await world.submit()
    world.behavior.leave(4)
    await world.engine.db.tenant(world.tenantId, (tx) => requestApproval(tx, run))
    await world.work()
    expect(await world.run(run)).toMatchObject({ status: 'held', hold: { removals: 4 } })
  })

  test('does not count removals for privacy', async () => {
    await start({ brake: { sharePercent: 30, minimum: 2 } }, ...upTo(6))
    await world.sync()
    for (const no of [1, 2, 3, 4]) world.behavior.suppress(no)
    const run = await world.sync()
    expect((await world.run(run)).status).toBe('completed')
    expect(world.far()).toEqual(emails(5, 6))
  })
})

test('an audience whose first run is cancelled before anything was made there is not in step: it is pending', async () => {
  await start({}, 1, 2)
  const run = await world.request()
  await world.database.as('audiences').tenant(world.tenantId, (tx) => requestCancel(tx, run))
  await world.work()
  expect(await world.run(run)).toMatchObject({ status: 'cancelled' })
  expect(await world.audience()).toMatchObject({ status: 'pending', external_id: null })
  await world.sync()
  expect(await world.audience()).toMatchObject({ status: 'active' })
})

test('an audience that we made is deleted at the platform, and the ledger forgets its people', async () => {
  await start({}, 1, 2)
  await world.sync()
  await world.database.admin(`UPDATE sync.audience SET delete_requested_at = now(), status = 'deleting'`)
  await world.work()
  expect(world.twin.state().audiences.filter(({ deleted }) => !deleted)).toEqual([])
  expect(await world.database.admin('SELECT count(*)::int AS n FROM sync.ledger')).toEqual([{ n: 0 }])
  expect((await world.audience()).deleted_at).not.toBeNull()
})

test('two customers of one behavior, of 30 chosen at random in 40 runs, end exactly as the behavior says', async () => {
  await start({ rowsPerCall: 3, brake: { sharePercent: 100, minimum: 1000 } })
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return seed % below
  }
  for (let round = 0; round < 40; round += 1) {
    for (let change = random(6); change >= 0; change -= 1) {
      const no = 1 + random(30)
      if (random(3) === 0) world.behavior.leave(no)
      else world.behavior.join(no, { email: `p${no}-${random(3)}@example.com` })
    }
    if (random(4) === 0) world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users' }, times: 1 })
    await world.sync()
  }
  const wanted = [...world.behavior.people.values()].filter(({ member }) => member).map(({ identifiers }) => sha256(identifiers.email ?? ''))
  expect(world.far()).toEqual(wanted.sort())
}, 180_000)

test('a new name is told to the platform by the next run', async () => {
  await start({}, 1)
  await world.sync()
  await world.database.admin(`UPDATE sync.audience SET name = 'Renamed', far_stale = true`)
  await world.sync()
  expect(world.twin.state().audiences.map(({ name }) => name)).toEqual(['Renamed'])
  expect(await world.audience()).toMatchObject({ far_stale: false })
})

test('an adopted audience that is not there fails the run before anything is sent', async () => {
  await start({}, 1)
  await world.database.admin(`UPDATE sync.audience SET adopted = true, external_id = '23849999999999999'`)
  const run = await world.submit()
  expect(await world.run(run)).toMatchObject({ status: 'failed', error: { code: 'audience_missing' } })
  expect(world.uploads()).toEqual([])
})

describe('C17: the brake by small steps', () => {
  test('what went in the last 24 hours counts too', async () => {
    await start({ brake: { sharePercent: 30, minimum: 2 } }, ...upTo(10))
    await world.sync()
    for (const no of [1, 2]) {
      world.behavior.leave(no)
      expect((await world.run(await world.sync())).status).toBe('completed')
    }
    for (const no of [3, 4]) world.behavior.leave(no)
    const run = await world.submit()
    expect(await world.run(run)).toMatchObject({ status: 'held', hold: { removals: 2, before: 2, size: 10 } })
    await world.database.admin(
      `UPDATE sync.batch SET accepted_at = accepted_at - interval '25 hours'; UPDATE sync.run SET cancel_requested_at = now() WHERE status = 'held'`,
    )
    await world.work()
    expect((await world.run(await world.sync())).status).toBe('completed')
    expect(world.far()).toEqual(emails(5, 6, 7, 8, 9, 10))
  })

  test('an approval does not cover other people', async () => {
    await start({ brake: { sharePercent: 30, minimum: 2 } }, ...upTo(8))
    await world.sync()
    for (const no of [1, 2, 3]) world.behavior.leave(no)
    const run = await world.submit()
    for (const no of [1, 2, 3]) world.behavior.join(no)
    for (const no of [6, 7, 8]) world.behavior.leave(no)
    await world.engine.db.tenant(world.tenantId, (tx) => requestApproval(tx, run))
    await world.work()
    expect((await world.run(run)).status).toBe('held')
  })

  test('a loss that shows only at the fetch holds the rest', async () => {
    await start({ brake: { sharePercent: 30, minimum: 2 } }, ...upTo(10))
    await world.sync()
    const calls = world.uploads().length
    for (const no of [1, 2, 3, 4, 5]) world.behavior.change(no, { identifiers: { email: `new${no}@example.com` } })
    world.behavior.beforeFetch = () => {
      world.behavior.beforeFetch = undefined
      for (const no of [1, 2, 3, 4, 5]) world.behavior.change(no, { identifiers: { email: 'nobody' } })
    }
    const run = await world.submit()
    expect((await world.run(run)).status).toBe('held')
    expect(world.uploads()).toHaveLength(calls)
  })
})

test('C18: a refusal that no row caused stops the run after seven calls, and keeps everyone to do', async () => {
  await start({}, ...upTo(64))
  world.twin.fault({ kind: 'status', match: { path: '/users', method: 'POST' }, times: 7, status: 400, code: 100 })
  const run = await world.submit()
  expect(await world.run(run)).toMatchObject({ status: 'failed', counts: { planned: 64, failed: 64 } })
  expect(world.uploads()).toHaveLength(7)
  await world.sync()
  expect(world.far()).toEqual(emails(...upTo(64)))
})
