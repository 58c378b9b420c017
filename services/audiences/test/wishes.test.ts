/** What users wish of audiences that exist: refresh, pause, approve, cancel, delete, change. */
import { newUuid } from '@audience-sync/contracts/ids'
import { patiently } from '@audience-sync/testing/patient'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const runsOf = async (id: string) => (await rig.call('GET', `/v1/audiences/${id}/runs`)).body.data

describe('refresh', () => {
  test('a hundred at once make at most two runs, and each finds its run', async () => {
    const { id, lastRun } = await rig.audience()
    await rig.database.admin(`UPDATE sync.run SET status = 'running', started_at = now() WHERE id = $1`, [lastRun.id.slice(4)])
    const answers = await Promise.all(Array.from({ length: 100 }, () => patiently(() => rig.call('POST', `/v1/audiences/${id}/refresh`, {}))))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1)
    expect(await runsOf(id)).toHaveLength(2)
    expect((await rig.call('GET', `/v1/runs/${answers[0]?.body.id}`)).body).toMatchObject({ audienceId: id, trigger: 'api', status: 'queued' })
  })

  test('as many with keys of their own find the same run', async () => {
    const { id, lastRun } = await rig.audience()
    await rig.database.admin(`UPDATE sync.run SET status = 'running', started_at = now() WHERE id = $1`, [lastRun.id.slice(4)])
    const refresh = () => rig.call('POST', `/v1/audiences/${id}/refresh`, {}, { headers: { 'idempotency-key': newUuid() } })
    const answers = await Promise.all(Array.from({ length: 10 }, refresh))
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1)
    expect(await runsOf(id)).toHaveLength(2)
  })

  test('after a cancellation that nobody acted on yet, the queued run is wanted again, and at once', async () => {
    const { id, lastRun } = await rig.audience()
    await rig.call('POST', `/v1/runs/${lastRun.id}/cancel`)
    expect((await rig.call('POST', `/v1/audiences/${id}/refresh`)).body.id).toBe(lastRun.id)
    const rows = await rig.database.admin('SELECT cancel_requested_at, not_before FROM sync.run WHERE id = $1', [lastRun.id.slice(4)])
    expect(rows).toEqual([{ cancel_requested_at: null, not_before: null }])
  })

  test('in full: the queued run becomes full, and the audience remembers it', async () => {
    const { id } = await rig.audience()
    await rig.database.admin('UPDATE sync.audience SET full_reason = NULL WHERE id = $1', [id.slice(4)])
    expect((await rig.call('POST', `/v1/audiences/${id}/refresh`, { mode: 'full' })).body).toMatchObject({ mode: 'full', trigger: 'created' })
    expect(await runsOf(id)).toHaveLength(1)
    expect(await rig.database.admin('SELECT full_reason FROM sync.audience WHERE id = $1', [id.slice(4)])).toEqual([{ full_reason: 'requested' }])
  })

  test('paused, held and deleting refuse it, each with its code', async () => {
    const { id, lastRun } = await rig.audience()
    await rig.database.admin(`UPDATE sync.run SET status = 'held', hold = '{"removals": 300}' WHERE id = $1`, [lastRun.id.slice(4)])
    expect(await rig.call('POST', `/v1/audiences/${id}/refresh`)).toMatchObject({ status: 409, body: { code: 'audience_held' } })
    expect((await rig.call('GET', `/v1/audiences/${id}`)).body).toMatchObject({
      status: 'held',
      statusReason: { code: 'audience_held' },
      lastRun: { hold: { removals: 300 } },
    })
    await rig.call('POST', `/v1/audiences/${id}/pause`, { reason: 'sale' })
    expect(await rig.call('POST', `/v1/audiences/${id}/refresh`)).toMatchObject({ status: 409, body: { code: 'audience_paused' } })
    await rig.call('DELETE', `/v1/audiences/${id}`)
    expect(await rig.call('POST', `/v1/audiences/${id}/refresh`)).toMatchObject({ status: 409, body: { code: 'audience_deleting' } })
  })
})

