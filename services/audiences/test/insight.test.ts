/** The catalogue, the preview, and what can be seen of a run, an account and a person. */
import { createHash } from 'node:crypto'
import { newUuid } from '@audience-sync/contracts/ids'
import { groupBit, purposeBit } from '@audience-sync/contracts/people'
import type { Destination } from '@audience-sync/destination-kit/contract'
import { fingerprintOf } from '@audience-sync/sync-engine/pure/diff'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { versionChecks } from '../src/destinations.ts'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const bare = (id: string) => id.slice(4)

test('readiness warns of an API version that ends, and stays ready', () => {
  const life = { version: 'v1', releasedOn: null, endsOn: '2027-01-01', endIsGuessed: false, state: 'ending', text: 'It ends.' }
  const some = (versionLife?: () => object) => ({ manifest: { id: 'some', apiVersion: 'v1', ...(versionLife && { versionLife }) } }) as unknown as Destination
  const checks = (one: Destination) => versionChecks(new Map([['some', one]])).map((check) => check())
  expect(checks(some(() => life))).toEqual([{ ok: true, detail: 'some v1', warning: 'It ends.' }])
  expect(checks(some(() => ({ ...life, state: 'current' })))).toEqual([{ ok: true, detail: 'some v1' }])
  expect(checks(some())).toEqual([{ ok: true, detail: 'some v1' }])
})

describe('the catalogue', () => {
  test('a destination shows its settings as JSON Schema, limits and advice; an unknown one is 404', async () => {
    const { body } = await rig.call('GET', '/v1/destinations')
    expect(body.data).toMatchObject([
      { id: 'meta', minimumSize: 100, limits: { rowsPerCall: 10_000 }, settings: { type: 'object', properties: { retentionDays: { maximum: 180 } } } },
    ])
    expect((await rig.call('GET', '/v1/destinations/meta')).body).toEqual(body.data[0])
    expect(body.data[0].versionLife).toMatchObject({
      version: 'v26.0',
      releasedOn: '2026-07-29',
      endIsGuessed: true,
      state: expect.any(String),
      text: expect.any(String),
    })
    expect(await rig.call('GET', '/v1/destinations/tiktok')).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })

  test('errors are listed with title and solution', async () => {
    const { body } = await rig.call('GET', '/v1/errors')
    expect(body.data).toContainEqual({ code: 'audience_held', status: 409, title: expect.any(String), solution: expect.any(String), platform: [] })
  })

  test('errors name the platforms’ codes that end in them, and a destination its common troubles', async () => {
    const { body } = await rig.call('GET', '/v1/errors')
    const { platform } = body.data.find(({ code }: { code: string }) => code === 'terms_not_signed')
    expect(platform).toEqual([{ destination: 'meta', codes: expect.arrayContaining(['200/1870034', '2663']) }])
    const { body: meta } = await rig.call('GET', '/v1/destinations/meta')
    expect(meta.troubleshooting).toContainEqual({
      title: 'Permission denied',
      text: expect.any(String),
      solution: expect.stringMatching(/admin access/),
      codes: expect.arrayContaining(['permission_denied']),
    })
  })

  test('preview shows the request, what was dropped, and who may not be sent', async () => {
    const granted = { adUserData: 'granted', adPersonalization: 'granted' }
    const { status, body } = await rig.call('POST', '/v1/destinations/meta/preview', {
      operation: 'add',
      identifiers: ['email', 'phone'],
      members: [
        { customerId: 'c_1', identifiers: { email: ' Ann@Example.com ', phone: 'nonsense' }, consent: granted },
        { customerId: 'c_2', identifiers: { email: 'bob@example.com' }, consent: { ...granted, adUserData: 'denied' } },
        { customerId: 'c_3', identifiers: { email: 'no address' }, consent: granted },
      ],
    })
    expect(status).toBe(200)
    expect(body.requests).toMatchObject([
      {
        method: 'POST',
        url: 'https://graph.facebook.com/v26.0/{audience}/users',
        body: { payload: { schema: ['EMAIL', 'PHONE'], data: [[sha256('ann@example.com'), '']] } },
      },
    ])
    expect(body.members).toMatchObject([
      { customerId: 'c_1', sent: { EMAIL: sha256('ann@example.com') }, dropped: [{ field: 'phone', code: 'phone_not_e164' }], rejected: null },
      { customerId: 'c_2', sent: {}, rejected: { code: 'consent_denied' } },
      { customerId: 'c_3', sent: {}, dropped: [{ field: 'email', code: 'email_malformed' }], rejected: { code: 'no_usable_identifier' } },
    ])
  })

  test('the quota of an account; another tenant’s account is 404', async () => {
    const id = rig.account()
    expect(await rig.call('GET', `/v1/accounts/${id}/quota`)).toMatchObject({
      status: 200,
      body: { destination: 'meta', quotas: [{ id: 'api_score', used: 0, capacity: 60 }, { id: 'custom_audience' }, { id: 'ads_management' }, { id: 'app' }] },
    })
    expect((await rig.call('GET', `/v1/accounts/${id}/quota`, undefined, { tenantId: newUuid() })).status).toBe(404)
  })
})

