/**
 * R5 on Meta's Limited tier: 60 points, a read costs 1 and a write 3, each counts for 300 s, and a call beyond blocks the account
 * (vendors/meta.md §1.1). The twin keeps its own count on its own clock; limiter and twin are pushed together, so nobody waits.
 */
import { afterEach, expect, test } from '@jest/globals'
import { claim } from '../src/worker/lease.ts'
import { workAudience } from '../src/worker/work.ts'
import { type LimitedWorld, limitedWorld } from './limited-account.ts'
import type { World, WorldOptions } from './world.ts'

const POINTS = 60
const DECAY_MS = 300_000

let world: World
let push: LimitedWorld['push']
const start = async (options: WorldOptions = {}) => {
  const made = await limitedWorld({ ...options, options: { patienceMs: 5_000, callMs: 20_000, leaseMs: 40_000, ...options.options } })
  world = made.world
  push = made.push
}
afterEach(() => world.close())

/** Somebody else's calls in the same account, of which we know nothing. */
async function othersRead(times: number): Promise<void> {
  const { accountExternalId, accessToken, proof } = await world.engine.grants.get(world.tenantId, '')
  for (let i = 0; i < times; i += 1) {
    const answer = await fetch(`${world.twin.url}/v26.0/act_${accountExternalId}?fields=name${proof ? `&appsecret_proof=${proof}` : ''}`, {
      headers: { authorization: `Bearer ${accessToken}` },
    })
    expect(answer.status).toBe(200)
  }
}

/** Works until the run ends; each wait for the quota passes on both clocks. Answers how many there were. */
async function workOn(run: number): Promise<number> {
  for (let waits = 0; ; waits += 1) {
    await world.work()
    const { status, wait_reason } = await world.run(run)
    if (status !== 'waiting') return waits
    expect(wait_reason).toMatchObject({ code: 'platform_throttled' })
    await passWaits()
  }
}

const served: string[] = []

const claimAs = (pod: World['engine']) => claim(pod, new AbortController().signal)

/** What a pod's worker does until nothing is due; `first`: what it has claimed already. */
async function workAs(pod: World['engine'], first?: Awaited<ReturnType<typeof claimAs>>): Promise<void> {
  for (let lease = first ?? (await claimAs(pod)); lease; lease = await claimAs(pod)) {
    served.push(pod.owner)
    await workAudience(pod, lease)
  }
}

/** The shortest wait of any run is over. */
async function passWaits(): Promise<void> {
  const [row] = await world.database.admin<{ ms: number }>(
    `SELECT extract(epoch FROM min(not_before) - now())::float8 * 1000 AS ms FROM sync.run WHERE status = 'waiting'`,
  )
  const ms = Math.max(0, Math.ceil(row?.ms ?? 0))
  push(ms)
  await world.database.admin(`UPDATE sync.run SET not_before = not_before - $1 * interval '1 millisecond' WHERE status = 'waiting'`, [ms])
}

/** The score as the platform counts it, from the calls that reached it: the most that were out at once. */
function scored() {
  const calls = world.twin.journal().filter(({ path }) => path.startsWith('/v26.0/') && !path.includes('/oauth'))
  const points = calls.map(({ at, method }) => ({ at: new Date(at).getTime(), cost: method === 'GET' ? 1 : 3 }))
  const levels = points.map(({ at }) => points.filter((one) => one.at <= at && one.at > at - DECAY_MS).reduce((sum, { cost }) => sum + cost, 0))
  return {
    highest: Math.max(...levels),
    points: points.reduce((sum, { cost }) => sum + cost, 0),
    ms: (points.at(-1)?.at ?? 0) - (points[0]?.at ?? 0),
    throttled: calls.filter(({ status }) => (status ?? 0) >= 400).length,
  }
}

test('200,000 members in an account of 60 points, 40 of them used by somebody else: not one throttled call, and no longer than the points take', async () => {
  await start()
  const MEMBERS = 200_000
  for (let no = 1; no <= MEMBERS; no += 1) world.behavior.join(no)
  await othersRead(40)
  const run = await world.request()
  const waits = await workOn(run)
  expect(await world.run(run)).toMatchObject({ status: 'applying', counts: { planned: MEMBERS, accepted: MEMBERS, rejected: 0, unknown: 0, failed: 0 } })
  const { highest, points, ms, throttled } = scored()
  push(DECAY_MS)
  await world.settle()
  expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { applied: MEMBERS } })
  expect(world.far()).toHaveLength(MEMBERS)
  expect(throttled).toBe(0)
  expect(highest).toBeLessThanOrEqual(POINTS)
  // 40 reads of somebody else, one look-up, one creation, twenty uploads. 57 may be out at once: what the others used has to come back,
  // which takes 300 s and up to two slots of ten; no filling but these two is needed, and the gaps of the second are over before a third.
  expect(points).toBe(40 + 1 + 3 + 20 * 3)
  expect(ms).toBeGreaterThanOrEqual(DECAY_MS)
  expect(ms).toBeLessThan(2 * DECAY_MS)
  expect(waits).toBeGreaterThan(0)
}, 300_000)

test('two pods at one account: together they never have more out than the platform lets one have, and neither is throttled', async () => {
  await start({ rowsPerCall: 5 })
  for (let no = 1; no <= 60; no += 1) world.behavior.join(no)
  const other = await world.addAudience()
  const runs = [await world.request(), await world.request('incremental', other)]
  const pods = ['one', 'two'].map((owner) => ({ ...world.engine, owner }))
  const live = async () => (await Promise.all(runs.map((run) => world.run(run)))).filter(({ status }) => ['queued', 'running', 'waiting'].includes(status))
  for (let round = 0; (await live()).length > 0; round += 1) {
    // They claim first in turn: one that is quicker might take all that is due.
    const [first, second] = (round % 2 === 0 ? pods : pods.toReversed()) as [World['engine'], World['engine']]
    const lease = await claimAs(first)
    await Promise.all([workAs(first, lease), workAs(second)])
    await passWaits()
  }
  for (const run of runs) expect(await world.run(run)).toMatchObject({ status: 'applying', counts: { planned: 60, accepted: 60 } })
  const { highest, points, throttled } = scored()
  expect(points).toBe(2 * (1 + 3 + 12 * 3))
  expect(highest).toBeLessThanOrEqual(POINTS)
  expect(throttled).toBe(0)
  expect(new Set(served)).toEqual(new Set(['one', 'two']))
}, 120_000)
