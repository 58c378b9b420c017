import { type AddressInfo, createServer } from 'node:net'
import { freePort } from '@audience-sync/infra/postgres/server'
import { until } from '@audience-sync/testing/until'
import { afterEach, describe, expect, test } from '@jest/globals'
import { type GuardedClient, guardedClient } from '../src/client.ts'
import type { HttpFailure } from '../src/failure.ts'
import { type Misbehaving, misbehaving } from './misbehaving.ts'

const TOTAL_MS = 1_500 // long enough for the request to have left, however busy the machine

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

type Acts = Parameters<typeof misbehaving>[0]
async function against(acts: Acts, options: Partial<Parameters<typeof guardedClient>[0]> = {}): Promise<{ server: Misbehaving; client: GuardedClient }> {
  const server = await misbehaving(acts)
  const client = guardedClient({ baseUrl: server.url, name: 'meta', ...options })
  stops.push(
    () => server.stop(),
    () => client.close(),
  )
  return { server, client }
}

const failure = (call: Promise<unknown>) =>
  call.then(
    () => {
      throw new Error('expected a failure')
    },
    (error: HttpFailure) => ({ name: error.name, phase: error.phase, code: error.code }),
  )

const get = { method: 'GET', key: 'con_1:acc_1' } as const

describe('an answer', () => {
  test('is any status, with the body as bytes, the headers and the server’s clock', async () => {
    const { client } = await against({
      '/bad': (_request, response) => response.writeHead(400, { 'X-Usage': '7', date: 'Sun, 01 Nov 2026 10:00:00 GMT' }).end('{"error":{"code":100}}'),
    })
    const answer = await client.request({ ...get, path: '/bad' })
    expect([answer.status, answer.json(), answer.headers['x-usage'], answer.date?.toISOString()]).toEqual([
      400,
      { error: { code: 100 } },
      '7',
      '2026-11-01T10:00:00.000Z',
    ])
    expect(answer.body).toEqual(Buffer.from('{"error":{"code":100}}'))
    expect(answer.durationMs).toBeGreaterThan(0)
  })

  test('of HTML with 200 is no JSON, and no error', async () => {
    const { client } = await against({ '/html': (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>') })
    const answer = await client.request({ ...get, path: '/html' })
    expect([answer.status, answer.json()]).toEqual([200, undefined])
  })

  test('that redirects is given as it is, and its target stays unvisited', async () => {
    const canary = await misbehaving({})
    stops.push(() => canary.stop())
    const { client } = await against({ '/moved': (_request, response) => response.writeHead(302, { location: `${canary.url}/stolen` }).end() })
    const answer = await client.request({ ...get, path: '/moved', headers: { authorization: 'Bearer secret' } })
    expect([answer.status, answer.headers.location]).toEqual([302, `${canary.url}/stolen`])
    expect(canary.seen).toEqual([])
  })
})

describe('a request', () => {
  test('sends the very bytes it was given, under its query', async () => {
    const { client, server } = await against({})
    const body = Buffer.from([0x00, 0xff, 0x7b, 0x22, 0xc3, 0x28])
    await client.request({ method: 'POST', path: '/users', query: { 'a b': '1&2' }, body, headers: { 'content-type': 'application/json' }, key: 'k' })
    expect(server.seen.map(({ method, path, body: sent }) => [method, path, sent])).toEqual([['POST', '/users?a+b=1%262', body]])
    expect(server.seen[0]?.headers['user-agent']).toBe('audience-sync')
  })

  test('goes nowhere but to its host, whatever the path or the environment says', async () => {
    const proxy = await misbehaving({})
    stops.push(() => proxy.stop())
    const before = { ...process.env }
    Object.assign(process.env, { HTTP_PROXY: proxy.url, http_proxy: proxy.url, NO_PROXY: '', no_proxy: '' })
    try {
      const { client, server } = await against({})
      await client.request({ ...get, path: `//${new URL(proxy.url).host}/x` })
      expect(server.seen.map(({ path }) => path)).toEqual([`//${new URL(proxy.url).host}/x`])
      expect(await failure(client.request({ ...get, path: '.elsewhere.example/' }))).toMatchObject({ phase: 'not_sent' })
    } finally {
      process.env = before
    }
    expect(proxy.seen).toEqual([])
  })
})

describe('without an answer it says whether the request can have been done', () => {
  test('refused: not sent', async () => {
    const client = guardedClient({ baseUrl: `http://127.0.0.1:${await freePort()}`, name: 'meta' })
    stops.push(() => client.close())
    expect(await failure(client.request({ ...get, path: '/' }))).toEqual({ name: 'HttpFailure', phase: 'not_sent', code: 'ECONNREFUSED' })
  })

  test('no such host: not sent', async () => {
    const client = guardedClient({ baseUrl: 'http://no-such-host.invalid', name: 'meta' })
    stops.push(() => client.close())
    expect(await failure(client.request({ ...get, path: '/' }))).toMatchObject({ phase: 'not_sent' })
  })

  test('no TLS at the other side: not sent', async () => {
    const { server } = await against({})
    const client = guardedClient({ baseUrl: server.url.replace('http:', 'https:'), name: 'meta' })
    stops.push(() => client.close())
    expect(await failure(client.request({ ...get, path: '/' }))).toMatchObject({ phase: 'not_sent' })
    expect(server.seen).toEqual([])
  })

  test('a connection that never gets through its handshake: not sent, at the connect deadline', async () => {
    const silent = createServer((socket) => stops.push(() => socket.destroy())) // nobody reads from it, so it would not see its end
    await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve))
    const client = guardedClient({ baseUrl: `https://127.0.0.1:${(silent.address() as AddressInfo).port}`, name: 'meta', connectTimeoutMs: 50 })
    stops.push(
      () => silent.close(),
      () => client.close(),
    )
    expect(await failure(client.request({ ...get, path: '/' }))).toEqual({ name: 'HttpFailure', phase: 'not_sent', code: 'ECONNTIMEOUT' })
  })

  test('reset after the request was read: unknown', async () => {
    const { client, server } = await against({ '/reset': (request) => void request.socket.resetAndDestroy() })
    expect(await failure(client.request({ ...get, path: '/reset', body: Buffer.from('x'), method: 'POST' }))).toMatchObject({
      phase: 'sent',
      code: 'ECONNRESET',
    })
    expect(server.seen).toHaveLength(1)
  })

  test('hanging: unknown at the total deadline, and the connection is gone', async () => {
    const { client, server } = await against({ '/hang': () => {} })
    expect(await failure(client.request({ ...get, path: '/hang', timeoutMs: TOTAL_MS }))).toEqual({ name: 'HttpFailure', phase: 'sent', code: 'ETIMEDOUT' })
    await until('the connection is closed', () => server.open() === 0)
  })

  test('a body that drips: unknown at the total deadline, though bytes keep coming', async () => {
    const { client, server } = await against({
      '/slow': (_request, response) => {
        const timer = setInterval(() => response.write(' '), 10)
        response.once('close', () => clearInterval(timer))
      },
    })
    expect(await failure(client.request({ ...get, path: '/slow', timeoutMs: TOTAL_MS }))).toMatchObject({ phase: 'sent', code: 'ETIMEDOUT' })
    await until('the connection is closed', () => server.open() === 0)
  })

  test('an endless body: unknown, cut off at the limit', async () => {
    let written = 0
    const { client, server } = await against(
      {
        '/endless': (_request, response) => {
          const chunk = Buffer.alloc(64 * 1024)
          const pour = () => {
            while (!response.destroyed && response.write(chunk)) written += chunk.length
            if (!response.destroyed) response.once('drain', pour)
          }
          pour()
        },
      },
      { maxResponseBytes: 256 * 1024 },
    )
    expect(await failure(client.request({ ...get, path: '/endless' }))).toMatchObject({ phase: 'sent', code: 'ERR_BAD_RESPONSE' })
    await until('the connection is closed', () => server.open() === 0)
    expect(written).toBeLessThan(50 * 1024 * 1024)
  })

  test('a body that stops short: unknown', async () => {
    const { client } = await against({
      '/short': (request, response) => {
        response.writeHead(200, { 'content-length': '100' }).write('{')
        setImmediate(() => request.socket.destroy())
      },
    })
    expect(await failure(client.request({ ...get, path: '/short' }))).toMatchObject({ phase: 'sent' })
  })

  test('withdrawn by the caller: aborted, and the connection is gone', async () => {
    const { client, server } = await against({ '/hang': () => {} })
    const controller = new AbortController()
    const call = failure(client.request({ ...get, path: '/hang', signal: controller.signal }))
    await until('the request has arrived', () => server.seen.length === 1)
    controller.abort()
    expect(await call).toMatchObject({ phase: 'aborted' })
    await until('the connection is closed', () => server.open() === 0)
  })
})

describe('the breaker of a key', () => {
  const breaker = { volume: 4, badPercent: 50, openMs: 50 }
  const failing = { '/': (_request: unknown, response: { writeHead(status: number): { end(): void } }) => response.writeHead(status.now).end() }
  const status = { now: 500 }

  test('gives bad answers until it opens, then refuses without a call, and closes after one good call', async () => {
    status.now = 500
    const { client, server } = await against(failing as Acts, { breaker })
    for (let call = 0; call < 4; call += 1) expect((await client.request({ ...get, path: '/' })).status).toBe(500)
    expect(client.isOpen(get.key)).toBe(true)
    expect(await failure(client.request({ ...get, path: '/' }))).toMatchObject({ phase: 'breaker_open' })
    expect(server.seen).toHaveLength(4)
    status.now = 200
    const again = await until('one call is let through', () => client.request({ ...get, path: '/' }))
    expect(again.status).toBe(200)
    expect(client.isOpen(get.key)).toBe(false)
  })

  test('opens for its key alone', async () => {
    status.now = 503
    const { client } = await against(failing as Acts, { breaker })
    for (let call = 0; call < 4; call += 1) await client.request({ ...get, path: '/' })
    expect([client.isOpen(get.key), client.isOpen('other')]).toEqual([true, false])
    expect((await client.request({ ...get, path: '/', key: 'other' })).status).toBe(503)
  })

  test('does not open for refusals, nor for calls that were withdrawn', async () => {
    status.now = 429
    const { client } = await against({ ...(failing as Acts), '/hang': () => {} }, { breaker })
    for (let call = 0; call < 5; call += 1) await client.request({ ...get, path: '/' })
    for (let call = 0; call < 5; call += 1) await failure(client.request({ ...get, path: '/hang', signal: AbortSignal.abort() }))
    expect(client.isOpen(get.key)).toBe(false)
  })

  test('is forgotten, closed, when more keys are in use than are remembered', async () => {
    status.now = 500
    const { client } = await against(failing as Acts, { breaker: { ...breaker, keys: 2 } })
    for (let call = 0; call < 4; call += 1) await client.request({ ...get, path: '/' })
    for (const key of ['b', 'c']) await client.request({ ...get, path: '/', key })
    expect(client.isOpen(get.key)).toBe(false)
  })
})
