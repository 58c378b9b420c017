import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Body, type Service, startService } from './service.ts'

let s: Service
let behaviorId = ''
beforeAll(async () => {
  s = await startService()
  behaviorId = (await s.call('POST', '/v1/behaviors', { key: 'comfort', name: 'Comfort Seekers' })).body.id
})
afterAll(() => s.stop())

const AT = '2026-11-01T10:00:00Z'
const NO_TENANT = '00000000-0000-0000-0000-000000000000'
const members = () => `/v1/behaviors/${behaviorId}/members`

describe('behaviors', () => {
  test('are made, read, described anew and listed', async () => {
    const made = await s.call('POST', '/v1/behaviors', { key: 'price', name: ' Price Hunters ', kind: 'suggested', description: 'd' })
    expect(made).toMatchObject({ status: 201, body: { id: expect.stringMatching(/^beh_/), key: 'price', name: 'Price Hunters', kind: 'suggested' } })
    const path = `/v1/behaviors/${made.body.id}`
    expect(await s.call('PATCH', path, { name: 'Hunters' })).toMatchObject({ status: 200, body: { name: 'Hunters', description: 'd' } })
    expect(await s.call('GET', path)).toMatchObject({ status: 200, body: { name: 'Hunters', members: 0 } })
    const first = await s.call('GET', '/v1/behaviors?limit=1')
    expect(first.body).toMatchObject({ data: [{ key: 'price' }], nextCursor: expect.any(String) })
    const second = await s.call('GET', `/v1/behaviors?limit=1&cursor=${first.body.nextCursor}`)
    expect(second.body).toMatchObject({ data: [{ key: 'comfort' }], nextCursor: null })
  })

  test('a key is given once', async () => {
    expect(await s.call('POST', '/v1/behaviors', { key: 'comfort', name: 'again' })).toMatchObject({ status: 409, body: { code: 'behavior_key_taken' } })
  })

  test('the same Idempotency-Key makes one, with another body it is refused', async () => {
    const once = () => s.call('POST', '/v1/behaviors', { key: 'once', name: 'Once' }, { headers: { 'idempotency-key': 'k1' } })
    const [first, second] = [await once(), await once()]
    expect([first.status, second.body]).toEqual([201, first.body])
    const other = await s.call('POST', '/v1/behaviors', { key: 'twice', name: 'Once' }, { headers: { 'idempotency-key': 'k1' } })
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
  })

  test('unknown, foreign and malformed ids are the same 404', async () => {
    const tenantId = await s.newTenant()
    const answers = await Promise.all([
      s.call('GET', '/v1/behaviors/beh_01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'),
      s.call('GET', `/v1/behaviors/${behaviorId}`, undefined, { tenantId }),
      s.call('GET', '/v1/behaviors/comfort'),
      s.ndjson(members(), [], { tenantId }),
    ])
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(Array(4).fill([404, 'not_found']))
  })

  test('each route asks for its scope', async () => {
    const wrong = { scopes: ['audiences:read'] }
    const answers = await Promise.all([
      s.call('GET', '/v1/behaviors', undefined, wrong),
      s.call('POST', members(), { changes: [] }, wrong),
      s.call('PUT', '/v1/customers/c_1/consent', {}, wrong),
      s.call('POST', '/v1/privacy/erasures', { customerId: 'c' }, wrong),
    ])
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403])
  })

  test('a tenant that we have not heard of is asked to come again', async () => {
    const answer = await s.call('GET', '/v1/behaviors', undefined, { tenantId: '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d' })
    expect(answer).toMatchObject({ status: 503, body: { code: 'service_unavailable' } })
    expect(answer.headers.get('retry-after')).toBe('1')
  })
})

test('the routes are described in OpenAPI, the bulk bodies in both formats', async () => {
  const { paths } = (await s.call('GET', '/internal/openapi.json')).body
  expect(Object.keys(paths).toSorted()).toEqual([
    '/v1/behaviors',
    '/v1/behaviors/overlap',
    '/v1/behaviors/{id}',
    '/v1/behaviors/{id}/health',
    '/v1/behaviors/{id}/members',
    '/v1/customers',
    '/v1/customers/{customerId}/consent',
    '/v1/privacy/erasures',
    '/v1/privacy/erasures/{id}',
  ])
  expect(Object.keys(paths['/v1/customers'].post.requestBody.content)).toEqual(['application/json', 'application/x-ndjson'])
})