describe('how a platform answers', () => {
  const seen = async (tenantId?: string) => (await rig.call('GET', '/internal/v1/platforms', undefined, tenantId ? { tenantId } : {})).body.data
  const called = (audienceId: string, statuses: readonly (number | null)[], ago = '1 minute') =>
    rig.database.admin(
      `INSERT INTO sync.call (tenant_id, destination_no, audience_no, method, path, status, duration_ms, started_at)
       SELECT tenant_id, destination_no, no, 'POST', '/users', s, 5, now() - $3::interval FROM sync.audience, unnest($2::smallint[]) AS s WHERE id = $1`,
      [bare(audienceId), statuses, ago],
    )

  test('is told by the last minutes’ calls, to the tenant whose they are', async () => {
    const accountId = rig.account()
    const { id } = await rig.audience({ accountId })
    await called(id, [503, 503, 503], '20 minutes')
    expect(await seen()).toMatchObject([{ destination: 'meta', state: 'ok', calls: 0, lastAnswerAt: null, statusPage: expect.stringContaining('https://') }])
    await called(id, [null, 503, 500])
    expect(await seen()).toMatchObject([{ state: 'down', calls: 3, failed: 3, lastAnswerAt: null }])
    await called(id, [200, 400])
    expect(await seen()).toMatchObject([{ state: 'degraded', calls: 5, failed: 3, lastAnswerAt: expect.any(String) }])
    await called(
      id,
      Array.from({ length: 30 }, () => 200),
    )
    expect(await seen()).toMatchObject([{ state: 'ok', calls: 35, blockedUntil: null }])
    expect(await seen(newUuid())).toMatchObject([{ state: 'ok', calls: 0 }])
    await rig.database.admin(
      `UPDATE sync.call SET response = '{"platformWarning": "The call has been auto-upgraded to v27.0."}'
       WHERE no = (SELECT max(c.no) FROM sync.call c JOIN sync.audience a ON a.no = c.audience_no WHERE a.id = $1)`,
      [bare(id)],
    )
    expect(await seen()).toMatchObject([{ state: 'ok', warnings: ['Meta Custom Audiences says: The call has been auto-upgraded to v27.0.'] }])
    await rig.database.admin(
      `INSERT INTO sync.quota (destination_no, quota, scope, capacity, blocked_until)
       SELECT destination_no, 'api_score', account_external_id, 60, now() + interval '5 minutes' FROM sync.audience WHERE id = $1`,
      [bare(id)],
    )
    expect(await seen()).toMatchObject([{ state: 'degraded', blockedUntil: expect.any(String) }])
    expect(await seen(newUuid())).toMatchObject([{ state: 'ok', blockedUntil: null }])
    await rig.database.admin('DELETE FROM sync.quota')
  })
})