describe('wishes', () => {
  test('pause says why and stops the schedule; resume makes one run', async () => {
    const { id, lastRun } = await rig.audience()
    await rig.database.admin(`UPDATE sync.run SET status = 'completed', finished_at = now() WHERE id = $1`, [lastRun.id.slice(4)])
    const paused = await rig.call('POST', `/v1/audiences/${id}/pause`, { reason: 'stock-taking' })
    expect(paused).toMatchObject({
      status: 200,
      body: { status: 'paused', statusReason: { code: 'audience_paused', detail: 'stock-taking' }, nextRunAt: null },
    })
    const resumed = await rig.call('POST', `/v1/audiences/${id}/resume`)
    expect(resumed.body).toMatchObject({ status: 'syncing', statusReason: null })
    await rig.call('POST', `/v1/audiences/${id}/resume`)
    expect(await runsOf(id)).toHaveLength(2)
    const told = (await rig.said('audience.changed')).filter(({ audienceId }) => audienceId === id)
    expect(told.map(({ status, version }) => [status, version])).toEqual([
      ['paused', 2n],
      ['syncing', 3n],
    ])
    const history = (await rig.call('GET', `/v1/audiences/${id}/history?kind=status`)).body.data
    expect(history).toMatchObject([
      { kind: 'status', data: { to: 'syncing' } },
      { kind: 'status', data: { to: 'paused', code: 'audience_paused' } },
      { kind: 'status', data: { from: null, to: 'pending', code: null } },
    ])
  })

  test('approve answers the held run; with none held it refuses', async () => {
    const { id, lastRun } = await rig.audience()
    expect(await rig.call('POST', `/v1/audiences/${id}/approve`)).toMatchObject({ status: 409, body: { code: 'run_not_held' } })
    await rig.database.admin(`UPDATE sync.run SET status = 'held', hold = '{"removals": 300}' WHERE id = $1`, [lastRun.id.slice(4)])
    expect(await rig.call('POST', `/v1/audiences/${id}/approve`)).toMatchObject({ status: 202, body: { id: lastRun.id } })
    const rows = await rig.database.admin('SELECT approval FROM sync.run WHERE id = $1', [lastRun.id.slice(4)])
    expect(rows).toEqual([{ approval: { removals: 300 } }])
    // From now on, whether or not a worker has looked: nothing is held.
    expect((await rig.call('GET', `/v1/runs/${lastRun.id}`)).body).toMatchObject({ status: 'queued', hold: null })
    expect((await rig.call('GET', `/v1/audiences/${id}`)).body).toMatchObject({ status: 'syncing', statusReason: null })
    expect(await rig.call('POST', `/v1/audiences/${id}/approve`)).toMatchObject({ status: 202, body: { id: lastRun.id } })
    const next = await rig.call('POST', `/v1/audiences/${id}/refresh`)
    expect(next).toMatchObject({ status: 202, body: { status: 'queued', waitingFor: { code: 'earlier_run' } } })
    expect(next.body.id).not.toBe(lastRun.id)
  })

  test('cancelling a held run drops the hold from that moment', async () => {
    const { id, lastRun } = await rig.audience()
    await rig.database.admin(`UPDATE sync.run SET status = 'held', hold = '{"removals": 300}' WHERE id = $1`, [lastRun.id.slice(4)])
    expect(await rig.call('POST', `/v1/audiences/${id}/refresh`)).toMatchObject({ status: 409, body: { code: 'audience_held' } })
    expect((await rig.call('POST', `/v1/runs/${lastRun.id}/cancel`)).status).toBe(202)
    expect((await rig.call('GET', `/v1/audiences/${id}`)).body.status).toBe('syncing')
    expect(await rig.call('POST', `/v1/audiences/${id}/approve`)).toMatchObject({ status: 409, body: { code: 'run_not_held' } })
    expect((await rig.call('POST', `/v1/audiences/${id}/refresh`)).status).toBe(202)
  })

  test('delete answers 202 and goes on by itself; keepRemote is remembered; twice is once', async () => {
    const { id } = await rig.audience()
    expect(await rig.call('DELETE', `/v1/audiences/${id}?keepRemote=true`)).toMatchObject({ status: 202, body: { status: 'deleting', nextRunAt: null } })
    expect((await rig.call('DELETE', `/v1/audiences/${id}`)).status).toBe(202)
    expect(await rig.database.admin('SELECT keep_remote FROM sync.audience WHERE id = $1', [id.slice(4)])).toEqual([{ keep_remote: true }])
    expect((await rig.said('audience.changed')).filter(({ audienceId }) => audienceId === id)).toMatchObject([{ status: 'deleting', deleted: true }])
    await rig.database.admin('UPDATE sync.audience SET deleted_at = now() WHERE id = $1', [id.slice(4)])
    expect((await rig.call('GET', `/v1/audiences/${id}`)).status).toBe(404)
  })

  test('cancel leaves a request; a run that has ended refuses', async () => {
    const { lastRun } = await rig.audience()
    expect(await rig.call('POST', `/v1/runs/${lastRun.id}/cancel`)).toMatchObject({ status: 202, body: { id: lastRun.id, status: 'queued' } })
    await rig.database.admin(`UPDATE sync.run SET status = 'completed' WHERE id = $1`, [lastRun.id.slice(4)])
    expect(await rig.call('POST', `/v1/runs/${lastRun.id}/cancel`)).toMatchObject({ status: 409, body: { code: 'run_finished' } })
  })
})