describe('bulk', () => {
  test('bad lines are told by number and code, good ones are stored', async () => {
    const answer = await s.ndjson(members(), [
      { customerId: 'b_1', member: true, occurredAt: AT },
      '{"customerId": "b_2"',
      '',
      { customerId: 'b_3', member: true, occurredAt: '2026-11-01T12:05:01Z' },
      { customerId: 'b_4', member: 'yes', occurredAt: AT },
      { customerId: 'b_1', member: false, occurredAt: '2026-11-01T09:00:00Z' },
      { customerId: 'b_5', member: true, occurredAt: AT },
    ])
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ received: 6, changed: 2, stale: 1, rejected: 3 })
    expect(answer.body.errors.map((error: { line: number; code: string }) => [error.line, error.code])).toEqual([
      [2, 'line_malformed'],
      [4, 'occurred_at_in_future'],
      [5, 'line_malformed'],
    ])
  })

  test('JSON documents too, and another document is refused', async () => {
    const changes = [{ customerId: 'j_1', member: true, occurredAt: AT }]
    expect(await s.call('POST', members(), { changes })).toMatchObject({ status: 200, body: { received: 1, changed: 1, stale: 0, rejected: 0, errors: [] } })
    expect(await s.call('POST', members(), { customers: changes })).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect(await s.call('POST', members(), undefined, { raw: 'x', headers: { 'content-type': 'text/plain' } })).toMatchObject({
      status: 415,
      body: { code: 'unsupported_media_type' },
    })
    expect(await s.call('POST', `${members()}?atomic=maybe`, { changes })).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  })

  test('atomic: one bad line refuses all', async () => {
    const bad = [{ customerId: 'a_1', member: true, occurredAt: AT }, 'nonsense']
    expect(await s.ndjson(`${members()}?atomic=true`, bad)).toMatchObject({
      status: 400,
      body: { code: 'validation_failed', received: 2, rejected: 1, errors: [{ line: 2, code: 'line_malformed' }] },
    })
    expect(await s.call('GET', '/internal/v1/customers/a_1')).toMatchObject({ status: 404 })
    expect(await s.ndjson(`${members()}?atomic=true`, bad.slice(0, 1))).toMatchObject({ status: 200, body: { changed: 1 } })
    expect(await s.call('GET', '/internal/v1/customers/a_1')).toMatchObject({ status: 200 })
  })

  test('a JSON document over 10 MiB is too large, NDJSON of that size is not', async () => {
    const line = (n: number) => `${JSON.stringify({ customerId: `big_${n % 500}`, member: true, occurredAt: AT })}${' '.repeat(500)}\n`
    async function* body() {
      for (let n = 0; n < 20_000; n += 100) yield Buffer.from(Array.from({ length: 100 }, (_, i) => line(n + i)).join(''))
    }
    expect(await s.ndjson(members(), ReadableStream.from(body()) as unknown as Body)).toMatchObject({
      status: 200,
      body: { received: 20_000, changed: 500, rejected: 0 },
    })
    expect(await s.call('POST', members(), undefined, { raw: `{"changes":[${' '.repeat(10 * 1024 ** 2)}]}` })).toMatchObject({
      status: 413,
      body: { code: 'payload_too_large' },
    })
  })

  test('customers: an empty one is refused, an unusable identifier is told and the rest stored', async () => {
    const answer = await s.ndjson('/v1/customers', [
      { customerId: 'u_1', identifiers: {}, occurredAt: AT },
      { customerId: 'u_2', identifiers: { email: 'u2@example.com', phone: '0151 123' }, consent: { adUserData: 'granted' }, value: 3, occurredAt: AT },
    ])
    expect(answer.body).toMatchObject({
      received: 2,
      changed: 1,
      rejected: 1,
      errors: [
        { line: 1, code: 'customer_empty' },
        { line: 2, code: 'phone_not_e164' },
      ],
    })
    expect((await s.call('GET', '/internal/v1/customers/u_2')).body.customer).toEqual({
      customerId: 'u_2',
      occurredAt: '2026-11-01T10:00:00.000Z',
      identifiers: { email: { usable: true }, phone: { usable: false }, value: { usable: true }, consent: { usable: true } },
      unusable: [{ field: 'phone', code: 'phone_not_e164' }],
      consent: { adUserData: 'granted', adPersonalization: 'unspecified', crm: 'unspecified', saleShareOptOut: false },
      consentAt: '2026-11-01T10:00:00.000Z',
      maySendTo: ['ads', 'ads_ldu', 'crm'],
      value: 3,
      behaviors: [],
    })
  })
})

