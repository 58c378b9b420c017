import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { z } from 'zod'
import { ADMIN, type Harness, harness, nobody } from './harness.ts'

interface Call {
  url: string
  method: string
  headers: Record<string, unknown>
  bytes: number
  requestId: string
}
let gateway: Harness
let calls: Call[] = []
/** A bare server: what it sees is what really went over the wire. */
let behind: Server
let answerWith: (request: IncomingMessage, response: ServerResponse) => void

beforeAll(async () => {
  behind = createServer((request, response) => {
    if (request.url?.startsWith('/internal/')) return void response.writeHead(404).end('{}') // the gateway's own question about proofs
    const call = { url: request.url ?? '', method: request.method ?? '', headers: request.headers, bytes: 0, requestId: '' }
    calls.push(call)
    request.on('data', (chunk: Buffer) => {
      call.bytes += chunk.length
    })
    request.on('error', () => {})
    answerWith(request, response)
  })
  await new Promise<void>((done) => behind.listen(0, '127.0.0.1', done))
  gateway = await harness({
    instead: { 'behavior-export': `http://127.0.0.1:${(behind.address() as AddressInfo).port}`, connections: await nobody() },
    routes: {
      audiences(app) {
        app.post('/v1/audiences', { config: { scope: 'audiences:write' } }, async ({ id, body, headers }, reply) =>
          reply.code(201).send({ id, body, idempotencyKey: headers['idempotency-key'] }),
        )
        app.get('/v1/audiences/:id', { config: { scope: 'audiences:read' } }, async ({ id }, reply) =>
          reply.header('server', 'secret/1.0').header('x-request-id', 'mine').send({ id }),
        )
        app.get('/v1/accounts/:id/quota', { config: { scope: 'connections:read' } }, async () => ({ quota: true }))
        app.get('/v1/runs/:id/stream', { config: { scope: 'audiences:read' } }, async (_request, reply) => {
          const events = new PassThrough()
          events.write('data: first\n\n')
          return reply.type('text/event-stream').send(events)
        })
        app.get('/internal/v1/secret', { schema: { response: { 200: z.object({}) } } }, async () => ({}))
      },
    },
    config: { LIMIT_STREAMS: 2, DEMO_LIMIT_FACTOR: 1 },
  })
  await gateway.database.admin(`UPDATE gateway.tenant SET limits = '{"read": 10000, "write": 10000, "bulk": 1000, "importBytes": 500000000, "streams": 2}'`)
})
afterAll(async () => {
  await gateway.stop()
  behind.closeAllConnections()
  await new Promise((done) => behind.close(done))
})
beforeEach(() => {
  calls = []
  answerWith = (request, response) => {
    request.resume()
    request.on('end', () => response.setHeader('content-type', 'application/json').end('{"received":1}'))
  }
})

const json = async (response: Response) => (await response.json()) as Record<string, unknown>
const codeOf = async (answer: Response) => [answer.status, (await json(answer)).code]

