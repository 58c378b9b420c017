/** What only a platform that works on jobs does: late words on accepted batches, jobs that never end or end in another order, quotas of everybody. */

import { DestinationError } from '@audience-sync/destination-kit/failure'
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestCancel } from '../src/requests.ts'
import { leaveRenewals } from '../src/worker/renew.ts'
import { requestRepeats } from '../src/worker/repeat.ts'
import { type SettlesSide, settlesSide } from './destinations/settles.ts'
import { address, upTo } from './people.ts'
import { type SidedWorld, type WorldOptions, worldAround } from './world.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const EVERY_PURPOSE = ['ads', 'ads_ldu', 'crm'] as const

let world: SidedWorld
afterEach(() => world.close())
const wakeUp = () => world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status IN ('queued', 'waiting')`)
const todo = () => world.database.admin('SELECT customer_no AS no, reason FROM sync.todo ORDER BY 1')
const batches = (run: number) => world.database.admin('SELECT operation, state FROM sync.batch WHERE run_no = $1 ORDER BY no', [run])
const countsOf = async (run: number) => (await world.run(run)).counts

describe('a platform that works on jobs', () => {
  let side: SettlesSide
  const start = async (options?: WorldOptions, ...members: number[]) => {
    side = settlesSide()
    world = await worldAround(side, options)
    for (const no of members) world.behavior.join(no)
  }
  const there = (...nos: number[]) => nos.map((no) => side.emailKey(address(no))).sort()
  const late = (no: number) => side.late.add(side.emailKey(address(no)))

  test('C3: a late rejection reaches the run that is applying, its counts, and the next run', async () => {
    await start({}, 1, 2, 3)
    late(2)
    const run = await world.submit()
    expect(await world.run(run)).toMatchObject({ status: 'applying', counts: { planned: 3, accepted: 3, rejected: 0 } })
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'completed_with_rejections', counts: { planned: 3, accepted: 2, applied: 2, rejected: 1, added: 2 } })
    expect(await todo()).toEqual([{ no: 2, reason: 'rejected' }])
    expect(await world.database.admin('SELECT customer_no AS no, run_no AS run, operation, code FROM sync.rejection')).toEqual([
      { no: 2, run, operation: 'add', code: 'platform_rejected_row' },
    ])
    side.late.clear()
    const next = await world.sync()
    expect(await countsOf(next)).toMatchObject({ planned: 1, accepted: 1 })
    expect(side.members()).toEqual(there(1, 2, 3))
    expect(await todo()).toEqual([])
  })

  test('a late rejection reaches a run that was cancelled', async () => {
    await start({ rowsPerCall: 1 }, 1, 2)
    late(1)
    const run = await world.request()
    world.hooks.afterPush = () => world.engine.db.tenant(world.tenantId, (tx) => requestCancel(tx, run))
    await world.work()
    expect(await world.run(run)).toMatchObject({ status: 'cancelled', counts: { planned: 1, accepted: 1 } })
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'cancelled', counts: { planned: 1, accepted: 0, rejected: 1 } })
  })

  test('a job that fails as a whole for one row that it does not name: smaller batches go by themselves, until that one stands alone', async () => {
    await start({ rowsPerCall: 20 }, ...upTo(20))
    side.poison.add(side.emailKey(address(7)))
    const run = await world.sync()
    expect(await countsOf(run)).toMatchObject({ planned: 20, accepted: 0, rejected: 20 })
    for (let round = 0; round < 3; round += 1) {
      await world.work()
      await world.settle()
    }
    expect(side.members()).toEqual(there(...upTo(20).filter((no) => no !== 7)))
    expect(await todo()).toEqual([{ no: 7, reason: 'rejected' }])
    const sizes = await world.database.admin<{ rows: number }>('SELECT DISTINCT rows FROM sync.batch ORDER BY 1 DESC')
    expect(sizes.map(({ rows }) => rows)).toEqual([20, 2, 1])
    expect(await world.database.admin(`SELECT no FROM sync.run WHERE status IN ('queued', 'running', 'waiting')`)).toEqual([])
  })

  test('whoever is refused in five runs rests until their data change, and then begins anew', async () => {
    await start({}, 1, 2)
    late(2)
    const tried = async () => (await world.database.admin(`SELECT attempts, not_before = 'infinity' AS rests FROM sync.todo WHERE customer_no = 2`)).at(0)
    for (const attempts of [1, 2, 3, 4, 5]) {
      await world.sync()
      expect(await tried()).toEqual({ attempts, rests: attempts === 5 })
    }
    const uploads = side.uploads().length
    await world.sync()
    expect(side.uploads()).toHaveLength(uploads)
    world.behavior.change(2, { identifiers: { email: 'other@example.com' } })
    side.late.add(side.emailKey('other@example.com'))
    await world.sync()
    expect(await tried()).toEqual({ attempts: 1, rests: false })
  })

  test('a job that fails as a whole is a rejected batch, and everybody in it is to do', async () => {
    await start({ rowsPerCall: 2 }, 1, 2, 3)
    side.failing = 1
    const run = await world.sync()
    expect(await batches(run)).toEqual([
      { operation: 'add', state: 'rejected' },
      { operation: 'add', state: 'applied' },
    ])
    expect(await world.run(run)).toMatchObject({ status: 'completed_with_rejections', counts: { planned: 3, accepted: 1, applied: 1, rejected: 2 } })
    expect(await todo()).toEqual([
      { no: 1, reason: 'rejected' },
      { no: 2, reason: 'rejected' },
    ])
    await world.sync()
    expect(side.members()).toEqual(there(1, 2, 3))
  })

  test.each(['leaves', 'objects'])('C4: jobs are worked off last first: whoever %s meanwhile is gone in the end all the same', async (how) => {
    await start({}, 1, 2)
    side.reversed = true
    await world.submit()
    if (how === 'leaves') world.behavior.leave(1)
    else world.behavior.suppress(1, [...EVERY_PURPOSE])
    await world.suppressions()
    await world.submit()
    await world.settle()
    expect(side.members()).toEqual(there(1, 2))
    expect(await requestRepeats(world.engine)).toBe(true)
    await world.work()
    await world.settle()
    expect(side.members()).toEqual(there(2))
  })

  test('R1: whose removal was refused late stays in the ledger, and is removed by the same keys in the next run', async () => {
    await start({}, 1, 2)
    await world.sync()
    world.behavior.leave(1)
    late(1)
    const run = await world.sync()
    expect(await countsOf(run)).toMatchObject({ planned: 1, removed: 0, rejected: 1 })
    expect(side.members()).toEqual(there(1, 2))
    side.late.clear()
    const next = await world.sync()
    expect(await countsOf(next)).toMatchObject({ planned: 1, removed: 1, applied: 1 })
    expect(side.members()).toEqual(there(2))
    const removals = side.uploads().filter(({ operation }) => operation === 'remove')
    expect(removals).toHaveLength(2)
    expect(removals[1]).toEqual(removals[0])
    expect(await world.database.admin('SELECT customer_no AS no FROM sync.ledger')).toEqual([{ no: 2 }])
  })

  test('C1: a replacement whose removal is refused late is refused once, though its addition was applied', async () => {
    await start({}, 1, 2)
    await world.sync()
    late(1)
    world.behavior.change(1, { identifiers: { email: 'new@example.com' } })
    const run = await world.sync()
    expect(await countsOf(run)).toMatchObject({ planned: 1, replaced: 0, accepted: 0, rejected: 1 })
    expect(await todo()).toEqual([{ no: 1, reason: 'rejected' }])
  })

  test('C24: refusals that are counted and not named make so many people unknown; a removal is said again', async () => {
    await start({}, 1, 2, 3)
    side.lateUnnamed = 1
    const run = await world.sync()
    expect(await countsOf(run)).toMatchObject({ planned: 3, accepted: 2, applied: 2, unknown: 1, rejected: 0 })
    expect(await todo()).toEqual([])
    world.behavior.leave(3)
    side.lateUnnamed = 1
    const removing = await world.sync()
    expect(await countsOf(removing)).toMatchObject({ planned: 1, removed: 0, unknown: 1 })
    expect(side.members()).toEqual(there(2, 3))
    await world.sync()
    expect(side.members()).toEqual(there(2))
    expect((await world.database.admin('SELECT customer_no AS no FROM sync.ledger ORDER BY 1')).map(({ no }) => no)).toEqual([1, 2])
  })

  test('C20: a job that never ends holds nobody else up; after 48 hours the audience says so, after seven days the run ends without its word', async () => {
    await start({ rowsPerCall: 1 }, 1, 2)
    side.stuck = 1
    const run = await world.sync()
    expect(await world.run(run)).toMatchObject({ status: 'applying', counts: { accepted: 2, applied: 1 } })
    world.behavior.join(3)
    expect(await world.run(await world.sync())).toMatchObject({ status: 'completed', counts: { planned: 1, applied: 1 } })
    await world.database.admin(`UPDATE sync.batch SET accepted_at = accepted_at - interval '3 days' WHERE state = 'accepted'`)
    await world.settle()
    expect(await world.audience()).toMatchObject({ status: 'pending', status_reason: { code: 'platform_slow' } })
    await world.database.admin(`UPDATE sync.batch SET accepted_at = accepted_at - interval '5 days' WHERE state = 'accepted'`)
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'completed' })
    expect(await world.database.admin('SELECT count(*)::int AS n FROM sync.batch WHERE NOT confirmed')).toEqual([{ n: 1 }])
    expect(await world.database.admin('SELECT count(*)::int AS n FROM sync.batch_payload')).toEqual([{ n: 0 }])
  })

  test('R7: a removal for privacy that is refused late is tried again until it is done', async () => {
    await start({}, 1, 2)
    await world.sync()
    late(1)
    world.behavior.suppress(1, [...EVERY_PURPOSE])
    await world.suppressions()
    await world.work()
    await world.settle()
    expect(side.members()).toEqual(there(1, 2))
    expect(await todo()).toEqual([{ no: 1, reason: 'privacy' }])
    expect(await world.workOnce()).toBe(false) // nothing changes within minutes
    side.late.clear()
    await wakeUp()
    await world.work()
    await world.settle()
    expect(side.members()).toEqual(there(2))
    expect(await todo()).toEqual([])
  })

  test('a refusal that names its rows costs one call more, however large the batch is', async () => {
    await start({}, ...upTo(20))
    side.names = true
    side.refuse(address(7))
    side.refuse(address(8))
    const run = await world.sync()
    expect(side.uploads()).toHaveLength(2)
    expect(await countsOf(run)).toMatchObject({ planned: 20, accepted: 18, rejected: 2 })
    expect(side.members()).toEqual(there(...upTo(20).filter((no) => no !== 7 && no !== 8)))
  })

  test('a job is not asked about before it can be done', async () => {
    await start({}, 1)
    await world.submit()
    side.pass = () => side.advance(10 * MINUTE_MS)
    await world.settle()
    expect(side.reads.jobs).toBe(0)
    const [{ minutes }] = (await world.database.admin(`SELECT extract(epoch FROM settle_at - now())::int / 60 AS minutes FROM sync.audience`)) as [
      { minutes: number },
    ]
    expect(minutes).toBeGreaterThan(0)
  })

  test('a quota of the installation has one bucket for all accounts, and only the one that is used up is blocked', async () => {
    await start({}, 1)
    side.throttle()
    await world.submit()
    expect(await world.database.admin('SELECT quota, scope, blocked_until > now() AS blocked FROM sync.quota WHERE blocked_until IS NOT NULL')).toEqual([
      { quota: 'project_writes', scope: '', blocked: true },
    ])
  })

  test('a look that ends early keeps what it was told, and blocks the quota of reads alone', async () => {
    await start({ rowsPerCall: 1 }, 1, 2, 3)
    const run = await world.submit()
    const { destination } = world.engine
    const ask = destination.settle
    let looks = 0
    destination.settle = async (...asked) => {
      looks += 1
      if (looks === 2) throw new DestinationError({ kind: 'throttled', code: 'platform_throttled', message: 'Slow down.', quota: 'project_reads' })
      return ask(...asked)
    }
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'applying', counts: { accepted: 3, applied: 1 } })
    expect(await world.database.admin('SELECT quota FROM sync.quota WHERE blocked_until > now()')).toEqual([{ quota: 'project_reads' }])
    await world.database.admin('UPDATE sync.quota SET blocked_until = NULL')
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { applied: 3 } })
  })

  test('memberships that the platform forgets are added again before it does, and only of those who are still wanted', async () => {
    await start({}, 1, 2, 3)
    await world.sync()
    const first = side.uploads().length
    await leaveRenewals(world.engine)
    expect(await requestRepeats(world.engine)).toBe(false)
    side.advance(21 * DAY_MS)
    await world.database.admin(`UPDATE sync.batch SET accepted_at = accepted_at - interval '21 days'`)
    world.behavior.leave(3)
    await leaveRenewals(world.engine)
    expect(await requestRepeats(world.engine)).toBe(true)
    await world.work()
    await world.settle()
    expect(
      side
        .uploads()
        .slice(first)
        .map(({ operation }) => operation)
        .sort(),
    ).toEqual(['add', 'remove'])
    side.advance(21 * DAY_MS)
    expect(side.members()).toEqual(there(1, 2))
    const [heal] = await world.database.admin<{ no: number }>(`SELECT no FROM sync.run WHERE trigger = 'heal'`)
    expect(await countsOf(heal?.no ?? 0)).toMatchObject({ planned: 1, removed: 1, replaced: 0 })
    await leaveRenewals(world.engine)
    expect(await world.database.admin('SELECT FROM sync.say_again')).toEqual([])
  })

  test('a person becomes a contact before a list can hold them, and a removal makes nobody one', async () => {
    await start({}, 1, 2)
    await world.sync()
    expect(side.contacts()).toBe(2)
    world.behavior.leave(1)
    await world.sync()
    expect(side.contacts()).toBe(2)
    expect(side.members()).toEqual(there(2))
  })
})
