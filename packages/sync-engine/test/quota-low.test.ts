/** quota.low: told once when the platform says that 80 % are used, and again only after there was room. */
import { topics } from '@audience-sync/contracts/events/topics'
import { publicId } from '@audience-sync/contracts/ids'
import { fromBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { readAudience } from '../src/store/rows.ts'
import { storeCalls } from '../src/worker/job.ts'
import { makeWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await makeWorld()
})
afterAll(() => world.close())

/** An answer came whose headers said this. */
const hear = (quota: string, percent: number, regainAfterMs?: number) =>
  world.engine.db.tenant(world.tenantId, async (tx) => {
    const audience = await readAudience(tx, world.audienceNo)
    const speaker = { engine: world.engine, audience, lease: { signal: new AbortController().signal }, calls: [], usages: [{ quota, percent, regainAfterMs }] }
    await storeCalls(tx, speaker, null)
  })

test('one event per crossing, to the tenant whose call it was', async () => {
  for (const percent of [20, 79, 81, 90, 70, 85]) await hear('api_score', percent)
  await hear('custom_audience', 100, 60_000)
  for (const percent of [59, 82]) await hear('api_score', percent)
  const rows = await world.database.admin<{ key: string; tenant_id: string; value: Buffer }>(
    `SELECT key, tenant_id, value FROM sync.outbox WHERE topic = 'quota.low' ORDER BY id`,
  )
  const audience = await world.audience()
  const said = rows.map(({ value }) => fromBinary(topics.quotaLow.schema, value))
  expect(said.map(({ quota, percent }) => [quota, percent])).toEqual([
    ['api_score', 81],
    ['custom_audience', 100],
    ['api_score', 82],
  ])
  expect(said[0]).toMatchObject({ accountId: publicId('account', audience.account_id as string), destination: 'meta' })
  expect(said.map(({ until }) => until !== undefined)).toEqual([false, true, false])
  expect(new Set(rows.map(({ tenant_id }) => tenant_id))).toEqual(new Set([world.tenantId]))
})
