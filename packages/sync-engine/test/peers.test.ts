/** C7: an answer without what its trailer promises is not used. And how long a token is remembered. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { newUuid } from '@audience-sync/contracts/ids'
import { type ServiceClient, serviceClient } from '@audience-sync/service/client'
import { createLogger } from '@audience-sync/service/log'
import { createServiceTokens, generateServiceKey } from '@audience-sync/service/tokens'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { accountGrants, behaviorFeed, suppressionLog } from '../src/peers.ts'

const horizon = { epoch: 'e1', xmin: '10', xmax: '10', oldest: '0:0' }
const row = (no: number) => [no, 1, 1, 1, ''] as const
const grant = { connectionId: 'con_1', accountId: 'acc_1', accountExternalId: '1', accessToken: 't', expiresAt: null, version: 1, tier: null, businessId: null }

let server: Server
let client: ServiceClient
let answer: unknown
let cut = false
const asked: string[] = []
beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    const body = JSON.stringify(answer)
    response.setHeader('content-type', 'application/json')
    if (!cut) return response.end(body)
    // Promises all of it, sends half, and goes away.
    response.setHeader('content-length', Buffer.byteLength(body))
    response.write(body.slice(0, body.length / 2), () => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { privateJwk, publicJwk } = await generateServiceKey('connector-meta')
  const tokens = await createServiceTokens({ name: 'connector-meta', privateJwk, jwks: { keys: [publicJwk] } })
  client = serviceClient({
    name: 'behavior-export',
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokens,
    log: createLogger({ name: 'test', level: 'silent' }),
    random: () => 0,
  })
})
afterAll(async () => {
  await client.close()
  await new Promise((resolve) => server.close(resolve))
})
beforeEach(() => {
  cut = false
  asked.length = 0
})

const feed = () => behaviorFeed(client, newUuid(), newUuid())

describe('C7: an answer', () => {
  test.each([
    ['changes', { horizon, rows: [row(1)], next: '9:0', done: true, count: 2 }, () => feed().changes('0:0', '10')],
    ['members', { horizon, start: '9:0', rows: [row(1)], nextCustomer: 1, done: true, count: 2 }, () => feed().members(0)],
    ['rows', { rows: [row(1)], count: 2 }, () => feed().rows([1, 2])],
    ['rows, though it says so itself', { rows: [row(1)], count: 1 }, () => feed().rows([1, 2])],
    ['fetch', { verdicts: [{ verdict: 'not_member', no: 1 }], count: 1, suppressionsAt: '0:0' }, () => feed().fetch([1, 2], 'ads')],
    ['suppressions', { horizon, rows: [], next: '0:0', done: true, count: 1 }, () => suppressionLog(client).after('0:0')],
  ])('of %s with fewer rows than promised is refused', async (_, body, call) => {
    answer = body
    await expect(call()).rejects.toMatchObject({ code: 'service_unavailable' })
  })

  test('that is cut in the middle is refused, after it was asked for again', async () => {
    answer = { horizon, rows: Array.from({ length: 200 }, (_, i) => row(i)), next: '9:0', done: true, count: 200 }
    cut = true
    await expect(feed().changes('0:0', '10')).rejects.toMatchObject({ status: 503 })
    expect(asked.length).toBeGreaterThan(1)
  })

  test('without its trailer is refused', async () => {
    answer = { horizon, rows: [row(1)], next: '9:0', done: true }
    await expect(feed().changes('0:0', '10')).rejects.toThrow()
  })

  test('that is whole is used', async () => {
    answer = { rows: [row(1), row(2)], count: 2 }
    expect(await feed().rows([1, 2])).toEqual([row(1), row(2)])
  })
})

describe('a token', () => {
  test('is remembered for five minutes, no longer than it lives, and forgotten when told so', async () => {
    let now = Date.parse('2026-11-01T00:00:00Z')
    const grants = accountGrants(client, () => now)
    const [tenant, account] = [newUuid(), newUuid()]
    answer = grant
    const times = async () => {
      await grants.get(tenant, account)
      return asked.length
    }
    expect([await times(), await times()]).toEqual([1, 1])
    now += 5 * 60_000
    answer = { ...grant, expiresAt: new Date(now + 1_000).toISOString() }
    expect([await times(), await times()]).toEqual([2, 2])
    now += 1_000
    expect(await times()).toBe(3)
    now += 1
    grants.forget()
    expect(await times()).toBe(4)
  })

  test('that the platform did not take is reported and asked for anew', async () => {
    const grants = accountGrants(client)
    const [tenant, account] = [newUuid(), newUuid()]
    answer = grant
    const held = await grants.get(tenant, account)
    await grants.report(tenant, held, 'token_dead', { code: '190', message: 'expired' })
    await grants.get(tenant, account)
    expect(asked.map((line) => line.replace(/acc_[^/]+/, 'acc'))).toEqual([
      'POST /internal/v1/accounts/acc/grant',
      'POST /internal/v1/connections/con_1/report',
      'POST /internal/v1/accounts/acc/grant',
    ])
  })
})
