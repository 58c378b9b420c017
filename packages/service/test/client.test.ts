import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AppError } from '@audience-sync/errors/app-error'
import { freePort } from '@audience-sync/infra/postgres/server'
import { until } from '@audience-sync/testing/until'
import { afterEach, describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import { type App, buildApp } from '../src/app.ts'
import { type ServiceClientOptions, serviceClient } from '../src/client.ts'
import { createLogger } from '../src/log.ts'
import { generateServiceTokens } from '../src/tokens.ts'

const TENANT = '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'
const log = createLogger({ name: 'test', level: 'silent' })
const tokens = await generateServiceTokens(['connections', 'audiences'])
const schema = z.object({ ok: z.boolean() })
const options = { schema, tenantId: TENANT }

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

function clientOf(url: string, more: Partial<ServiceClientOptions> = {}) {
  const client = serviceClient({ name: 'connections', url, tokens: tokens.audiences, log, random: () => 0, ...more })
  stops.push(() => client.close())
  return client
}

async function peer(routes: (app: App) => void) {
  const app = await buildApp({ name: 'connections', log, tokens: tokens.connections })
  routes(app)
  stops.push(() => app.close())
  return clientOf(await app.listen({ host: '127.0.0.1', port: 0 }))
}

async function raw(listener: RequestListener, more?: Partial<ServiceClientOptions>) {
  const server = createServer(listener)
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  stops.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return clientOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, more)
}

describe('a call to a peer', () => {
  test('carries tenant, subject and request id under the scope `internal`, and gives the checked answer', async () => {
    const seen: unknown[] = []
    const client = await peer((app) => {
      app.get('/internal/v1/grants', async (request) => {
        seen.push(request.auth, request.id, request.query)
        return { ok: true, more: 1 }
      })
      app.post('/internal/v1/fetch', { schema: { body: z.strictObject({ ids: z.array(z.int()) }) } }, async ({ body }) => ({ ok: body.ids.length === 2 }))
      app.put('/internal/v1/fetch', async () => ({ ok: true }))
      app.delete('/internal/v1/fetch', async (_request, reply) => reply.code(204).send())
    })
    expect(await client.get('/internal/v1/grants', { ...options, subject: 'key_1', requestId: 'req_1', query: { limit: 3, after: undefined } })).toEqual({
      ok: true,
    })
    expect(seen).toEqual([{ tenantId: TENANT, subject: 'key_1', scopes: ['internal'], issuer: 'audiences', requestId: 'req_1' }, 'req_1', { limit: '3' }])
    expect(await client.post('/internal/v1/fetch', { ids: [1, 2] }, options)).toEqual({ ok: true })
    expect(await client.put('/internal/v1/fetch', {}, options)).toEqual({ ok: true })
    expect(await client.delete('/internal/v1/fetch', { ...options, schema: z.undefined() })).toBeUndefined()
  })

  test('throws the peer’s refusal as the same error', async () => {
    const client = await peer((app) =>
      app.get('/internal/v1/grants', async () => {
        throw new AppError('terms_not_signed', 'Sign them.', { solution: 'There.', platform: { code: '2' } })
      }),
    )
    await expect(client.get('/internal/v1/grants', options)).rejects.toMatchObject({
      code: 'terms_not_signed',
      message: 'Sign them.',
      options: { solution: 'There.', platform: { code: '2' } },
    })
    await expect(client.get('/internal/v1/unknown', options)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('reads again when the peer is not ready, four times in all', async () => {
    let calls = 0
    const client = await raw((_request, response) => {
      calls += 1
      if (calls < 4) response.writeHead(503).end()
      else response.end('{"ok":true}')
    })
    expect(await client.get('/', options)).toEqual({ ok: true })
    expect(calls).toBe(4)
    calls = -10
    await expect(client.get('/', options)).rejects.toMatchObject({ code: 'service_unavailable' })
    expect(calls).toBe(-6)
  })

  test('does not write again by itself', async () => {
    let calls = 0
    const client = await raw((_request, response) => {
      calls += 1
      response.writeHead(503).end()
    })
    await expect(client.post('/', {}, options)).rejects.toMatchObject({ code: 'service_unavailable' })
    expect(calls).toBe(1)
  })

  test('to nobody is `service_unavailable`', async () => {
    const client = clientOf(`http://127.0.0.1:${await freePort()}`)
    await expect(client.get('/', options)).rejects.toMatchObject({ code: 'service_unavailable', options: { retryAfterMs: 1_000 } })
  })

  test('ends by its deadline, repetitions included', async () => {
    const client = await raw(() => {})
    await expect(client.get('/', { ...options, timeoutMs: 50 })).rejects.toMatchObject({
      code: 'service_unavailable',
      message: 'connections did not answer in time.',
    })
  })

  test('is withdrawn with its caller’s signal', async () => {
    let arrived = false
    let closed = false
    const client = await raw((request) => {
      arrived = true
      request.socket.once('close', () => {
        closed = true
      })
    })
    const controller = new AbortController()
    const call = client.get('/', { ...options, signal: controller.signal }).catch((error: Error) => error.name)
    await until('the call has arrived', () => arrived)
    controller.abort()
    expect(await call).toBe('AbortError')
    await until('the connection is closed', () => closed)
  })

  test.each([
    ['too large', { body: `"${'x'.repeat(100)}"` }],
    ['not JSON', { body: '<html>' }],
    ['of another shape', { body: '{"ok":1}' }],
    ['an unknown refusal', { status: 418, body: '{}' }],
  ])('whose answer is %s is a fault of ours', async (_what, { status = 200, body }: { status?: number; body: string }) => {
    const client = await raw((_request, response) => response.writeHead(status).end(body), { maxResponseBytes: 64 })
    await expect(client.get('/', options)).rejects.toMatchObject({ code: 'internal' })
  })
})