describe('consent, health, erasure', () => {
  test('consent by PUT counts from now on; the unknown are not found', async () => {
    await s.ndjson('/v1/customers', [{ customerId: 'k_1', identifiers: { email: 'k1@example.com' }, occurredAt: AT }])
    const answer = await s.call('PUT', '/v1/customers/k_1/consent', { adUserData: 'denied' })
    expect(answer).toMatchObject({ status: 200, body: { maySendTo: ['crm'], consent: { adUserData: 'denied' } } })
    expect(await s.call('PUT', '/v1/customers/k_2/consent', {})).toMatchObject({ status: 404 })
    expect(await s.call('PUT', '/v1/customers/k_1/consent', { ads: 'denied' })).toMatchObject({ status: 400 })
  })

  test('health counts what stands in the way', async () => {
    const { body } = await s.call('POST', '/v1/behaviors', { key: 'health', name: 'Health' })
    await s.ndjson('/v1/customers', [
      { customerId: 'h_1', identifiers: { email: 'h1@example.com', phone: '+14155550100' }, occurredAt: AT },
      { customerId: 'h_2', identifiers: { email: 'nobody', emails: ['nobody', 'h2@example.com'] }, occurredAt: AT, consent: { adPersonalization: 'denied' } },
      { customerId: 'h_3', identifiers: { phone: '12' }, occurredAt: AT, consent: { saleShareOptOut: true } },
    ])
    await s.ndjson(
      `/v1/behaviors/${body.id}/members`,
      ['h_1', 'h_2', 'h_3', 'h_4'].map((customerId) => ({ customerId, member: true, occurredAt: AT })),
    )
    expect((await s.call('GET', `/v1/behaviors/${body.id}/health`)).body).toMatchObject({
      members: 4,
      unknown: 1,
      unmatchable: 2,
      sendable: { ads: 2, ads_ldu: 3, crm: 4 },
      suppressed: { consent_denied: 1, opted_out: 1 },
      identifiers: { email: { present: 2, usable: 2, unusable: { email_malformed: 2 } }, phone: { present: 2, usable: 1, unusable: { phone_not_e164: 1 } } },
    })
  })

  test('an erased person is gone, stays gone, and the second request is the first', async () => {
    await s.ndjson('/v1/customers', [{ customerId: 'e_1', identifiers: { email: 'canary-erased@example.com' }, occurredAt: AT }])
    await s.ndjson(members(), [{ customerId: 'e_1', member: true, occurredAt: AT }])
    const { body: known } = await s.call('POST', '/internal/v1/customers/resolve', { customerIds: ['e_1'] })
    const asked = await s.call('POST', '/v1/privacy/erasures', { customerId: 'e_1' })
    expect(asked).toMatchObject({ status: 202, body: { status: 'pending_destination', purged: { customers: 1, memberships: 1 } } })
    expect((await s.call('POST', '/v1/privacy/erasures', { customerId: 'e_1' })).body).toEqual(asked.body)
    expect((await s.call('GET', `/v1/privacy/erasures/${asked.body.id}`)).body).toEqual(asked.body)
    expect(await s.call('GET', '/internal/v1/customers/e_1')).toMatchObject({ status: 404 })
    for (const [path, line] of [
      [members(), { customerId: 'e_1', member: true, occurredAt: '2026-11-01T11:00:00Z' }],
      ['/v1/customers', { customerId: 'e_1', identifiers: { email: 'canary-erased@example.com' }, occurredAt: '2026-11-01T11:00:00Z' }],
    ] as const)
      expect((await s.ndjson(path, [line])).body).toMatchObject({ changed: 0, rejected: 1, errors: [{ line: 1, code: 'erased' }] })
    expect(await s.call('GET', '/internal/v1/customers/e_1')).toMatchObject({ status: 404 })
    const no = known.customers[0].no
    const fetched = await s.call('POST', `/internal/v1/behaviors/${behaviorId}/fetch`, { customers: [no], purpose: 'crm' })
    expect(fetched.body.verdicts).toEqual([{ verdict: 'suppressed', no, reason: 'erased' }])
    const left = await s.database.admin(`SELECT FROM behavior_export.customer WHERE customer_id = 'e_1' OR no = $1 AND identifiers IS NOT NULL`, [no])
    expect(left).toEqual([])
  })

  test('an erasure is pending until audiences can prove it, tells where the log says so, and then says since when it is complete', async () => {
    await s.ndjson('/v1/customers', [{ customerId: 'e_2', identifiers: { email: 'canary-second@example.com' }, occurredAt: AT }])
    const { body: asked } = await s.call('POST', '/v1/privacy/erasures', { customerId: 'e_2' })
    expect(asked).toMatchObject({ status: 'pending_destination', completedAt: null })
    const pending = async (path = '') => (await s.call('GET', `/internal/v1/pending-erasures${path}`, undefined, { tenantId: NO_TENANT })).body
    const { erasures, done } = await pending()
    const mine = erasures.find(({ id }: { id: string }) => id === asked.id)
    expect(done).toBe(true)
    expect(mine).toMatchObject({ tenantId: s.tenant, customerNo: expect.any(Number), suppressedAt: { position: expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/) } })
    // The position is the log's own, and of its epoch.
    // (The log shows what is older than every transaction of the whole cluster: another test's may be open now.)
    const { log, row } = await until('the log to show it', async () => {
      const page = (await s.call('GET', '/internal/v1/suppressions', undefined, { tenantId: NO_TENANT })).body
      const found = page.rows.find(({ customerNo }: { customerNo: number }) => customerNo === mine.customerNo)
      return found && { log: page, row: found }
    })
    expect(row.at).toBe(mine.suppressedAt.position)
    expect(mine.suppressedAt.epoch).toBe(log.horizon.epoch)
    expect((await pending(`?after=${asked.id}`)).erasures).toEqual([])

    const complete = (tenantId: string) => s.call('POST', '/internal/v1/erasures/complete', { id: asked.id, jws: 'proof' }, { tenantId })
    expect((await complete(await s.newTenant())).status).toBe(200) // another tenant's word changes nothing
    expect((await s.call('GET', `/v1/privacy/erasures/${asked.id}`)).body).toEqual(asked)
    await complete(s.tenant)
    const then = { ...asked, status: 'completed', completedAt: new Date(s.clock.now).toISOString() }
    s.clock.now += 60_000
    await complete(s.tenant) // said twice, the first time stands
    expect((await s.call('GET', `/v1/privacy/erasures/${asked.id}`)).body).toEqual(then)
    expect((await s.call('POST', '/v1/privacy/erasures', { customerId: 'e_2' })).body).toEqual(then)
    expect((await pending()).erasures.map(({ id }: { id: string }) => id)).not.toContain(asked.id)
  })

  test('a completed erasure keeps its proof, is told once, and is handed out until the audit log names it', async () => {
    const { body: asked } = await s.call('POST', '/v1/privacy/erasures', { customerId: 'never_seen' })
    const internal = (method: string, path: string, body?: unknown, tenantId = s.tenant) => s.call(method, `/internal/v1/${path}`, body, { tenantId })
    const complete = (jws: string, tenantId?: string) => internal('POST', 'erasures/complete', { id: asked.id, jws }, tenantId)
    const unchained = async () =>
      (await internal('GET', 'unchained-proofs', undefined, NO_TENANT)).body.proofs.filter(({ id }: { id: string }) => id === asked.id)
    // Nobody ever knew this person, and still there is a proof to come.
    const pending = (await internal('GET', 'pending-erasures', undefined, NO_TENANT)).body.erasures
    expect(pending.find(({ id }: { id: string }) => id === asked.id)).toMatchObject({ customerNo: null, proof: null })
    expect(await unchained()).toEqual([])
    const other = await s.newTenant()
    await complete('forged', other)
    await complete('first')
    await complete('second')
    expect(await unchained()).toEqual([{ id: asked.id, tenantId: s.tenant, jws: 'first' }])
    expect((await internal('GET', `erasures/${asked.id}`)).body.proof).toEqual({ jws: 'first', link: null })
    const told = await s.database.admin(`SELECT FROM behavior_export.outbox WHERE topic = 'customer.erasure.completed' AND key LIKE '%' || $1`, [asked.id])
    expect(told).toHaveLength(1)

    const waiting = async () => (await internal('GET', 'chained-proofs')).body.waiting
    const before = await waiting()
    const link = { seq: 12, hash: 'ab'.repeat(32) }
    await internal('POST', 'erasures/chained', { links: [{ id: asked.id, seq: 1, hash: 'cd'.repeat(32) }] }, other)
    await internal('POST', 'erasures/chained', { links: [{ id: asked.id, ...link }] })
    expect(await unchained()).toEqual([])
    expect(await waiting()).toBe(before - 1)
    expect((await internal('GET', 'chained-proofs')).body).toMatchObject({ links: [{ id: asked.id, ...link }], done: true })
    expect((await internal('GET', `erasures/${asked.id}`)).body.proof).toEqual({ jws: 'first', link })
    expect((await internal('POST', 'erasures/proofs', { ids: [asked.id] })).body.proofs).toEqual([{ id: asked.id, jws: 'first' }])
    for (const [method, path, body] of [
      ['POST', 'erasures/proofs', { ids: [asked.id] }],
      ['GET', 'chained-proofs', undefined],
    ] as const)
      expect(JSON.stringify((await internal(method, path, body, other)).body)).not.toContain(asked.id)
  })

  test('the erasure of somebody we never knew is complete, and keeps them out', async () => {
    expect(await s.call('POST', '/v1/privacy/erasures', { customerId: 'never' })).toMatchObject({
      status: 202,
      body: { status: 'completed', completedAt: expect.any(String) },
    })
    expect((await s.ndjson(members(), [{ customerId: 'never', member: true, occurredAt: AT }])).body).toMatchObject({
      rejected: 1,
      errors: [{ code: 'erased' }],
    })
  })
})
