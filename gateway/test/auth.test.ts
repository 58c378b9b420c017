import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { z } from 'zod'
import { makeApiKey } from '../src/api-key.ts'
import { ADMIN, type Harness, harness } from './harness.ts'

let gateway: Harness
let seen: { tenantId: string; subject: string; scopes: readonly string[]; authorization: string }[] = []
beforeAll(async () => {
  gateway = await harness({
    routes: {
      audiences(app) {
        app.get(
          '/v1/audiences',
          { config: { scope: 'audiences:read' }, schema: { response: { 200: z.object({ ok: z.boolean() }) } } },
          async ({ auth, headers }) => {
            seen.push({ ...auth, authorization: headers.authorization ?? '' })
            return { ok: true }
          },
        )
        app.post('/v1/audiences', { config: { scope: 'audiences:write' } }, async () => ({ ok: true }))
      },
    },
    config: { LIMIT_LOGIN_FAILURES: 100_000 },
  })
})
afterAll(() => gateway.stop())

const json = async (response: Response) =>
  (await response.json()) as Record<string, never> & { code: string; id: string; key: string; scopes: string[]; data: Record<string, unknown>[] }
/** The 43 characters, which may hold underscores themselves. */
const secretOf = (key: string) => key.slice(-50, -7)
const makeKey = async (body: object, key = ADMIN) =>
  json(await gateway.call('/v1/api-keys', { method: 'POST', body: JSON.stringify({ name: 'a key', ...body }), key }))

test('no credential, a malformed one and an unknown one answer 401 with a problem and the limits', async () => {
  for (const key of [null, 'nonsense', 'a.b.c', makeApiKey('test').text, makeApiKey('live').text, `${ADMIN}x`]) {
    const answer = await gateway.call('/v1/audiences', { key })
    expect([key, answer.status]).toEqual([key, 401])
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
    expect(answer.headers.get('ratelimit')).toMatch(/^".+";r=\d+;t=\d+$/)
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    expect((await json(answer)).code).toBe('unauthenticated')
  }
})

test('a service gets a token of ours with tenant, subject and scopes, and never the caller’s credential', async () => {
  seen = []
  const { key, id } = await makeKey({ scopes: ['audiences:read'] })
  expect((await gateway.call('/v1/audiences', { key })).status).toBe(200)
  expect(seen).toHaveLength(1)
  expect(seen[0]).toMatchObject({ tenantId: '0190de30-0000-7000-8000-000000000001', subject: id, scopes: ['audiences:read'] })
  expect(seen[0]?.authorization).not.toContain(key)
})

test('a scope that the key lacks is refused by the service and, of the gateway’s own routes, by the gateway', async () => {
  const { key } = await makeKey({ scopes: ['audiences:read'] })
  for (const [path, method] of [
    ['/v1/audiences', 'POST'],
    ['/v1/api-keys', 'GET'],
    ['/v1/audit-log', 'GET'],
    ['/v1/tenants', 'POST'],
  ] as const) {
    const answer = await gateway.call(path, { method, key, ...(method === 'POST' && { body: '{}' }) })
    expect([path, answer.status, (await json(answer)).code]).toEqual([path, 403, 'forbidden_scope'])
  }
})

test('nobody can give a key more than they have, and nobody can give tenants:admin or internal', async () => {
  const { key } = await makeKey({ scopes: ['keys:admin', 'audiences:read'] })
  expect((await makeKey({ scopes: ['privacy:erase'] }, key)).code).toBe('forbidden_scope')
  for (const scope of ['tenants:admin', 'internal']) expect((await makeKey({ scopes: [scope] })).code).toBe('validation_failed')
  const own = await makeKey({ scopes: ['audiences:read'] }, key)
  expect((await json(await gateway.call(`/v1/api-keys/${own.id}`, { method: 'PATCH', key, body: JSON.stringify({ scopes: ['syncs:write'] }) }))).code).toBe(
    'forbidden_scope',
  )
})

test('a key is shown once; lists and reads never have the secret; revoking it ends it', async () => {
  const { key, id } = await makeKey({ scopes: ['audiences:read'] })
  expect(key).toMatch(/^audsync_test_/)
  const list = await gateway.call('/v1/api-keys')
  const text = await list.text()
  expect(text).toContain(id)
  expect(text).not.toContain(secretOf(key))
  expect((await gateway.call(`/v1/api-keys/${id}`, { method: 'DELETE' })).status).toBe(204)
  expect((await gateway.call('/v1/audiences', { key })).status).toBe(401)
  expect(await json(await gateway.call(`/v1/api-keys/${id}`))).toMatchObject({ status: 'revoked' })
})

