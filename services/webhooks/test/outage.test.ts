/** P9: a receiver that is down for longer than the schedule's 76 hours, workers killed meanwhile, and an endpoint that never comes back. */
import { newUuid } from '@audience-sync/contracts/ids'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { replay } from '../src/deliveries.ts'
import { PAUSES_MS } from '../src/schedule.ts'
import type { Worker } from '../src/worker.ts'
import { type Rig, rig } from './rig.ts'

jest.setTimeout(120_000)

const EVENTS = 60
const HOURS = 90 // the schedule's 76, and what attempts come late when time goes by in steps

let at: Rig
beforeAll(async () => {
  at = await rig()
})
afterAll(() => at.close())
beforeEach(() => at.database.admin('TRUNCATE webhooks.endpoint, webhooks.event CASCADE'))

/** Everything that is due now, though an endpoint that has been failing is tried a few times in half a minute only. */
async function tryAll(worker: Worker): Promise<void> {
  const soon = `SELECT FROM webhooks.endpoint WHERE status = 'enabled' AND due_at <= now() + interval '31 seconds'`
  for (await at.drain(worker); (await at.database.admin(soon)).length > 0; await at.drain(worker)) await at.pass('31 seconds')
}

const states = async (endpointId: string) => {
  const counted = Map.groupBy(await at.deliveries(endpointId), ({ state }) => state)
  return Object.fromEntries([...counted].map(([state, of]) => [state, of.length]))
}

describe('a receiver that is down for days', () => {
  test('loses nothing: what is younger than the schedule comes by itself, what is older by a replay; killed workers change nothing', async () => {
    const receiver = await at.receiver()
    const { id } = await at.endpoint(receiver.url)
    receiver.answer = () => ({ status: 503 })
    const told: string[] = []
    const happens = async (many: number) => {
      for (let n = 0; n < many; n += 1) told.push(await at.happens(newUuid()))
    }
    // Some at the beginning: they will have had their ten attempts. The rest in the course of it.
    await happens(EVENTS / 3)
    const worker = at.worker()
    let lost = 0
    for (const pause of ['6 seconds', '6 minutes', '31 minutes']) {
      await tryAll(worker)
      await at.pass(pause)
    }
    for (let hour = 0; hour < HOURS; hour += 1) {
      await tryAll(worker)
      if (hour % 20 === 0) lost += await killOneInTheMiddle(at)
      if (hour === 40 || hour === 70) await happens(EVENTS / 3)
      await at.pass('1 hour')
    }
    await tryAll(worker)
    expect(lost).toBeGreaterThan(0)
    expect(await at.endpointRow(id)).toMatchObject({ status: 'enabled' })
    const before = await states(id)
    expect(before).toEqual({ failed: EVENTS / 3, waiting: (EVENTS * 2) / 3 })
    const failed = (await at.deliveries(id)).filter(({ state }) => state === 'failed')
    expect(failed.every(({ attempts }) => attempts === PAUSES_MS.length)).toBe(true)

    receiver.answer = () => ({ status: 200 })
    receiver.got.length = 0
    await at.pass('27 hours') // the longest pause of the schedule
    await at.drain(worker)
    expect(await states(id)).toEqual({ failed: EVENTS / 3, delivered: (EVENTS * 2) / 3 })
    expect(await at.db.tenant(at.tenantId, (tx) => replay(tx, id, { since: new Date(Date.now() - 30 * 86_400_000).toISOString() }))).toBe(EVENTS / 3)
    await at.drain(worker)
    expect(await states(id)).toEqual({ delivered: EVENTS })
    expect(new Set(receiver.got.map((one) => one.id)).size).toBe(EVENTS)
    expect(receiver.got).toHaveLength(EVENTS)
    expect(new Set((await at.deliveries(id)).map(({ event_id }) => event_id))).toEqual(new Set(told))
  })

  test('one that does nothing but fail for 120 hours is disabled, and not before', async () => {
    const [dead, other] = await Promise.all([at.receiver(), at.receiver()])
    const { id } = await at.endpoint(dead.url)
    await at.endpoint(other.url, ['webhook_endpoint.disabled'])
    dead.answer = () => ({ status: 500 })
    const worker = at.worker()
    for (let hour = 0; hour < 119; hour += 17) {
      await at.happens()
      await at.drain(worker)
      await at.pass('17 hours')
    }
    expect(await at.endpointRow(id)).toMatchObject({ status: 'enabled' })
    await at.happens()
    await at.drain(worker)
    expect(await at.endpointRow(id)).toMatchObject({ status: 'enabled' }) // 119 hours
    await at.pass('2 hours')
    await at.happens()
    await at.drain(worker)
    expect(await at.endpointRow(id)).toMatchObject({ status: 'disabled', status_code: 'webhook_endpoint_failing' })
    expect(other.got).toHaveLength(1)
  })

  test('one success in between begins the 120 hours anew', async () => {
    const receiver = await at.receiver()
    const { id } = await at.endpoint(receiver.url)
    const worker = at.worker()
    for (const status of [500, 200, 500]) {
      receiver.answer = () => ({ status })
      await at.happens()
      await at.drain(worker)
      await at.pass('70 hours')
    }
    await at.happens()
    await at.drain(worker)
    expect(await at.endpointRow(id)).toMatchObject({ status: 'enabled' })
  })
})

/** A worker that has taken the endpoint and sent, and dies before it can write down what came of it. Answers how many it sent. */
async function killOneInTheMiddle({ worker, poster, pass, database }: Rig): Promise<number> {
  let sent = 0
  let answered = false
  const dead = worker({
    ...poster,
    async post(...args) {
      sent += 1
      await poster.post(...args)
      answered = true
      return new Promise<never>(() => {})
    },
  })
  dead.stop = async () => {}
  await pass('2 hours')
  await dead.round()
  // Nothing may be due at this hour; then it gives the endpoint back, and nobody dies of it.
  const leased = async () => (await database.admin('SELECT FROM webhooks.endpoint WHERE lease_until > now()')).length > 0
  await until('it has sent something, or has nothing to send', async () => answered || !(await leased()))
  await pass('61 seconds')
  return sent
}
