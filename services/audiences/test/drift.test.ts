/** What users see of changes at the destination, and what they answer (C19). The looks and the healing are the connector's. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const since = '2026-11-23T10:00:00.000Z'
const set = (id: string, fields: Record<string, unknown>) =>
  Promise.all(Object.entries(fields).map(([name, value]) => rig.database.admin(`UPDATE sync.audience SET ${name} = $2 WHERE id = $1`, [id.slice(4), value])))
const get = async (id: string) => (await rig.call('GET', `/v1/audiences/${id}`)).body
const columns = async (id: string) =>
  (await rig.database.admin(`SELECT missing, heal_requested_at, check_at::text, drift_policy, keep_remote FROM sync.audience WHERE id = $1`, [id.slice(4)]))[0]
const missing = JSON.stringify({ code: 'audience_missing', detail: 'Not listed.', proven: true, since })

/** An audience that has been exported, with no run open. */
async function exported(fields = {}): Promise<string> {
  const { id } = await rig.audience(fields)
  await rig.database.admin(`UPDATE sync.run SET status = 'completed', finished_at = now() WHERE audience_no = (SELECT no FROM sync.audience WHERE id = $1)`, [
    id.slice(4),
  ])
  await set(id, { external_id: id.slice(-12), status: 'active' })
  return id
}

describe('the policy', () => {
  test('touches nothing unless it is told to, and is changed field by field', async () => {
    const id = await exported()
    expect((await get(id)).drift).toEqual({ checkedAt: null, findings: [], policy: { missing: 'hold', renamed: 'report', size: 'report' } })
    const { body } = await rig.call('PATCH', `/v1/audiences/${id}`, { drift: { missing: 'recreate' } })
    expect(body.drift.policy).toEqual({ missing: 'recreate', renamed: 'report', size: 'report' })
    const made = await rig.audience({ drift: { renamed: 'restore' } })
    expect(made.drift.policy).toEqual({ missing: 'hold', renamed: 'restore', size: 'report' })
    expect((await rig.call('PATCH', `/v1/audiences/${id}`, { drift: { missing: 'perhaps' } })).status).toBe(400)
  })
})

describe('check', () => {
  test('asks for a look soon; the scope and something to look at are needed', async () => {
    const id = await exported()
    expect(await rig.call('POST', `/v1/audiences/${id}/check`)).toMatchObject({ status: 202, body: { id } })
    expect((await columns(id))?.check_at).toBe('-infinity')
    expect((await rig.call('POST', `/v1/audiences/${id}/check`, undefined, { scopes: ['audiences:read'] })).status).toBe(403)
    const { id: fresh } = await rig.audience()
    expect(await rig.call('POST', `/v1/audiences/${fresh}/check`)).toMatchObject({ status: 409, body: { code: 'conflict' } })
  })

  test('shows what was found in the catalogue’s words', async () => {
    const id = await exported()
    await set(id, {
      drift: JSON.stringify({ checkedAt: since, sound: null, findings: [{ code: 'audience_renamed', detail: 'Theirs', since, healing: 'none' }] }),
    })
    expect((await get(id)).drift).toMatchObject({
      checkedAt: since,
      findings: [
        { code: 'audience_renamed', title: 'The audience was renamed at the platform', solution: expect.any(String), detail: 'Theirs', since, healing: 'none' },
      ],
    })
  })
})

describe('C19: an audience that is missing there', () => {
  test('C19 is held with the question; a refresh and a plan are refused with its code', async () => {
    const id = await exported()
    await set(id, { missing })
    expect(await get(id)).toMatchObject({
      status: 'held',
      statusReason: { code: 'audience_missing', solution: expect.stringContaining('/heal') },
      drift: { findings: [{ code: 'audience_missing', healing: 'asks', since }] },
    })
    for (const path of ['refresh', 'plan'])
      expect(await rig.call('POST', `/v1/audiences/${id}/${path}`, {})).toMatchObject({ status: 409, body: { code: 'audience_missing' } })
  })

  test('C19 heal answers yes: one full run, whose trigger says why, and the event is told', async () => {
    const id = await exported()
    await set(id, { missing })
    const { status, body } = await rig.call('POST', `/v1/audiences/${id}/heal`)
    expect([status, body.trigger, body.mode, body.status]).toEqual([202, 'heal', 'full', 'queued'])
    expect((await rig.call('POST', `/v1/audiences/${id}/heal`)).body.id).toBe(body.id)
    expect((await columns(id))?.heal_requested_at).not.toBeNull()
    expect(await get(id)).toMatchObject({ status: 'syncing', drift: { findings: [{ healing: 'automatic' }] } })
    expect((await rig.said('audience.sync.requested')).filter(({ runId }) => runId === body.id)).toHaveLength(1)
  })

  test('C19 a run that waits by the schedule becomes the one that heals', async () => {
    const id = await exported()
    await rig.call('POST', `/v1/audiences/${id}/refresh`)
    await set(id, { missing })
    expect((await rig.call('POST', `/v1/audiences/${id}/heal`)).body).toMatchObject({ trigger: 'heal', mode: 'full' })
    expect((await rig.call('GET', `/v1/audiences/${id}/runs`)).body.data).toHaveLength(2)
  })

  test('C19 one that is disabled there may be replaced, too', async () => {
    const id = await exported()
    await set(id, {
      drift: JSON.stringify({ checkedAt: since, sound: null, findings: [{ code: 'audience_disabled', detail: 'Closed.', since, healing: 'asks' }] }),
    })
    expect((await rig.call('POST', `/v1/audiences/${id}/heal`)).status).toBe(202)
    expect((await columns(id))?.missing).toMatchObject({ code: 'audience_disabled', proven: false })
  })

  test('where nothing asks for it, healing is refused; paused and deleting refuse it with their codes', async () => {
    const id = await exported()
    const heal = async () => (await rig.call('POST', `/v1/audiences/${id}/heal`)).body.code
    expect(await heal()).toBe('nothing_to_heal')
    await set(id, { missing })
    await rig.call('POST', `/v1/audiences/${id}/pause`)
    expect(await heal()).toBe('audience_paused')
    await rig.call('DELETE', `/v1/audiences/${id}`)
    expect(await heal()).toBe('audience_deleting')
  })

  test('C19 resumed after a pause, the question stands as before', async () => {
    const id = await exported()
    await set(id, { missing })
    await rig.call('POST', `/v1/audiences/${id}/pause`)
    expect((await rig.call('POST', `/v1/audiences/${id}/resume`)).body).toMatchObject({ status: 'held', statusReason: { code: 'audience_missing' } })
    expect((await rig.said('audience.status.changed')).filter(({ audienceId }) => audienceId === id).map(({ to }) => to)).toEqual(['paused', 'held'])
  })

  test('what cannot be deleted there can be let go of', async () => {
    const id = await exported()
    await rig.call('DELETE', `/v1/audiences/${id}`)
    await rig.call('DELETE', `/v1/audiences/${id}?keepRemote=true`)
    expect((await columns(id))?.keep_remote).toBe(true)
  })
})