test('after a rotation both keys live, and the old one ends by itself', async () => {
  const old = await makeKey({ scopes: ['audiences:read'] })
  const answer = await json(await gateway.call(`/v1/api-keys/${old.id}/rotate`, { method: 'POST', body: '{"overlapHours": 1}' }))
  for (const key of [old.key, answer.key]) expect((await gateway.call('/v1/audiences', { key })).status).toBe(200)
  await gateway.database.admin(
    `UPDATE gateway.api_key SET created_at = created_at - interval '2 hours', expires_at = expires_at - interval '2 hours' WHERE id = $1`,
    [old.id.slice(4)],
  )
  await gateway.call(`/v1/api-keys/${old.id}`, { method: 'PATCH', body: '{"name": "looked up anew"}' })
  expect((await gateway.call('/v1/audiences', { key: old.key })).status).toBe(401)
  expect((await gateway.call('/v1/audiences', { key: answer.key })).status).toBe(200)
})

test('the same Idempotency-Key makes one key, and the repeat does not have its secret', async () => {
  const init = { method: 'POST', body: '{"name": "once", "scopes": ["audiences:read"]}', headers: { 'idempotency-key': 'k-1' } }
  const first = await json(await gateway.call('/v1/api-keys', init))
  const second = await json(await gateway.call('/v1/api-keys', init))
  expect(first.key).toMatch(/^audsync_/)
  expect(second).toEqual({ ...first, key: null })
  const reused = await gateway.call('/v1/api-keys', { ...init, body: '{"name": "other", "scopes": ["audiences:read"]}' })
  expect([reused.status, (await json(reused)).code]).toEqual([422, 'idempotency_key_reused'])
  const stored = JSON.stringify(await gateway.database.admin('SELECT * FROM gateway.idempotency'))
  expect(stored).not.toContain(secretOf(first.key))
})

test('another tenant’s key and a key that never was answer the same 404 on every route', async () => {
  const mine = await makeKey({ scopes: ['audiences:read'] })
  const stranger = await gateway.tenant('stranger')
  const bodies = []
  for (const id of [mine.id, 'key_AAAAAAAAAAAA', 'key_x', 'nonsense', '%00'])
    for (const [method, path, body] of [
      ['GET', ''],
      ['PATCH', '', '{"name":"x"}'],
      ['DELETE', ''],
      ['POST', '/rotate', '{}'],
    ] as const) {
      const answer = await gateway.call(`/v1/api-keys/${id}${path}`, { method, key: stranger.key, ...(body && { body }) })
      const { requestId: _, ...problem } = await json(answer)
      expect([method, id, answer.status]).toEqual([method, id, 404])
      bodies.push(JSON.stringify(problem))
    }
  expect(new Set(bodies).size).toBe(1)
  expect((await json(await gateway.call('/v1/api-keys', { key: stranger.key }))).data).toHaveLength(1)
  expect((await gateway.call('/v1/audiences', { key: mine.key })).status).toBe(200)
})

test('a tenant is made with a key, told to the other services, suspended and woken', async () => {
  const { id, uuid, key } = await gateway.tenant('acme')
  expect((await gateway.call('/v1/audiences', { key })).status).toBe(200)
  const patch = (status: string) => gateway.call(`/v1/tenants/${id}`, { method: 'PATCH', body: JSON.stringify({ status }) })
  expect((await patch('suspended')).status).toBe(200)
  const refused = await gateway.call('/v1/audiences', { key })
  expect([refused.status, (await json(refused)).code]).toEqual([403, 'tenant_suspended'])
  await patch('active')
  expect((await gateway.call('/v1/audiences', { key })).status).toBe(200)
  const told = await gateway.database.admin<{ topic: string; version: string }>('SELECT topic, version FROM gateway.outbox WHERE tenant_id = $1 ORDER BY id', [
    uuid,
  ])
  expect(told.map(({ topic, version }) => [topic, Number(version)])).toEqual([
    ['tenant.changed', 1],
    ['tenant.changed', 2],
    ['tenant.changed', 3],
  ])
  expect((await json(await gateway.call('/v1/tenants', { method: 'POST', body: '{"slug":"acme","name":"again"}' }))).code).toBe('conflict')
})

test('keys are paged without a gap or a repeat', async () => {
  const { key } = await gateway.tenant('pages')
  for (let i = 0; i < 5; i += 1) await makeKey({ name: `k${i}`, scopes: ['audiences:read'] }, key)
  const ids: unknown[] = []
  for (let cursor = ''; ; ) {
    const page = await json(await gateway.call(`/v1/api-keys?limit=2${cursor && `&cursor=${cursor}`}`, { key }))
    ids.push(...page.data.map(({ id }) => id))
    if (!page.nextCursor) break
    cursor = page.nextCursor
  }
  expect(ids).toHaveLength(6)
  expect(new Set(ids).size).toBe(6)
  expect((await json(await gateway.call('/v1/api-keys?cursor=nonsense', { key }))).code).toBe('validation_failed')
})

test('no key, secret or query string is ever in the logs', async () => {
  const { key } = await makeKey({ scopes: ['audiences:read'] })
  await gateway.call('/v1/audiences?email=planted@example.com', { key })
  await gateway.call('/v1/customers/planted%40example.com', { key })
  await gateway.call('/v1/audiences', { key: `${key}x` })
  const logs = gateway.logs()
  expect(logs).toContain('"answered"')
  for (const planted of [key, secretOf(key), ADMIN, 'planted', 'eyJ']) expect(logs.includes(planted)).toBe(false)
})
