import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { makeApiKey } from '../src/api-key.ts'
import { ADMIN, codeOf, type Harness, harness } from './harness.ts'

/** Of changes. */
const PER_SECOND = 2
const ASKED = 20 // more than would grow in the seconds that a slow machine takes for them

let gateway: Harness
beforeAll(async () => {
  gateway = await harness({
    routes: {
      'behavior-export'(app) {
        app.addContentTypeParser('application/x-ndjson', (_request, payload, done) => done(null, payload))
        app.post('/v1/customers', { config: { scope: 'customers:write' } }, async ({ body }) => {
          let bytes = 0
          for await (const chunk of body as AsyncIterable<Buffer>) bytes += chunk.length
          return { bytes }
        })
      },
    },
    config: { LIMIT_WRITE: PER_SECOND, LIMIT_READ: 1000, CORS_ORIGINS: ['https://app.example'], LIMIT_IMPORT_BYTES: 100_000 },
  })
})
afterAll(() => gateway.stop())

test('changes beyond the tenant’s burst answer 429 with Retry-After, and reads and other tenants go on', async () => {
  const [busy, calm] = [await gateway.tenant('busy'), await gateway.tenant('calm')]
  const change = (key: string) => gateway.call('/v1/api-keys/key_AAAAAAAAAAAA', { method: 'DELETE', key })
  const began = performance.now()
  const answers = await Promise.all(Array.from({ length: ASKED }, () => change(busy.key)))
  const refused = answers.filter(({ status }) => status === 429)
  const taken = answers.filter(({ status }) => status === 404)
  expect(taken.length + refused.length).toBe(ASKED)
  expect(taken.length).toBeGreaterThanOrEqual(4) // a burst of four, and what grew meanwhile
  expect(taken.length).toBeLessThanOrEqual(4 + Math.ceil(((performance.now() - began) / 1_000) * PER_SECOND))
  const [one] = refused as [Response]
  expect(one.headers.get('retry-after')).toBe('1')
  expect(one.headers.get('ratelimit-policy')).toBe('"write";q=4;w=2')
  expect(one.headers.get('ratelimit')).toBe('"write";r=0;t=1')
  expect(await codeOf(one)).toEqual([429, 'rate_limited'])
  expect((await gateway.call('/v1/api-keys', { key: busy.key })).status).toBe(200)
  expect((await change(calm.key)).status).toBe(404)
})

test('a tenant’s own limits take the place of the installation’s', async () => {
  const { key } = await gateway.tenant('large', { write: 500 })
  const answer = await gateway.call('/v1/api-keys/key_AAAAAAAAAAAA', { method: 'DELETE', key })
  expect(answer.headers.get('ratelimit-policy')).toBe('"write";q=1000;w=2')
})

test('an upload that is faster than the tenant’s pace is slowed down, not refused', async () => {
  const { key } = await gateway.tenant('uploads')
  const began = performance.now()
  const answer = await gateway.call('/v1/customers', { method: 'POST', body: '{}\n'.repeat(100_000), headers: { 'content-type': 'application/x-ndjson' }, key })
  expect(await answer.json()).toEqual({ bytes: 300_000 })
  expect(performance.now() - began).toBeGreaterThan(500) // 300 kB at 100 kB/s, of which the burst takes 200 at most and a piece may owe
})

test('after ten failed logins of an address a minute, guesses answer 429 and known keys still pass', async () => {
  const { key } = await gateway.tenant('neighbour')
  expect((await gateway.call('/v1/api-keys', { key })).status).toBe(200)
  const guess = () => gateway.call('/v1/api-keys', { key: makeApiKey('test').text })
  const answers: number[] = []
  for (let i = 0; i < 12; i += 1) answers.push((await guess()).status)
  expect(answers).toEqual([...Array(10).fill(401), 429, 429])
  const refused = await guess()
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  for (const good of [key, ADMIN]) expect((await gateway.call('/v1/api-keys', { key: good })).status).toBe(200)
  expect((await gateway.call('/v1/api-keys', { key: null })).status).toBe(401)
  const failures = await until('the audit rows', async () => {
    const rows = await gateway.database.admin(`SELECT actor, target, status FROM gateway.audit_log WHERE action = 'auth.failed'`)
    return rows.length >= 10 && rows
  })
  expect(failures).toEqual(Array(10).fill({ actor: 'anonymous', target: 'GET /v1/api-keys', status: 401 }))
})

test('pages of the configured origin may call, others may not, and caches are told', async () => {
  const preflight = (origin: string) =>
    gateway.call('/v1/audiences', {
      method: 'OPTIONS',
      key: null,
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    })
  const good = await preflight('https://app.example')
  expect([good.status, good.headers.get('access-control-allow-origin'), good.headers.get('vary')]).toEqual([
    204,
    'https://app.example',
    expect.stringContaining('Origin'),
  ])
  expect(good.headers.get('access-control-allow-credentials')).toBeNull()
  for (const origin of ['https://evil.example', 'https://app.example.evil.example', 'http://app.example', 'null'])
    expect((await preflight(origin)).headers.get('access-control-allow-origin')).toBeNull()
  const answer = await gateway.call('/v1/api-keys', { headers: { origin: 'https://app.example' } })
  expect(answer.headers.get('access-control-expose-headers')).toContain('x-request-id')
})
