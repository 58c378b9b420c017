/** The adapter over real sockets: what a server sees, and what a broken one does to us. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Batch } from '@audience-sync/destination-kit/contract'
import { afterEach, describe, expect, test } from '@jest/globals'
import { createMetaDestination } from '../src/destination.ts'
import { keys, MetaSettings } from '../src/manifest.ts'
import { testContext } from './fake-graph.ts'

type Handler = (request: IncomingMessage, body: string, response: ServerResponse) => void

let server: Server
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

async function meta(handle: Handler) {
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => handle(request, Buffer.concat(chunks).toString(), response))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return createMetaDestination({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

const row = keys.map(({ name }) => (name === 'EMAIL' ? 'a'.repeat(64) : ''))
const batch: Batch<MetaSettings> = {
  operation: 'remove',
  audienceExternalId: '2384',
  accountExternalId: '77',
  rows: [row],
  session: { id: 7, seq: 1, last: true },
  config: { identifiers: ['email'], settings: MetaSettings.parse({}) },
}

describe('on the wire', () => {
  test('a removal arrives as DELETE with its body, the proof in the address and the token in a header only', async () => {
    const seen: { method?: string | undefined; url?: string | undefined; authorization?: string | undefined; type?: string | undefined; body: string }[] = []
    const destination = await meta((request, body, response) => {
      seen.push({ method: request.method, url: request.url, authorization: request.headers.authorization, type: request.headers['content-type'], body })
      response.end(JSON.stringify({ audience_id: '2384', session_id: '7', num_received: 1, num_invalid_entries: 0, invalid_entry_samples: [] }))
    })
    const ctx = testContext()
    const request = destination.encode(batch)
    await expect(destination.push(ctx, request)).resolves.toMatchObject({ receipt: { numReceived: 1 }, rejections: [] })
    expect(seen).toEqual([
      {
        method: 'DELETE',
        url: '/v26.0/2384/users?appsecret_proof=proof',
        authorization: `Bearer ${ctx.accessToken}`,
        type: 'application/json',
        body: request.body.toString(),
      },
    ])
  })

  test('a connection that breaks after the request leaves the outcome unknown', async () => {
    const destination = await meta((request) => request.socket.destroy())
    await expect(destination.push(testContext(), destination.encode(batch))).rejects.toMatchObject({ failure: { kind: 'unknown' } })
  })

  test('an answer that never comes leaves it unknown when the time is over', async () => {
    const destination = await meta(() => {})
    await expect(destination.push({ ...testContext(), callTimeoutMs: 200 }, destination.encode(batch))).rejects.toMatchObject({ failure: { kind: 'unknown' } })
  })

  test('a server that is not there has surely done nothing', async () => {
    const destination = await meta(() => {})
    await new Promise((closed) => server.close(closed))
    await expect(destination.push(testContext(), destination.encode(batch))).rejects.toMatchObject({ failure: { kind: 'unavailable' } })
  })

  test('a redirect is not followed', async () => {
    let calls = 0
    const destination = await meta((_request, _body, response) => {
      calls++
      response.writeHead(307, { location: '/elsewhere' }).end()
    })
    await expect(destination.push(testContext(), destination.encode(batch))).rejects.toMatchObject({ failure: { kind: 'blocked' } })
    expect(calls).toBe(1)
  })

  test('a page in HTML with success may have been one', async () => {
    const destination = await meta((_request, _body, response) => response.end('<html></html>'))
    await expect(destination.push(testContext(), destination.encode(batch))).rejects.toMatchObject({ failure: { kind: 'unknown', code: 'platform_bad_reply' } })
  })

  test('work that was withdrawn ends its call', async () => {
    const withdrawn = new AbortController()
    const destination = await meta(() => withdrawn.abort())
    await expect(destination.push({ ...testContext(), signal: withdrawn.signal }, destination.encode(batch))).rejects.toMatchObject({
      failure: { kind: 'unknown' },
    })
  })
})
