/** API.md «Refresh», SYNC.md C5: at most one live run and one queued, and whoever is given a run is in it. */
import type { Tx } from '@audience-sync/db/database'
import { until } from '@audience-sync/testing/until'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type AudienceRef, requestCancel, requestResume, requestRun } from '../src/requests.ts'
import { makeWorld, type World } from './world.ts'

let world: World
let audience: AudienceRef
beforeEach(async () => {
  world = await makeWorld()
  const [row] = await world.database.admin(`SELECT no, id, tenant_id AS "tenantId", destination, destination_no AS "destinationNo" FROM sync.audience`)
  audience = row as AudienceRef
})
afterEach(() => world.close())

const asAudiences = <T>(fn: (tx: Tx) => Promise<T>) => world.database.as('audiences', 20).tenant(world.tenantId, fn)
const open = () => world.database.admin<{ status: string }>(`SELECT status FROM sync.run WHERE finished_at IS NULL ORDER BY no`)

describe('a hundred callers at once', () => {
  test('make one queued run, and all are given it', async () => {
    const db = world.database.as('audiences', 20)
    const runs = await Promise.all(Array.from({ length: 100 }, () => db.tenant(world.tenantId, (tx) => requestRun(tx, { audience, trigger: 'api' }))))
    expect(new Set(runs.map(({ no }) => no)).size).toBe(1)
    expect(runs.filter(({ outcome }) => outcome === 'created')).toHaveLength(1)
    const topics = await world.database.admin(`SELECT topic FROM sync.outbox WHERE topic = 'audience.sync.requested'`)
    expect(topics).toHaveLength(1)
  })

  test('while one is live make one follow-up', async () => {
    await world.request()
    await world.database.admin(`UPDATE sync.run SET status = 'running'`)
    const db = world.database.as('audiences', 20)
    await Promise.all(Array.from({ length: 100 }, () => db.tenant(world.tenantId, (tx) => requestRun(tx, { audience, trigger: 'api' }))))
    expect((await open()).map(({ status }) => status)).toEqual(['running', 'queued'])
  })
})

describe('a request', () => {
  test('C5: that is given the queued run holds it: no worker begins before the caller has committed', async () => {
    world.behavior.join(1)
    const queued = await world.request()
    const order: string[] = []
    let working: Promise<void> | undefined
    await asAudiences(async (tx) => {
      const given = await requestRun(tx, { audience, trigger: 'api' })
      expect(given).toMatchObject({ no: queued, outcome: 'existing' })
      working = world.work().then(() => {
        order.push('worked')
      })
      await until('the worker waits for the row', async () =>
        (await world.database.admin(`SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)).at(0),
      )
      // The caller's cause: it becomes visible with the commit.
      world.behavior.join(2)
      order.push('committed')
    })
    await working
    expect(order).toEqual(['committed', 'worked'])
    expect((await world.run(queued)).counts).toMatchObject({ accepted: 2 })
  })

  test('of a full look makes the queued run full, and none makes it incremental again', async () => {
    const no = await world.request()
    for (const mode of ['full', 'incremental'] as const) await asAudiences((tx) => requestRun(tx, { audience, trigger: 'api', mode }))
    expect((await world.run(no)).mode).toBe('full')
  })

  test('is debounced on the database’s clock: later ones do not put it off, one without delay brings it forward', async () => {
    const delayed = await asAudiences((tx) => requestRun(tx, { audience, trigger: 'realtime', delayMs: 60_000 }))
    const at = async () => (await world.run(delayed.no)).not_before as Date | null
    const first = await at()
    expect(first).not.toBeNull()
    await asAudiences((tx) => requestRun(tx, { audience, trigger: 'realtime', delayMs: 60_000 }))
    expect(await at()).toEqual(first)
    await world.work()
    expect((await world.run(delayed.no)).status).toBe('queued')
    await asAudiences((tx) => requestRun(tx, { audience, trigger: 'api' }))
    expect(await at()).toBeNull()
  })

  test('with an id of its own is found under it', async () => {
    const runId = '01900000-0000-7000-8000-000000000001'
    expect(await asAudiences((tx) => requestRun(tx, { audience, trigger: 'api', runId }))).toMatchObject({ id: runId, outcome: 'created' })
  })

  test('outlives a cancellation that nobody acted on yet', async () => {
    const no = await world.request()
    await asAudiences((tx) => requestCancel(tx, no))
    await world.request()
    await world.work()
    expect((await world.run(no)).status).toBe('completed')
  })
})

test('a run that has ended cannot be cancelled, and resuming makes one run', async () => {
  const no = await world.sync()
  expect(await asAudiences((tx) => requestCancel(tx, no))).toBe(false)
  await world.database.admin(`UPDATE sync.audience SET paused_at = now(), pause_reason = '{}'`)
  expect(await asAudiences((tx) => requestResume(tx, audience))).toMatchObject({ outcome: 'created' })
  expect(await world.audience()).toMatchObject({ paused_at: null, pause_reason: null })
})
