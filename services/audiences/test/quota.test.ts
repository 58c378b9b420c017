/** What is left of an account's quotas, who uses them, and for how long they last. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

test('use, head-room, forecast at the rate of the last minutes, and the audiences behind it', async () => {
  const accountId = rig.account({ externalId: '4711' })
  const busy = await rig.audience({ accountId, name: 'Busy' })
  const quiet = await rig.audience({ accountId, name: 'Quiet' })
  await rig.audience({ name: 'Elsewhere' })
  const calls = (name: string, method: string, count: number, ago: string) =>
    rig.database.admin(
      `INSERT INTO sync.call (tenant_id, destination_no, audience_no, method, path, status, duration_ms, started_at)
       SELECT tenant_id, destination_no, no, $2, '/users', 200, 10, now() - $4::interval FROM sync.audience, generate_series(1, $3) WHERE name = $1`,
      [name, method, count, ago],
    )
  await calls('Busy', 'POST', 90, '1 minute')
  await calls('Quiet', 'GET', 30, '50 minutes')
  await calls('Elsewhere', 'POST', 500, '1 minute')
  await rig.database.admin(
    `INSERT INTO sync.quota (destination_no, quota, scope, capacity, spent, percent, low)
     SELECT no, 'api_score', '4711', 60, jsonb_build_array(jsonb_build_array(extract(epoch FROM now()) * 1000 + 100000, 30), jsonb_build_array(0, 7)), 83, true
     FROM sync.destination WHERE id = 'meta'`,
  )
  const { body } = await rig.call('GET', `/v1/accounts/${accountId}/quota`)
  const [score, useCase] = body.quotas
  expect(score).toMatchObject({ id: 'api_score', capacity: 60, low: true, platformPercent: 83, forecast: { perHour: 1080 } })
  expect(score.used).toBe(30)
  expect(score.headRoom).toBeCloseTo(60 - score.used)
  // 0.3 points a second are used, 0.2 come back, at least 30 are left.
  expect(Date.parse(score.forecast.goneAt) - Date.now()).toBeGreaterThan(290_000)
  expect(useCase).toMatchObject({ id: 'custom_audience', used: 0, headRoom: 5_000, low: false, forecast: { perHour: 360, goneAt: null } })
  expect(body.usedBy).toEqual([
    { audienceId: busy.id, name: 'Busy', calls: 90, share: 0.75 },
    { audienceId: quiet.id, name: 'Quiet', calls: 30, share: 0.25 },
  ])
})

test('a queued run says that others of its account come before it, from when it is expected to begin, and that a pause keeps it', async () => {
  const accountId = rig.account({ externalId: '4712' })
  const [first, second] = [await rig.audience({ accountId, name: 'First' }), await rig.audience({ accountId, name: 'Second' })]
  await rig.database.admin(
    `INSERT INTO sync.quota (destination_no, quota, scope, capacity, spent, percent, low, blocked_until)
     SELECT no, 'api_score', '4712', 60, '[]', NULL, false, now() + interval '10 minutes' FROM sync.destination WHERE id = 'meta'`,
  )
  const run = async (audience: { lastRun: { id: string } }) => (await rig.call('GET', `/v1/runs/${audience.lastRun.id}`)).body
  const { body: quota } = await rig.call('GET', `/v1/accounts/${accountId}/quota`)
  const startsAt = Object.fromEntries(quota.runs.map((one: { runId: string; startsAt: string }) => [one.runId, one.startsAt]))
  expect(await run(first)).toMatchObject({ status: 'queued', waitingFor: { code: 'platform_throttled', until: expect.any(String) } })
  const behind = await run(second)
  expect(behind).toMatchObject({ status: 'queued', waitingFor: { code: 'gave_way', solution: expect.any(String) } })
  expect(behind.waitingFor.until).toBe(behind.startsAt)
  expect(Math.abs(Date.parse(behind.startsAt) - Date.parse(startsAt[second.lastRun.id]))).toBeLessThan(15_000) // played forward from another now, and rounded
  expect(Date.parse(behind.startsAt) - Date.now()).toBeGreaterThan(590_000)

  await rig.call('POST', `/v1/audiences/${second.id}/pause`, { reason: 'sale' })
  expect(await run(second)).toMatchObject({ status: 'queued', startsAt: null, waitingFor: { code: 'audience_paused', detail: 'sale' } })
  expect((await rig.call('GET', `/v1/audiences/${second.id}`)).body.lastRun).toMatchObject({ waitingFor: { code: 'audience_paused' } })
})