/** A request as bytes: a client library would tidy the path up. */
async function raw(text: string): Promise<string> {
  const { hostname, port } = new URL(gateway.url)
  const socket = connect(Number(port), hostname)
  let answer = ''
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString()
  })
  socket.write(text)
  await new Promise((done) => socket.once('close', done))
  return answer
}
const rawGet = async (path: string) =>
  (await raw(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ADMIN}\r\nconnection: close\r\n\r\n`)).split('\r\n')[0]

test('one request id is in the answer, at the service and in both logs', async () => {
  const answer = await gateway.call('/v1/audiences', { method: 'POST', body: '{"a":1}', headers: { 'idempotency-key': 'k1', 'x-request-id': 'forged' } })
  const id = answer.headers.get('x-request-id')
  expect([answer.status, await json(answer)]).toEqual([201, { id, body: { a: 1 }, idempotencyKey: 'k1' }])
  await until(
    'the log lines',
    () =>
      gateway
        .logs()
        .split('\n')
        .filter((line) => line.includes(id ?? '-')).length >= 2,
  )
  expect(gateway.logs()).not.toContain('forged')
})

test('what a service says of itself does not come through, and every answer has the headers of the gateway', async () => {
  const answer = await gateway.call('/v1/audiences/aud_1')
  expect(answer.headers.get('server')).toBeNull()
  expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
  for (const one of [
    answer,
    await gateway.call('/v1/nothing'),
    await gateway.call('/livez', { key: null }),
    await gateway.call('/v1/audiences', { key: null }),
  ])
    expect(Object.fromEntries(one.headers)).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'strict-transport-security': 'max-age=63072000; includeSubDomains',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      ratelimit: expect.stringMatching(/^"\w+";r=\d+;t=\d+$/),
      'ratelimit-policy': expect.stringMatching(/^"\w+";q=\d+;w=\d+$/),
      'x-request-id': expect.stringMatching(/^req_/),
    })
})

test('only a fixed list of headers reaches a service', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await gateway.call('/v1/behaviors/beh_1', {
    headers: { cookie: 'session=1', 'x-forwarded-for': '6.6.6.6', 'x-tenant-id': 'other', traceparent, 'idempotency-key': 'i1' },
  })
  const { headers } = calls[0] as Call
  expect(headers).toMatchObject({
    traceparent,
    'idempotency-key': 'i1',
    'x-request-id': expect.stringMatching(/^req_/),
    authorization: expect.stringMatching(/^Bearer eyJ/),
  })
  for (const name of ['cookie', 'x-forwarded-for', 'x-tenant-id']) expect(headers[name]).toBeUndefined()
})

test('an unknown path is answered here; a wrong method says which are right', async () => {
  expect(await codeOf(await gateway.call('/v1/unknown/x'))).toEqual([404, 'not_found'])
  expect(await codeOf(await gateway.call('/v2/audiences'))).toEqual([404, 'not_found'])
  const unknown = await gateway.call('/v1/audiences/a/unknown')
  expect(await json(unknown)).toMatchObject({ code: 'not_found', requestId: unknown.headers.get('x-request-id') })
  const answer = await gateway.call('/v1/status', { method: 'DELETE' })
  expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
})

test('/internal and other prefixes cannot be reached, however the path is written', async () => {
  const prefix = '/v1/audiences'
  const paths = [
    '/internal/v1/secret',
    `${prefix}/../../internal/v1/secret`,
    `${prefix}/%2e%2e/%2e%2e/internal/v1/secret`,
    `${prefix}/..%2f..%2finternal/v1/secret`,
  ]
  paths.push(
    `${prefix}/x\\..\\..\\..\\internal/v1/secret`,
    `${prefix}/..%5c..%5cinternal/v1/secret`,
    `${prefix}/%252e%252e%252f%252e%252e%252finternal/v1/secret`,
    '//internal/v1/secret',
  )
  paths.push(`http://x/internal/v1/secret`, '/v1/../internal/v1/secret', '/V1/audiences', '/internal/openapi.json')
  for (const path of paths) {
    const status = await rawGet(path)
    expect([path, status]).toEqual([path, expect.stringMatching(/ (400|404) /)])
  }
})

test('what is not HTTP, or has a path that does not decode, is answered with a problem too', async () => {
  for (const request of ['nonsense\r\n\r\n', `GET /v1/audiences HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`])
    expect(await raw(request)).toMatch(/^HTTP\/1.1 400 [\s\S]*application\/problem\+json[\s\S]*x-request-id: req_[\s\S]*validation_failed/)
  for (const path of ['/v1/audiences/%zz', '/%', '/v1/audiences/%ff', `/v1/api-keys/${'x'.repeat(5000)}`])
    expect(await raw(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ADMIN}\r\nconnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 404 [\s\S]*content-security-policy: [\s\S]*x-request-id: req_[\s\S]*"code":"not_found"/i,
    )
})

test('an account’s quota is asked of another service than the account', async () => {
  expect(await json(await gateway.call('/v1/accounts/acc_1/quota'))).toEqual({ quota: true })
  const answer = await gateway.call('/v1/accounts/acc_1')
  expect([answer.status, answer.headers.get('retry-after'), (await json(answer)).code]).toEqual([503, '1', 'service_unavailable'])
})

test('the OAuth callback needs no credential and carries none of ours', async () => {
  const answer = await gateway.call('/v1/oauth/meta/callback?code=x&state=y', { key: null })
  expect(await codeOf(answer)).toEqual([503, 'service_unavailable']) // forwarded: nobody is there
  expect(await codeOf(await gateway.call('/v1/oauth/meta', { key: null }))).toEqual([404, 'not_found'])
})

test('a body over its route’s limit is refused, told or not how long it is', async () => {
  const big = `"${'x'.repeat(256 * 1024)}"`
  expect(await codeOf(await gateway.call('/v1/audiences', { method: 'POST', body: big }))).toEqual([413, 'payload_too_large'])
  const streamed = (size: number) => new ReadableStream({ start: (c) => void c.enqueue(new Uint8Array(size)), pull: (c) => c.close() })
  const init = { method: 'PUT', duplex: 'half', headers: { 'content-type': 'application/json' } }
  expect(await codeOf(await gateway.call('/v1/customers/c_1', { ...init, body: streamed(256 * 1024 + 1) } as RequestInit))).toEqual([413, 'payload_too_large'])
  expect(await codeOf(await gateway.call('/v1/api-keys', { method: 'POST', body: big }))).toEqual([413, 'payload_too_large'])
  expect((await gateway.call('/v1/customers', { method: 'POST', body: big })).status).toBe(200)
  expect(await codeOf(await gateway.call('/v1/customers', { method: 'POST', body: `"${'x'.repeat(10 * 1024 ** 2)}"` }))).toEqual([413, 'payload_too_large'])
})