describe('change', () => {
  const stored = async (id: string) =>
    (await rig.database.admin('SELECT config_version, full_reason, version FROM sync.audience WHERE id = $1', [id.slice(4)]))[0]

  test('C9: other identifiers or settings make the next run full; a name does not', async () => {
    const { id } = await rig.audience()
    await rig.database.admin('UPDATE sync.audience SET full_reason = NULL WHERE id = $1', [id.slice(4)])
    expect((await rig.call('PATCH', `/v1/audiences/${id}`, { name: 'Other', identifiers: ['phone', 'email'] })).body.name).toBe('Other')
    expect(await stored(id)).toMatchObject({ config_version: 1, full_reason: null })
    await rig.call('PATCH', `/v1/audiences/${id}`, { settings: { limitedDataUse: true } })
    expect(await stored(id)).toMatchObject({ config_version: 2, full_reason: 'config_changed' })
    const changed = await rig.call('PATCH', `/v1/audiences/${id}`, { identifiers: ['email'] })
    expect(changed.body).toMatchObject({ identifiers: ['email'], settings: { limitedDataUse: true, valueBased: false } })
    expect(await stored(id)).toMatchObject({ config_version: 3 })
  })

  test('another schedule is told with a higher version', async () => {
    const { id } = await rig.audience()
    await rig.call('PATCH', `/v1/audiences/${id}`, { schedule: { frequency: 'weekly', weekday: 'friday', at: '04:30', timeZone: 'Europe/Paris' } })
    expect((await rig.said('audience.changed')).filter(({ audienceId }) => audienceId === id)).toMatchObject([
      { version: 2n, schedule: { frequency: 'weekly', weekday: 'friday', at: '04:30', timeZone: 'Europe/Paris' } },
    ])
  })

  test('what may not be changed is refused', async () => {
    const { id } = await rig.audience()
    for (const fields of [{ behaviorId: rig.behavior() }, {}, { settings: { nonsense: 1 } }, { name: 'x'.repeat(201) }]) {
      expect((await rig.call('PATCH', `/v1/audiences/${id}`, fields)).status).toBe(400)
    }
  })
})
