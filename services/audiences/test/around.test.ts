/** What happens around audiences: behaviors, connections and tenants change. */
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ counts: true })
})
afterAll(() => rig.stop())

const get = async (id: string) => (await rig.call('GET', `/v1/audiences/${id}`)).body
const behaviorUpdated = (behaviorId: string) => rig.hear('audiences.behavior-updated', { behaviorId, changes: 1 })
const counted = () =>
  until('everything wished is counted', async () => (await rig.database.admin('SELECT FROM sync.size_check WHERE due_at IS NOT NULL')).length === 0)
const bare = (id: string) => id.slice(4)

describe('sizes', () => {
  test('F31: 99, 100, 95, 89, 100: one event per crossing, and a run when it rises', async () => {
    const behaviorId = rig.behavior(99)
    const { id } = await rig.audience({ behaviorId, schedule: { frequency: 'manual' } })
    const crossings = async () =>
      (await rig.said('audience.size.threshold_crossed')).filter(({ audienceId }) => audienceId === id).map(({ direction }) => direction)
    const becomes = async (eligible: number) => {
      rig.world.behaviors.set(behaviorId, { members: eligible, eligible })
      await counted()
      await behaviorUpdated(behaviorId)
      await counted()
    }
    await becomes(99)
    expect([await crossings(), (await get(id)).status]).toEqual([[], 'paused'])
    await becomes(100)
    expect([await crossings(), (await get(id)).status]).toEqual([['above'], 'syncing'])
    expect((await get(id)).lastRun.trigger).toBe('created')
    await becomes(95)
    expect(await crossings()).toEqual(['above'])
    await becomes(89)
    expect(await crossings()).toEqual(['above', 'below'])
    expect(await get(id)).toMatchObject({ status: 'paused', statusReason: { code: 'audience_too_small' }, size: { eligible: 89 } })
    await becomes(100)
    expect(await crossings()).toEqual(['above', 'below', 'above'])
  })
})

test.each([10, 2_000])('the size shown is the one that the status was decided by, at once: minimum %i', async (minimumSize) => {
  const behaviorId = rig.behavior(minimumSize - 1)
  const { id } = await rig.audience({ behaviorId, minimumSize, schedule: { frequency: 'manual' } })
  const becomes = async (eligible: number) => {
    await counted()
    rig.world.behaviors.set(behaviorId, { members: eligible, eligible })
    await behaviorUpdated(behaviorId)
    await until(`${eligible} are shown`, async () => (await get(id)).size.eligible === eligible)
    return get(id)
  }
  expect(await becomes(minimumSize + 3)).toMatchObject({ status: 'syncing', size: { behavior: minimumSize + 3 } })
  expect(await becomes(1)).toMatchObject({ status: 'paused', statusReason: { code: 'audience_too_small' }, size: { behavior: 1 } })
})

test('sizes are counted in full soon after creation, and shown over time', async () => {
  const { id } = await rig.audience({ behaviorId: rig.behavior(2_000), start: false })
  await counted()
  expect(await get(id)).toMatchObject({ size: { behavior: 2_020, eligible: 2_000, destination: null }, matchRate: null, sizeAdvice: { band: 'ideal' } })
  expect((await rig.call('GET', `/v1/audiences/${id}/history`)).body.data).toMatchObject([
    { kind: 'size', data: { behavior: 2_020, eligible: 2_000 } },
    { kind: 'status', data: { from: null, to: 'pending' } },
  ])
  await rig.database.admin('UPDATE sync.audience SET size_destination = 1240 WHERE id = $1', [bare(id)])
  expect((await get(id)).matchRate).toBe(0.62)
})

describe('real time', () => {
  test('a behavior that changes wakes its real-time audiences, a few seconds later and once', async () => {
    const behaviorId = rig.behavior()
    const realtime = await rig.audience({ behaviorId, start: false, schedule: { frequency: 'realtime' } })
    const daily = await rig.audience({ behaviorId, start: false })
    await behaviorUpdated(behaviorId)
    await behaviorUpdated(behaviorId)
    const runs = (await rig.call('GET', `/v1/audiences/${realtime.id}/runs`)).body.data
    expect(runs).toMatchObject([{ trigger: 'realtime', status: 'queued' }])
    const [{ seconds }] = (await rig.database.admin<{ seconds: number }>(
      'SELECT extract(epoch FROM not_before - requested_at)::float8 AS seconds FROM sync.run WHERE id = $1',
      [bare(runs[0].id)],
    )) as [{ seconds: number }]
    expect(seconds).toBeCloseTo(3)
    expect((await get(daily.id)).lastRun).toBeNull()
    expect(realtime.nextRunAt).toBeNull()
  })

  test('a run that was to begin at once is not put off', async () => {
    const behaviorId = rig.behavior()
    const { lastRun } = await rig.audience({ behaviorId, schedule: { frequency: 'realtime' } })
    await behaviorUpdated(behaviorId)
    expect(await rig.database.admin('SELECT not_before FROM sync.run WHERE id = $1', [bare(lastRun.id)])).toEqual([{ not_before: null }])
  })

  test('a paused audience sleeps on', async () => {
    const behaviorId = rig.behavior()
    const { id } = await rig.audience({ behaviorId, start: false, schedule: { frequency: 'realtime' } })
    await rig.call('POST', `/v1/audiences/${id}/pause`)
    await behaviorUpdated(behaviorId)
    expect((await get(id)).lastRun).toBeNull()
  })
})