describe('one run and one person', () => {
  test('counts are those of the batches; rejections and calls are listed; the person is explained', async () => {
    const { id, lastRun } = await rig.audience()
    const run = bare(lastRun.id)
    const all = groupBit('email') | groupBit('phone')
    const pieces = Buffer.alloc(16, 7).toString('base64')
    await rig.database.admin(
      `WITH b AS (
         INSERT INTO sync.batch (id, tenant_id, run_no, audience_no, destination_no, generation, operation, rows, added, state, rejected_added, suppressions_at, fetched_at, receipt)
         SELECT $2, tenant_id, no, audience_no, destination_no, 1, 'add', 3, 3, 'applied', 1, '0:0', now(), '{"sessionId": 7}' FROM sync.run WHERE id = $1 RETURNING *
       ), l AS (
         INSERT INTO sync.ledger (customer_no, fingerprint, add_batch, audience_no, tenant_no, config_version, destination_no, generation, normaliser, held)
         SELECT 1, $3, b.no, b.audience_no, a.tenant_no, 1, b.destination_no, 1, 1, '' FROM b JOIN sync.audience a ON a.no = b.audience_no
       ), r AS (
         INSERT INTO sync.rejection (run_no, customer_no, audience_no, tenant_no, destination_no, operation, code)
         SELECT b.run_no, 2, b.audience_no, a.tenant_no, b.destination_no, 'add', 'platform_rejected_row' FROM b JOIN sync.audience a ON a.no = b.audience_no
       )
       INSERT INTO sync.call (tenant_id, destination_no, audience_no, run_no, method, path, status, duration_ms, request, response, started_at)
       SELECT tenant_id, destination_no, audience_no, run_no, 'POST', '/v26.0/1/users', 200, 12, '{"rows": 3}', '{"num_received": 3}', now() FROM b`,
      [run, newUuid(), fingerprintOf(all, pieces, all)],
    )
    rig.world.customers.set('c_1', 1).set('c_2', 2).set('c_3', 3)
    rig.world.rows
      .set(1, [1, 1, purposeBit('ads'), all, pieces])
      .set(2, [2, 1, purposeBit('ads'), groupBit('email'), pieces])
      .set(3, [3, 1, 0, all, pieces])

    expect((await rig.call('GET', `/v1/runs/${lastRun.id}`)).body).toMatchObject({
      counts: { planned: 3, accepted: 2, applied: 2, rejected: 1, added: 2, waiting: 0 },
      progress: { done: 3, total: 3 },
    })
    expect((await rig.call('GET', `/v1/runs/${lastRun.id}/rejections`)).body).toMatchObject({
      data: [{ customerId: 'c_2', operation: 'add', code: 'platform_rejected_row', attempts: 1 }],
      nextCursor: null,
    })
    expect((await rig.call('GET', `/v1/runs/${lastRun.id}/calls`)).body.data).toMatchObject([{ method: 'POST', status: 200, request: { rows: 3 } }])

    await rig.database.admin(`UPDATE sync.run SET status = 'completed_with_rejections', finished_at = now() WHERE id = $1`, [run])
    const retry = await rig.call('POST', `/v1/runs/${lastRun.id}/retry-rejected`)
    expect(retry).toMatchObject({ status: 202, body: { trigger: 'retry', status: 'queued' } })
    expect(await rig.database.admin('SELECT customer_no, reason, not_before <= now() AS due FROM sync.todo')).toEqual([
      { customer_no: 2, reason: 'rejected', due: true },
    ])
    expect(await rig.call('POST', `/v1/runs/${retry.body.id}/retry-rejected`)).toMatchObject({ status: 409, body: { code: 'conflict' } })

    const person = async (customerId: string) => (await rig.call('GET', `/v1/audiences/${id}/members/${customerId}`)).body
    rig.world.explained.set(1, { fields: { email: null, emails: 'email_malformed', phone: null } }).set(2, { fields: { email: null, phone: 'phone_not_e164' } })
    rig.world.explained.set(4, { fields: { email: null }, leftOut: true }).set(3, { fields: { email: null } })
    rig.world.customers.set('c_4', 4)
    rig.world.rows.set(4, [4, 1, purposeBit('ads'), groupBit('email'), pieces])
    expect(await person('c_1')).toMatchObject({
      membership: { member: true, since: '2026-11-01T10:00:00.000Z', eventId: null },
      consent: { adUserData: 'granted', purpose: 'ads', allowed: true, code: null },
      identifiers: { email: { kept: true, dropped: [{ field: 'emails', code: 'email_malformed' }] }, phone: { kept: true, dropped: [] } },
      state: 'applied',
      operation: 'add',
      runId: lastRun.id,
      receipt: { sessionId: 7 },
      next: 'none',
      reason: null,
    })
    expect(await person('c_2')).toMatchObject({
      state: 'rejected',
      reason: { code: 'platform_rejected_row' },
      identifiers: { email: { kept: true }, phone: { kept: false, code: 'phone_not_e164' } },
      next: 'add',
    })
    expect(await person('c_3')).toMatchObject({
      consent: { allowed: false, code: 'consent_denied' },
      identifiers: { phone: { kept: false, code: 'identifier_missing' } },
      state: 'absent',
      reason: { code: 'consent_denied' },
      next: 'none',
    })
    expect(await person('c_4')).toMatchObject({ state: 'absent', reason: { code: 'dropped_by_rule' }, next: 'none' })
    rig.world.rows.set(1, [1, 1, purposeBit('ads'), all, Buffer.alloc(16, 8).toString('base64')])
    expect(await person('c_1')).toMatchObject({ state: 'applied', next: 'replace' })
    rig.world.explained.set(1, { fields: { email: null, phone: null }, withheld: { ads: ['phone'] } })
    expect((await person('c_1')).identifiers).toMatchObject({ email: { kept: true }, phone: { kept: false, code: 'identifier_shared' } })
    // C24: the platform refused some of its rows without a name: nobody knows of whom.
    await rig.database.admin('UPDATE sync.batch SET unnamed_rejections = 1')
    expect(await person('c_1')).toMatchObject({ state: 'unknown', operation: 'add' })
    await rig.database.admin('UPDATE sync.batch SET unnamed_rejections = 0')
    rig.world.rows.set(1, [1, 0, purposeBit('ads'), all, pieces])
    expect(await person('c_1')).toMatchObject({ membership: { member: false }, state: 'applied', next: 'remove' })
    expect(await rig.call('GET', `/v1/audiences/${id}/members/nobody`)).toMatchObject({ status: 404, body: { code: 'customer_unknown' } })
  })
})