test('a POST without a body needs no content type, and an empty one with it is no body', async () => {
  for (const headers of [{}, { 'content-type': 'application/json' }] as Record<string, string>[])
    expect((await gateway.call('/v1/audiences', { method: 'POST', headers })).status).toBe(201)
  expect((await gateway.call('/v1/audiences', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '' })).status).toBe(201)
})

test('a type that the route does not take is refused', async () => {
  const send = (path: string, type: string) => gateway.call(path, { method: 'POST', body: '{}', headers: { 'content-type': type } })
  expect(await codeOf(await send('/v1/audiences', 'application/x-ndjson'))).toEqual([415, 'unsupported_media_type'])
  expect(await codeOf(await send('/v1/audiences', 'text/plain'))).toEqual([415, 'unsupported_media_type'])
  expect((await send('/v1/customers', 'application/x-ndjson; charset=utf-8')).status).toBe(200)
})

test('an NDJSON upload streams through: the service reads its beginning before its end is sent', async () => {
  const upload = new PassThrough()
  const pending = gateway.call('/v1/behaviors/beh_1/members', {
    method: 'POST',
    body: upload,
    duplex: 'half',
    headers: { 'content-type': 'application/x-ndjson' },
  } as unknown as RequestInit)
  upload.write('{"first":"line"}\n')
  await until('the first line to arrive', () => calls[0]?.bytes === 17)
  async function* rest() {
    for (let i = 0; i < 300; i += 1) yield Buffer.alloc(100_000, 'x')
  }
  const before = process.memoryUsage().rss
  await pipeline(rest, upload)
  expect((await pending).status).toBe(200)
  expect(calls[0]?.bytes).toBe(30_000_017)
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 ** 2)
})

test('a service’s early refusal reaches a caller who is still sending', async () => {
  answerWith = (_request, response) => response.writeHead(400, { 'content-type': 'application/problem+json' }).end('{"code":"line_malformed"}')
  const head = `POST /v1/customers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ADMIN}\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n`
  expect(await raw(head)).toMatch(/^HTTP\/1.1 400 [\s\S]*line_malformed/)
})

test('a service that hangs up without an answer is a 503, and a change is not tried twice', async () => {
  answerWith = (request) => request.socket.destroy()
  expect(await codeOf(await gateway.call('/v1/behaviors', { method: 'POST', body: '{}' }))).toEqual([503, 'service_unavailable'])
  expect(calls).toHaveLength(1)
})

test('events of a stream come through at once, and only so many streams are open', async () => {
  const open = await Promise.all([1, 2].map(() => gateway.call('/v1/runs/run_1/stream')))
  for (const { body } of open) expect(Buffer.from((await body?.getReader().read())?.value ?? []).toString()).toBe('data: first\n\n')
  expect(await codeOf(await gateway.call('/v1/runs/run_1/stream'))).toEqual([429, 'rate_limited'])
})

test('every change that was forwarded stands in the audit log with its result, and the chain verifies', async () => {
  const acme = await gateway.tenant('audited')
  const requests = [
    await gateway.call('/v1/audiences', { method: 'POST', body: '{}', key: acme.key }),
    await gateway.call('/v1/audiences/nothing/x', { method: 'DELETE', key: acme.key }),
  ]
  requests.push(await gateway.call('/v1/customers/ann%40example.com/consent', { method: 'PUT', body: '{}', key: acme.key }))
  await gateway.call('/v1/audiences/aud_1', { key: acme.key })
  const rows = await until('all rows', async () => {
    const { data } = (await json(await gateway.call('/v1/audit-log', { key: acme.key }))) as { data: Record<string, string>[] }
    return data.some(({ action }) => action === 'PUT') ? data : undefined
  })
  const forwarded = rows.filter(({ action }) => /^[A-Z]+$/.test(action ?? '')).toReversed()
  expect(forwarded.map(({ action, result, status }) => [action, result, status])).toEqual([
    ['POST', 'ok', 201],
    ['DELETE', 'refused', 404],
    ['PUT', 'ok', 200],
  ])
  expect(forwarded.map(({ requestId }) => requestId)).toEqual(requests.map(({ headers }) => headers.get('x-request-id')))
  expect(JSON.stringify(rows)).not.toContain('ann')
  expect(rows.at(-1)).toMatchObject({ seq: 1, action: 'tenant.created', actor: 'bootstrap' })
})
