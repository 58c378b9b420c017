/** R5: scarce points go to whom the schedule presses, in turns; a large audience gives way and goes on where it was. */
import { afterEach, expect, test } from '@jest/globals'
import { TURN_CALLS } from '../src/pure/placement.ts'
import { claim, type Lease } from '../src/worker/lease.ts'
import { Behavior } from './behavior.ts'
import { type LimitedWorld, limitedWorld } from './limited-account.ts'
import { upTo } from './people.ts'
import { makeWorld, type World } from './world.ts'

let world: World
afterEach(() => world.close())

/** An account where a batch is one person. */
let push: LimitedWorld['push']
const start = async () => {
  const made = await limitedWorld({ rowsPerCall: 1, options: { patienceMs: 5_000, leaseMs: 30_000 } })
  world = made.world
  push = made.push
}

const behaviorOf = (...members: number[]) => {
  const made = new Behavior(world.tenantId)
  for (const no of members) made.join(no)
  return made
}
/** Audiences in the order in which their calls went out. */
const sent = async () => {
  const rows = await world.database.admin<{ no: number }>('SELECT audience_no AS no FROM sync.batch ORDER BY batch.no')
  return rows.map(({ no }) => no)
}
/** Works, and lets the waits for points pass, until nothing is left. */
async function workOff(): Promise<void> {
  for (;;) {
    await world.work()
    const [row] = await world.database.admin<{ open: number; ms: number | null }>(
      `SELECT count(*)::int AS open, (extract(epoch FROM min(not_before) - now()) * 1000)::float8 AS ms FROM sync.run WHERE status IN ('queued', 'running', 'waiting')`,
    )
    if (!row || row.open === 0) return
    const ms = Math.max(10_000, Math.ceil(row.ms ?? 0))
    push(ms)
    await world.database.admin(`UPDATE sync.run SET not_before = not_before - $1 * interval '1 millisecond' WHERE status = 'waiting'`, [ms])
  }
}

test('an audience with forty batches gives way after a turn to three small ones of its account, goes on where it was, and says nobody twice', async () => {
  await start()
  for (const no of upTo(40)) world.behavior.join(no)
  const large = await world.request()
  const small: number[] = []
  for (const no of [101, 102, 103]) small.push(await world.addAudience({ frequency: 'daily' }, behaviorOf(no)))
  const runs: number[] = []
  for (const audienceNo of small) runs.push(await world.request('incremental', audienceNo, 'schedule'))
  await world.workOnce()
  expect(await world.run(large)).toMatchObject({ status: 'waiting', wait_reason: { code: 'gave_way' } })
  expect(await world.audience()).toMatchObject({ status: 'syncing' })
  await workOff()
  for (const run of [large, ...runs]) expect(await world.run(run)).toMatchObject({ status: 'applying', counts: { failed: 0, unknown: 0, waiting: 0 } })
  expect(await world.run(large)).toMatchObject({ counts: { planned: 40, accepted: 40, added: 40 } })
  const order = await sent()
  const last = Math.max(...small.map((no) => order.lastIndexOf(no)))
  expect(order.slice(0, TURN_CALLS)).toEqual(Array(TURN_CALLS).fill(world.audienceNo))
  // They wait for the turn, and for what scarcity lets a turn overrun; not for the forty.
  expect(last).toBeLessThan(25)
  const { gave_way_at } = await world.run(large)
  expect(gave_way_at).not.toBeNull()
  expect(order.filter((no) => no === world.audienceNo)).toHaveLength(40)
}, 120_000)

test('nobody gives way where points are plenty', async () => {
  world = await makeWorld({ rowsPerCall: 1 })
  for (const no of upTo(25)) world.behavior.join(no)
  const large = await world.request()
  const other = await world.addAudience({ frequency: 'daily' }, behaviorOf(101))
  await world.request('incremental', other, 'schedule')
  await world.work()
  expect(await world.run(large)).toMatchObject({ gave_way_at: null, attempts: 1 })
  expect(await sent()).toEqual([...Array(25).fill(world.audienceNo), other])
})

test('of all that is due, what somebody asked for goes before what a slot asked for earlier, and privacy before both', async () => {
  await start()
  const [slot, asked, leaving] = [await world.addAudience({ frequency: 'daily' }), await world.addAudience(), await world.addAudience()]
  await world.request('incremental', slot, 'schedule')
  await world.request('incremental', asked)
  await world.database.admin(
    `INSERT INTO sync.run (id, tenant_id, audience_no, destination, destination_no, trigger, mode)
     SELECT gen_random_uuid(), tenant_id, no, destination, destination_no, 'privacy', 'incremental' FROM sync.audience WHERE no = $1`,
    [leaving],
  )
  const leases: (Lease | undefined)[] = []
  // Held on: the next claim takes the next in line.
  for (let i = 0; i < 3; i += 1) leases.push(await claim({ ...world.engine, owner: `pod-${i}` }, new AbortController().signal))
  expect(leases.map((lease) => lease?.audienceNo)).toEqual([leaving, asked, slot])
  for (const lease of leases) await lease?.release()
})

test('where an account has no points left, its runs stay in the line and privacy is still claimed', async () => {
  await start()
  const other = await world.addAudience()
  await world.request()
  await world.database.admin(
    `INSERT INTO sync.quota (destination_no, quota, scope, capacity, blocked_until) SELECT destination_no, 'api_score', account_external_id, 60, now() + interval '1 minute' FROM sync.audience LIMIT 1`,
  )
  expect(await world.workOnce()).toBe(false)
  await world.database.admin(
    `INSERT INTO sync.run (id, tenant_id, audience_no, destination, destination_no, trigger, mode)
     SELECT gen_random_uuid(), tenant_id, no, destination, destination_no, 'privacy', 'incremental' FROM sync.audience WHERE no = $1`,
    [other],
  )
  expect(await world.workOnce()).toBe(true)
  push(61_000)
  expect(await world.workOnce()).toBe(true)
})
