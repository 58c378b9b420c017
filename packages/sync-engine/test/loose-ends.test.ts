/** What a run leaves behind when it ends otherwise than it should, and who comes back for it. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { housekeep } from '../src/housekeeping.ts'
import { requestFollowUp } from '../src/store/follow-up.ts'
import { readAudience } from '../src/store/rows.ts'
import { type Speaker, storeCalls } from '../src/worker/job.ts'
import { requestOpenEnds } from '../src/worker/open-ends.ts'
import { requestRepeats } from '../src/worker/repeat.ts'
import { answersSide } from './destinations/answers.ts'
import { settlesSide } from './destinations/settles.ts'
import type { Side } from './destinations/side.ts'
import { address } from './people.ts'
import { type SidedWorld, type WorldOptions, worldAround } from './world.ts'

const NO_BRAKE = { brake: { sharePercent: 100, minimum: 1_000 } }

let world: SidedWorld
afterEach(() => world.close())
const start = async <S extends Side>(side: S, options: WorldOptions, ...members: number[]): Promise<S> => {
  world = await worldAround(side, { ...NO_BRAKE, ...options })
  for (const no of members) world.behavior.join(no)
  return side
}
const sumsHold = async (no: number) => {
  const { planned, accepted, rejected, failed, cancelled, unknown, waiting } = (await world.run(no)).counts as Record<string, number>
  expect(planned).toBe([accepted, rejected, failed, cancelled, unknown, waiting].reduce<number>((sum, n) => sum + (n ?? 0), 0))
  expect(waiting).toBe(0)
}
const anHourLater = () => world.database.admin(`UPDATE sync.run SET finished_at = finished_at - interval '2 hours' WHERE finished_at IS NOT NULL`)
const runs = () => world.database.admin<{ no: number; trigger: string; status: string }>('SELECT no, trigger, status FROM sync.run ORDER BY no')

describe('a run that breaks off by a fault of ours', () => {
  test('C24: in the middle of a call: nothing waits any more, and the call is made again though nobody asks', async () => {
    const side = await start(answersSide(), { rowsPerCall: 2 }, 1, 2, 3)
    world.hooks.afterPush = async () => {
      delete world.hooks.afterPush
      throw new Error('on purpose')
    }
    const run = await world.request()
    await world.work()
    expect(await world.run(run)).toMatchObject({ status: 'failed', error: { code: 'internal' }, counts: { planned: 2, unknown: 2, waiting: 0 } })
    await requestOpenEnds(world.engine)
    expect(await runs()).toHaveLength(1)
    await anHourLater()
    await requestOpenEnds(world.engine)
    await world.work()
    expect((await world.run(run)).counts).toMatchObject({ planned: 2, added: 2, unknown: 0 })
    const [first, again] = side.uploads()
    expect(again?.body).toBe(first?.body)
    expect(side.members()).toEqual([1, 2, 3].map(address))
  })

  test('C3, C24: before any of its transactions: the counts add up, and the next run says whoever was not said', async () => {
    const side = await start(answersSide(), { rowsPerCall: 2 })
    let people = 0
    for (let at = 1, broken = true; broken; at += 1) {
      for (const no of [people + 1, people + 2, people + 3]) world.behavior.join(no)
      if (people > 0) {
        world.behavior.leave(people)
        world.behavior.change(people - 1, { identifiers: { email: address(people - 1), phone: `+1415555${1_000 + people}` } })
      }
      people += 3
      let left = at
      broken = false
      world.hooks.beforeTransaction = async () => {
        left -= 1
        if (left !== 0) return
        broken = true
        throw new Error('on purpose')
      }
      const run = await world.request()
      await world.workOnce().catch(() => {}) // before the run has begun there is nobody to end it
      delete world.hooks.beforeTransaction
      if ((await world.run(run)).status === 'failed') await sumsHold(run)
      await world.database.admin(`UPDATE sync.audience SET lease_until = NULL`)
      await world.work()
      await world.sync()
      await sumsHold(run)
      const wanted = [...world.behavior.people.values()].filter(({ member }) => member).map(({ identifiers }) => identifiers.email ?? '')
      expect([...new Set(side.members())]).toEqual(wanted.sort())
      expect(await world.database.admin('SELECT customer_no FROM sync.todo')).toEqual([])
    }
    expect(people).toBeGreaterThan(30)
  }, 240_000)
})

test('C12: a removal that is never confirmed is said once more before anybody is forgotten', async () => {
  const side = await start(settlesSide(), {}, 1, 2)
  await world.sync()
  world.behavior.leave(1)
  side.stuck = 1
  await world.sync()
  const known = () => world.database.admin<{ no: number }>('SELECT customer_no AS no FROM sync.ledger ORDER BY 1')
  await world.database.admin(`UPDATE sync.batch SET accepted_at = now() - interval '8 days' WHERE state = 'accepted'`)
  await world.settle()
  expect(await world.database.admin(`SELECT state, confirmed FROM sync.batch WHERE operation = 'remove'`)).toEqual([{ state: 'applied', confirmed: false }])
  expect(await known()).toEqual([{ no: 1 }, { no: 2 }])
  expect(await requestRepeats(world.engine)).toBe(true)
  await world.work()
  await world.settle()
  expect(side.uploads().filter(({ operation }) => operation === 'remove')).toHaveLength(2)
  expect(side.members()).toEqual([side.emailKey(address(2))])
  // Nobody sees what a repetition does: they are forgotten when it can have no effect any more.
  await world.database.admin(`UPDATE sync.batch SET accepted_at = now() - interval '25 hours' WHERE repeat`)
  await housekeep(world.engine)
  expect(await known()).toEqual([{ no: 2 }])
})

test('C17: whoever leaves and was left to do besides counts once', async () => {
  const side = await start(answersSide(), { brake: { sharePercent: 30, minimum: 1 } }, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
  await world.sync()
  for (const no of [1, 2, 3]) world.behavior.leave(no)
  await world.database.admin(
    `INSERT INTO sync.todo (customer_no, audience_no, tenant_no, destination_no, reason) SELECT n, no, tenant_no, destination_no, 'failed' FROM sync.audience, generate_series(1, 3) AS n`,
  )
  const run = await world.sync()
  expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 3, removed: 3 } })
  expect(side.members()).toHaveLength(7)
})

test('calls are kept though the transaction that stores them has to begin again', async () => {
  await start(answersSide(), {}, 1)
  await world.sync()
  const audience = await world.engine.db.tenant(world.tenantId, (tx) => readAudience(tx, world.audienceNo))
  const call = { method: 'GET', path: '/kept', startedAt: new Date(), durationMs: 1, status: 200, request: null, response: null, platformRequestId: null }
  const speaker: Speaker = { engine: world.engine, audience, lease: { signal: new AbortController().signal }, calls: [call], usages: [] }
  let tries = 0
  await world.engine.db.tenant(world.tenantId, async (tx) => {
    tries += 1
    await storeCalls(tx, speaker, null)
    if (tries === 1) await tx.query(`DO $$ BEGIN RAISE EXCEPTION 'seeded' USING ERRCODE = '40P01'; END $$`)
  })
  expect(tries).toBe(2)
  expect(await world.database.admin(`SELECT count(*)::int AS n FROM sync.call WHERE path = '/kept'`)).toEqual([{ n: 1 }])
  expect(speaker.calls).toEqual([])
})

test('C12: whoever waits for the outcome of a call gets a run when it is known, and not before', async () => {
  await start(answersSide(), {}, 1, 2)
  await world.sync()
  await world.database.admin(
    `INSERT INTO sync.todo (customer_no, audience_no, tenant_no, destination_no, reason) SELECT 1, no, tenant_no, destination_no, 'in_flight' FROM sync.audience`,
  )
  const look = () => world.engine.db.tenant(world.tenantId, async (tx) => requestFollowUp(tx, await readAudience(tx, world.audienceNo)))
  await world.database.admin(`UPDATE sync.batch SET state = 'unknown'`)
  await look()
  expect(await runs()).toHaveLength(1)
  await world.database.admin(`UPDATE sync.batch SET state = 'applied'`)
  await look()
  expect((await runs()).at(-1)).toMatchObject({ trigger: 'heal', status: 'queued' })
  await world.work()
  expect(await world.database.admin('SELECT customer_no FROM sync.todo')).toEqual([])
  expect(await runs()).toHaveLength(2)
})
