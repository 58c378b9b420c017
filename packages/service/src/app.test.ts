import { setTimeout as wait } from 'node:timers/promises'
import { AppError } from '@audience-sync/errors/app-error'
import { until } from '@audience-sync/testing/until'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import { type App, buildApp } from './app.ts'
import { createLogger } from './log.ts'
import { generateServiceTokens } from './tokens.ts'

const TENANT = '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'
const REQUEST = 'req_01932f1c-7a4e-7cc1-9b1f-000000000001'
const tokens = await generateServiceTokens(['gateway', 'audiences'])

let app: App
let lines: string[]
let healthy: boolean

beforeEach(async () => {
  lines = []
  healthy = true
  app = await buildApp({
    name: 'audiences',
    version: '1.2.3',
    tokens: tokens.audiences,
    log: createLogger({ name: 'audiences', destination: { write: (line) => void lines.push(line) } }),
    ready: [() => ({ ok: healthy, detail: 'database' })],
  })
  const Thing = z.strictObject({ name: z.string().max(20), tags: z.array(z.unknown()).max(5).optional() }).meta({ id: 'Thing' })
  app.post(
    '/v1/things',
    { config: { scope: 'audiences:write' }, schema: { body: Thing, response: { 201: z.object({ id: z.string() }) } } },
    async (request, reply) => reply.code(201).send({ id: request.body.name, hidden: 'x' } as { id: string }),
  )
  app.get(
    '/v1/things/:id',
    { config: { scope: 'audiences:read' }, schema: { querystring: z.strictObject({ deep: z.enum(['yes']).optional() }) } },
    async ({ params }) => {
      const { id } = params as { id: string }
      if (id === 'busy') throw new AppError('rate_limited', 'Slower.', { retryAfterMs: 1_200 })
      if (id === 'broken') throw new Error('canary@example.com')
      if (id.startsWith('pg-')) throw Object.assign(new Error('canary@example.com'), { code: id.slice(3) })
      if (id === 'pool') throw new Error('timeout exceeded when trying to connect')
      if (id === 'wrapped') throw new Error('Failed query', { cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }) })
      if (id === 'wrong') throw 'not an error'
      return { id }
    },
  )
  app.get('/v1/slow', { config: { scope: 'audiences:read' }, handlerTimeout: 20 }, async ({ signal }) => wait(5_000, undefined, { signal }))
  app.get(
    '/v1/mistaken',
    {
      config: { scope: 'audiences:read', alsoAnswers: [{ status: 200, description: 'Or all', type: 'application/x-ndjson' }] },
      schema: { response: { 200: z.object({ id: z.string() }) } },
    },
    async () => ({ id: 7 }) as never,
  )
  app.get('/v1/callback', { config: { public: true, alsoAnswers: [{ status: 302, description: 'Back' }] } }, async ({ auth }) => ({ auth }))
  app.post('/v1/deep', { config: { scope: 'audiences:write', maxDepth: 12 } }, async () => ({}))
  app.get('/internal/v1/horizon', async ({ auth }) => ({ issuer: auth.issuer }))
})
afterEach(() => app.close())

async function call(
  method: 'GET' | 'POST' | 'DELETE',
  url: string,
  options: { scopes?: string[]; payload?: unknown; headers?: Record<string, string>; requestId?: string } = {},
) {
  const { scopes = ['audiences:read', 'audiences:write'], payload, headers = {}, requestId = REQUEST } = options
  const token = await tokens.gateway.sign('audiences', { tenantId: TENANT, subject: 'key_1', scopes, requestId })
  const answer = await app.inject({
    method,
    url,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(payload !== undefined && { payload: payload as string }),
  })
  return { status: answer.statusCode, headers: answer.headers, body: answer.body === '' ? undefined : answer.json() }
}

const json = { 'content-type': 'application/json' }

describe('an answer', () => {
  test('is built from its schema, is not kept by caches and carries the request id of the verified token', async () => {
    const { status, body, headers } = await call('POST', '/v1/things', { payload: { name: 'a' } })
    expect([status, body, headers['x-request-id'], headers['cache-control']]).toEqual([201, { id: 'a' }, REQUEST, 'no-store'])
  })

  test('of a stranger carries a request id of ours, whatever the stranger says', async () => {
    const answer = await app.inject({ url: '/v1/things/1', headers: { 'x-request-id': REQUEST } })
    expect(answer.statusCode).toBe(401)
    expect(answer.headers['x-request-id']).toMatch(/^req_[0-9a-f-]{36}$/)
    expect(answer.headers['x-request-id']).not.toBe(REQUEST)
    expect(answer.json()).toMatchObject({ code: 'unauthenticated', requestId: answer.headers['x-request-id'] })
  })

  test('leaves one log line, with the route and not the address', async () => {
    await call('GET', '/v1/things/ann@example.com?deep=yes')
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      method: 'GET',
      route: '/v1/things/:id',
      status: 200,
      requestId: REQUEST,
      tenantId: TENANT,
      issuer: 'gateway',
    })
    expect(lines.join()).not.toContain('ann@')
  })

  test('that does not fit its schema is our fault and shows nothing', async () => {
    expect(await call('GET', '/v1/mistaken')).toMatchObject({ status: 500, body: { code: 'internal' } })
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'error', err: { type: 'ResponseSerializationError' } })
  })
})