describe('connections', () => {
  test('expired: the audience is in error and says so; active again: what waited goes on', async () => {
    const { id, connectionId, lastRun } = await rig.audience()
    await rig.database.admin(
      `UPDATE sync.run SET status = 'waiting', started_at = now(), not_before = 'infinity', wait_reason = '{"code": "connection_expired"}' WHERE id = $1`,
      [bare(lastRun.id)],
    )
    await rig.hear('audiences.connection-changed', { connectionId, destination: 'meta', status: 'expired' })
    expect(await get(id)).toMatchObject({
      status: 'error',
      statusReason: { code: 'connection_expired' },
      lastRun: { waitingFor: { code: 'connection_expired' } },
    })
    await rig.hear('audiences.connection-changed', { connectionId, destination: 'meta', status: 'active' })
    expect(await rig.database.admin('SELECT not_before <= now() AS due FROM sync.run WHERE id = $1', [bare(lastRun.id)])).toEqual([{ due: true }])
    await rig.database.admin(`UPDATE sync.run SET status = 'completed', finished_at = now() WHERE id = $1`, [bare(lastRun.id)])
    expect(await get(id)).toMatchObject({ status: 'pending', statusReason: null })
  })

  test('expired, and the engine has met it: what the platform said stays', async () => {
    const { id, connectionId } = await rig.audience()
    const told = { code: 'connection_expired', detail: 'Session has expired.', platform: { code: '190/463' } }
    await rig.database.admin(`UPDATE sync.run SET status = 'cancelled', finished_at = now() WHERE audience_no = (SELECT no FROM sync.audience WHERE id = $1)`, [
      bare(id),
    ])
    await rig.database.admin(`UPDATE sync.audience SET status = 'error', status_reason = $2 WHERE id = $1`, [bare(id), JSON.stringify(told)])
    await rig.hear('audiences.connection-changed', { connectionId, destination: 'meta', status: 'expired' })
    expect(await get(id)).toMatchObject({ status: 'error', statusReason: told })
  })

  test('what the platform refused after the change that is told of now is not mended by it', async () => {
    const { id, connectionId } = await rig.audience()
    const before = new Date(Date.now() - 1)
    await rig.database.admin(`UPDATE sync.run SET status = 'failed', finished_at = now() WHERE audience_no = (SELECT no FROM sync.audience WHERE id = $1)`, [
      bare(id),
    ])
    await rig.database.admin(`UPDATE sync.audience SET status = 'error', status_reason = '{"code": "terms_not_signed"}', status_since = now() WHERE id = $1`, [
      bare(id),
    ])
    const changed = { connectionId, destination: 'meta', status: 'active' }
    await rig.hear('audiences.connection-changed', changed, before)
    expect(await get(id)).toMatchObject({ status: 'error', statusReason: { code: 'terms_not_signed' } })
    await rig.hear('audiences.connection-changed', changed, new Date(Date.now() + 1_000))
    expect(await get(id)).toMatchObject({ status: 'pending', statusReason: null })
  })

  test('a run that waits for the quota is rate limited, until when', async () => {
    const { id, lastRun } = await rig.audience()
    await rig.database.admin(
      `UPDATE sync.run SET status = 'waiting', not_before = '2030-01-01Z', wait_reason = '{"code": "platform_throttled"}' WHERE id = $1`,
      [bare(lastRun.id)],
    )
    expect(await get(id)).toMatchObject({ status: 'rate_limited', statusReason: { code: 'platform_throttled', until: '2030-01-01T00:00:00.000Z' } })
  })
})

test('C9: another default country of the tenant makes the next runs full; older news does not', async () => {
  const { id } = await rig.audience()
  await rig.database.admin('UPDATE sync.audience SET full_reason = NULL WHERE id = $1', [bare(id)])
  await rig.hear('audiences.tenant-changed', { tenantId: 'ten_x', slug: 'demo', defaultCountry: 'DE', status: 'active' })
  const rows = await rig.database.admin('SELECT default_country, config_version, full_reason FROM sync.audience WHERE id = $1', [bare(id)])
  expect(rows).toEqual([{ default_country: 'DE', config_version: 2, full_reason: 'config_changed' }])
})

test('C9: an audience that is being made while the default country changes has the new one, too', async () => {
  const [next] = await rig.database.admin<{ no: number }>(`SELECT nextval(pg_get_serial_sequence('sync.audience', 'no'))::int + 1 AS no`)
  const waiting = async (than: number) =>
    (await rig.database.admin(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)).length > than
  let told = false
  let making: ReturnType<Rig['audience']> | undefined
  let telling: Promise<unknown> | undefined
  // While this is not committed the audience cannot ask for its count: it is stored, and not committed either.
  await rig.db.tenant(rig.tenantId, async (tx) => {
    await tx.query('INSERT INTO size_check (audience_no, tenant_id) VALUES ($1, $2)', [next?.no, rig.tenantId])
    making = rig.audience()
    await until('the audience to be stored', () => waiting(0))
    telling = rig.hear('audiences.tenant-changed', { tenantId: 'ten_x', slug: 'demo', defaultCountry: 'FR', status: 'active' }).then(() => {
      told = true
    })
    await until('the change to be stored, or to wait', async () => told || (await waiting(1)))
    await tx.query('DELETE FROM size_check WHERE audience_no = $1', [next?.no])
  })
  const made = await making
  await telling
  expect(await rig.database.admin('SELECT default_country FROM sync.audience WHERE id = $1', [bare(made?.id)])).toEqual([{ default_country: 'FR' }])
})