describe('a refusal is a problem document', () => {
  test('for each field that is wrong', async () => {
    const { status, headers, body } = await call('POST', '/v1/things', { payload: { name: 'a'.repeat(21), colour: 'red' } })
    expect([status, headers['content-type'], headers['cache-control']]).toEqual([400, 'application/problem+json; charset=utf-8', 'no-store'])
    expect(body).toMatchObject({ type: '/errors#validation_failed', code: 'validation_failed', status: 400, requestId: REQUEST })
    expect(body.errors).toEqual([
      { in: 'body', path: 'name', message: expect.stringContaining('Too big') },
      { in: 'body', path: '', message: expect.stringContaining('colour') },
    ])
    const { body: query } = await call('GET', '/v1/things/1?deep=no')
    expect(query.errors).toEqual([{ in: 'query', path: 'deep', message: expect.any(String) }])
  })

  test.each([
    ['a body that is not JSON', '{"name"', json, 400, 'validation_failed'],
    ['no body', undefined, {}, 400, 'validation_failed'],
    ['an empty JSON body', '', json, 400, 'validation_failed'],
    ['another content type', 'name=a', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_media_type'],
    ['text', 'a', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
    ['a body over 256 KiB', JSON.stringify({ name: 'a'.repeat(256 * 1024) }), json, 413, 'payload_too_large'],
    ['a NUL', '{"name":"a\\u0000"}', json, 400, 'validation_failed'],
    ['half a surrogate pair', '{"name":"\\ud800"}', json, 400, 'validation_failed'],
    ['too deep a body', `{"name":"a","tags":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, json, 400, 'validation_failed'],
    ['a poisoned prototype', '{"name":"a","__proto__":{"x":1}}', json, 400, 'validation_failed'],
    ['a poisoned constructor', '{"name":"a","constructor":{"prototype":{"x":1}}}', json, 400, 'validation_failed'],
  ])('for %s', async (_what, payload, headers, status, code) => {
    expect(await call('POST', '/v1/things', { payload, headers })).toMatchObject({ status, body: { code, requestId: REQUEST } })
  })

  test('for an unknown path, another method, a path that is too long or malformed', async () => {
    expect(await call('GET', '/v1/nothing')).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await call('DELETE', '/v1/things/1')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' }, body: { code: 'method_not_allowed' } })
    expect(await call('GET', `/v1/things/${'x'.repeat(101)}`)).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await call('GET', '/v1/things/%zz')).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  })

  test('with the time to wait', async () => {
    expect(await call('GET', '/v1/things/busy')).toMatchObject({
      status: 429,
      headers: { 'retry-after': '2' },
      body: { code: 'rate_limited', detail: 'Slower.' },
    })
  })

  test('for a fault of ours, which is logged and not shown', async () => {
    expect(await call('GET', '/v1/things/broken')).toMatchObject({ status: 500, body: { code: 'internal', requestId: REQUEST } })
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'error', requestId: REQUEST, route: '/v1/things/:id', err: { type: 'Error' } })
    expect(lines.join()).not.toContain('canary')
    expect(await call('GET', '/v1/things/wrong')).toMatchObject({ status: 500, body: { code: 'internal' } })
  })

  test.each(['pg-57P01', 'pg-53100', 'pg-08006', 'pool', 'wrapped'])('for a database that is not there (%s), with the time to wait', async (id) => {
    expect(await call('GET', `/v1/things/${id}`)).toMatchObject({ status: 503, headers: { 'retry-after': '5' }, body: { code: 'service_unavailable' } })
    expect(lines[0]).toContain('"level":"error"')
    expect(lines.join()).not.toContain('canary')
  })

  test('for a query that is wrong, which is our fault', async () => {
    expect(await call('GET', '/v1/things/pg-42601')).toMatchObject({ status: 500, body: { code: 'internal' } })
  })

  test('for an address with a NUL', async () => {
    for (const url of ['/v1/things/a%00', '/v1/things/1?deep=%00'])
      expect(await call('GET', url)).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  })

  test('for a handler that takes too long, whose work is told to stop', async () => {
    expect(await call('GET', '/v1/slow')).toMatchObject({ status: 503, body: { code: 'request_timeout' } })
  })
})

describe('a route', () => {
  test('needs a verified credential with its scope', async () => {
    expect(await call('GET', '/v1/things/1', { scopes: ['audiences:write'] })).toMatchObject({
      status: 403,
      body: { code: 'forbidden_scope', requestId: REQUEST },
    })
    for (const headers of [
      {},
      { authorization: 'Basic eDp5' },
      { authorization: 'Bearer x.y.z' },
      { authorization: `Bearer ${await tokens.audiences.sign('gateway', { tenantId: TENANT, subject: 'x', scopes: ['audiences:read'] })}` },
    ])
      expect((await app.inject({ url: '/v1/things/1', headers })).statusCode).toBe(401)
  })

  test('that is public answers under the request id that the gateway gave it, and under no other text', async () => {
    const ask = (id: string) => app.inject({ url: '/v1/callback', headers: { 'x-request-id': id } })
    expect((await ask(REQUEST)).headers['x-request-id']).toBe(REQUEST)
    expect((await ask('canary@example.com')).headers['x-request-id']).toMatch(/^req_[0-9a-f-]{36}$/)
  })

  test('that is public needs none', async () => {
    expect((await app.inject({ url: '/v1/callback' })).json()).toEqual({ auth: null })
  })

  test('between services needs the scope `internal`, which opens nothing else', async () => {
    expect(await call('GET', '/internal/v1/horizon')).toMatchObject({ status: 403 })
    expect(await call('GET', '/internal/v1/horizon', { scopes: ['internal'] })).toMatchObject({ status: 200, body: { issuer: 'gateway' } })
    expect(await call('GET', '/v1/things/1', { scopes: ['internal'] })).toMatchObject({ status: 403 })
  })

  test('without a scope does not start', () => {
    expect(() => app.get('/v1/forgotten', async () => ({}))).toThrow('GET /v1/forgotten names no scope')
  })

  test('may take deeper bodies when it says so', async () => {
    const payload = `${'['.repeat(12)}${']'.repeat(12)}`
    expect(await call('POST', '/v1/deep', { payload, headers: json })).toMatchObject({ status: 200 })
  })
})

describe('probes', () => {
  test('say that the process turns, and whether it can work', async () => {
    expect((await app.inject({ url: '/livez' })).statusCode).toBe(200)
    expect((await app.inject({ url: '/readyz' })).json()).toEqual({ status: 'ready', checks: [{ ok: true, detail: 'database' }] })
    healthy = false
    const red = await app.inject({ url: '/readyz' })
    expect([red.statusCode, red.json()]).toEqual([503, { status: 'not ready', checks: [{ ok: false, detail: 'database' }], failed: ['database'] }])
    expect((await app.inject({ url: '/livez' })).statusCode).toBe(200)
  })
})

describe('stopping', () => {
  test('takes nothing new and lets the requests that run finish', async () => {
    let release = () => {}
    let running = false
    const held = await buildApp({ name: 'held', tokens: tokens.audiences, log: createLogger({ name: 'held', level: 'silent' }) })
    held.get('/v1/held', { config: { public: true } }, async () => {
      running = true
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return { ok: true }
    })
    const url = await held.listen({ host: '127.0.0.1', port: 0 })
    const first = fetch(`${url}/v1/held`)
    await until('the request runs', () => running)
    const closed = held.close()
    await until('nothing new is taken', async () => (await fetch(`${url}/readyz`).catch(() => 'refused')) === 'refused')
    release()
    expect(await (await first).json()).toEqual({ ok: true })
    await closed
  })
})

describe('the document', () => {
  test('describes the public routes from their schemas, each with its scope and the problem answer', async () => {
    const document = (await app.inject({ url: '/internal/openapi.json' })).json()
    expect([document.openapi, document.info]).toEqual(['3.1.0', { title: 'audiences', version: '1.2.3' }])
    expect(Object.keys(document.paths).sort()).toEqual(['/v1/callback', '/v1/deep', '/v1/mistaken', '/v1/slow', '/v1/things', '/v1/things/{id}'])
    const { post } = document.paths['/v1/things']
    expect(post.security).toEqual([{ bearer: ['audiences:write'] }])
    expect(post.parameters).toEqual([expect.objectContaining({ in: 'header', name: 'idempotency-key', required: false })])
    expect(document.paths['/v1/things/{id}'].get.parameters.map(({ in: place }: { in: string }) => place)).not.toContain('header')
    expect(document.paths['/v1/callback'].get.security).toEqual([])
    expect(document.paths['/v1/callback'].get.responses['302'].description).toBe('Back')
    expect(Object.keys(document.paths['/v1/mistaken'].get.responses['200'].content)).toEqual(['application/json', 'application/x-ndjson'])
    expect(post.responses.default.content['application/problem+json'].schema).toEqual({ $ref: '#/components/schemas/Problem' })
    expect(document.components.schemas.Problem.required).toContain('code')
    expect(document.components.schemas.ThingInput).toMatchObject({ additionalProperties: false, required: ['name'] })
  })
})
