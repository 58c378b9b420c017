/** The service as callers see it, started as in production, on the bus that needs no broker. */
import { readFileSync } from 'node:fs'
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { webhookEvents } from '@audience-sync/contracts/webhook-events'
import type { Transport } from '@audience-sync/events/transport'
import { generateServiceTokens } from '@audience-sync/service/tokens'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Webhook } from 'standardwebhooks'
import { start } from '../src/start.ts'
import { KEK, log, Receiver } from './rig.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers of an API, read field by field
type Json = any

let database: TestDatabase
let service: Awaited<ReturnType<typeof start>>
let tokens: Awaited<ReturnType<typeof generateServiceTokens<'gateway' | 'webhooks'>>>
const receiver = new Receiver()

beforeAll(async () => {
  database = await testDatabase()
  tokens = await generateServiceTokens(['gateway', 'webhooks'])
  const silent: Transport = {
    subscribe: async () => ({ stop: async () => {}, healthy: () => ({ ok: true, detail: 'subscribed' }) }),
  } as unknown as Transport
  service = await start(
    { DATABASE_URL: database.url('webhooks'), HOST: '127.0.0.1', PORT: 0, WEBHOOKS_KEK: KEK, MAX_ENDPOINTS: 3, ENDPOINTS_ON_LOOPBACK: true, POLL_MS: 20 },
    {
      log,
      transport: silent,
      tokens: tokens.webhooks,
      resolve: async (host) => [{ address: host.startsWith('inside') ? '10.0.0.1' : '93.184.216.34', family: 4 }],
    },
  )
  await receiver.start()
})
afterAll(async () => {
  await service.stop()
  await receiver.stop()
  await database.drop()
})

function caller(tenantId = newUuid(), scopes: readonly string[] = ['webhooks:admin']) {
  return async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<{ status: number; body: Json }> => {
    const token = await tokens.gateway.sign('webhooks', { tenantId, subject: 'key_1', scopes: scopes as never })
    const response = await fetch(`${service.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? null : JSON.parse(text) }
  }
}

test('an endpoint is made, read, changed and deleted; its secret is answered once', async () => {
  const ask = caller()
  const key = { 'idempotency-key': newUuid() }
  const made = await ask('POST', '/v1/webhook-endpoints', { url: receiver.url, eventTypes: ['sync.failed'] }, key)
  expect(made).toMatchObject({ status: 201, body: { url: receiver.url, eventTypes: ['sync.failed'], description: '', status: 'enabled', statusReason: null } })
  expect(made.body.secret).toMatch(/^whsec_/)
  const { secret, ...shown } = made.body
  expect((await ask('POST', '/v1/webhook-endpoints', { url: receiver.url, eventTypes: ['sync.failed'] }, key)).body).toEqual({ ...shown, secret: null })
  expect(await ask('GET', `/v1/webhook-endpoints/${shown.id}`)).toEqual({ status: 200, body: shown })
  expect((await ask('GET', '/v1/webhook-endpoints')).body).toEqual({ data: [shown], nextCursor: null })

  const changed = await ask('PATCH', `/v1/webhook-endpoints/${shown.id}`, { eventTypes: null, description: 'all of it', enabled: false })
  expect(changed.body).toMatchObject({ eventTypes: null, description: 'all of it', status: 'disabled', statusReason: { code: 'webhook_disabled_by_user' } })
  expect(await ask('POST', `/v1/webhook-endpoints/${shown.id}/test`)).toMatchObject({ status: 409, body: { code: 'webhook_endpoint_disabled' } })
  expect((await ask('PATCH', `/v1/webhook-endpoints/${shown.id}`, { enabled: true })).body).toMatchObject({ status: 'enabled', statusReason: null })

  expect((await ask('DELETE', `/v1/webhook-endpoints/${shown.id}`)).status).toBe(204)
  expect((await ask('GET', `/v1/webhook-endpoints/${shown.id}`)).status).toBe(404)
  const stored = await database.admin<{ all: string }>(`SELECT coalesce(string_agg(body, ''), '') AS all FROM webhooks.idempotency`)
  expect(stored[0]?.all).not.toContain(secret)
})

test('a test is sent, signed, logged with its attempt, and sent again when asked, under the same id', async () => {
  const ask = caller()
  const { body: endpoint } = await ask('POST', '/v1/webhook-endpoints', { url: receiver.url, eventTypes: ['sync.failed'] })
  const { status, body: delivery } = await ask('POST', `/v1/webhook-endpoints/${endpoint.id}/test`)
  expect([status, delivery.type, delivery.state]).toEqual([202, 'webhook_endpoint.test', 'waiting'])
  const got = () => receiver.got.filter((one) => one.id === delivery.id)
  const [received] = await until('it to arrive', () => (got().length === 1 ? got() : undefined))
  expect(new Webhook(endpoint.secret).verify(received?.body ?? '', received?.headers as Record<string, string>)).toEqual(delivery.payload)
  const shown = await until('it to be written down', async () => {
    const { body } = await ask('GET', `/v1/webhook-endpoints/${endpoint.id}/deliveries?state=delivered`)
    return body.data[0] as Json
  })
  expect(shown).toMatchObject({ id: delivery.id, nextAttemptAt: null, attempts: [{ status: 204, error: null, durationMs: expect.any(Number), response: '' }] })

  const { body: rotated } = await ask('POST', `/v1/webhook-endpoints/${endpoint.id}/rotate-secret`)
  expect(rotated.secret).not.toBe(endpoint.secret)
  expect(rotated.previousSecretUntil).not.toBeNull()
  expect(await ask('POST', `/v1/webhook-endpoints/${endpoint.id}/replay`, { deliveryId: delivery.id })).toEqual({ status: 202, body: { replayed: 1 } })
  const [, again] = await until('it to arrive again', () => (got().length === 2 ? got() : undefined))
  for (const secret of [rotated.secret, endpoint.secret]) new Webhook(secret).verify(again?.body ?? '', again?.headers as Record<string, string>)
  expect((await ask('POST', `/v1/webhook-endpoints/${endpoint.id}/replay`, {})).body).toEqual({ replayed: 0 }) // it was delivered
})

describe('refusals', () => {
  test.each([
    ['an address inside', 'https://10.0.0.1/'],
    ['a name that leads inside', 'https://inside.example/'],
    ['the metadata of a cloud', 'https://169.254.169.254/latest/'],
    ['no TLS', 'http://example.com/'],
    ['not a URL', 'example'],
  ])('%s', async (_what, url) => {
    const ask = caller()
    expect(await ask('POST', '/v1/webhook-endpoints', { url })).toMatchObject({ status: 400, body: { code: 'webhook_url_not_allowed' } })
    const { body } = await ask('POST', '/v1/webhook-endpoints', { url: 'https://fine.example/' })
    expect(await ask('PATCH', `/v1/webhook-endpoints/${body.id}`, { url })).toMatchObject({ status: 400, body: { code: 'webhook_url_not_allowed' } })
  })

  test('an event type that there is not, an unknown member, both since and deliveryId', async () => {
    const ask = caller()
    const { body } = await ask('POST', '/v1/webhook-endpoints', { url: receiver.url })
    for (const bad of [
      { url: receiver.url, eventTypes: ['sync.exploded'] },
      { url: receiver.url, eventTypes: [] },
      { url: receiver.url, secret: 'whsec_mine' },
    ])
      expect(await ask('POST', '/v1/webhook-endpoints', bad)).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    const both = { since: '2026-11-01T00:00:00Z', deliveryId: publicId('delivery', newUuid()) }
    expect((await ask('POST', `/v1/webhook-endpoints/${body.id}/replay`, both)).status).toBe(400)
  })

  test('more than the tenant may have, also when they are made at once', async () => {
    const ask = caller()
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask('POST', '/v1/webhook-endpoints', { url: receiver.url })))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 409, 409, 409])
    expect(answers.find(({ status }) => status === 409)?.body.code).toBe('too_many_webhook_endpoints')
  })

  test('another tenant’s endpoint and an unknown one answer alike; without the scope nothing is answered', async () => {
    const { body } = await caller()('POST', '/v1/webhook-endpoints', { url: receiver.url })
    const stranger = caller()
    for (const id of [body.id, publicId('webhookEndpoint', newUuid()), 'nonsense']) {
      const path = `/v1/webhook-endpoints/${id}`
      const asked = [
        stranger('GET', path),
        stranger('PATCH', path, { description: 'mine' }),
        stranger('DELETE', path),
        stranger('POST', `${path}/rotate-secret`),
        stranger('POST', `${path}/test`),
        stranger('POST', `${path}/replay`, {}),
        stranger('GET', `${path}/deliveries`),
      ]
      for (const { status, body: problem } of await Promise.all(asked)) expect([status, problem.code]).toEqual([404, 'not_found'])
    }
    expect((await caller(newUuid(), ['audiences:read'])('GET', '/v1/webhook-endpoints')).status).toBe(403)
  })
})

describe('GET /v1/event-types', () => {
  test('has each type with the JSON Schema of its data', async () => {
    const { body } = await caller()('GET', '/v1/event-types')
    expect(body.data.map(({ type }: Json) => type)).toEqual(Object.keys(webhookEvents))
    const changed = body.data.find(({ type }: Json) => type === 'audience.status.changed')
    expect(changed.schema).toMatchObject({
      type: 'object',
      properties: { to: { type: 'string' }, hold: { anyOf: [{ properties: { removals: { type: 'integer' } } }, { type: 'null' }] } },
    })
  })

  test('names nothing that nobody says', () => {
    const SAID_BY: Readonly<Record<string, string>> = {
      'audience.created': 'services/audiences/src/store.ts',
      'audience.status.changed': 'packages/sync-engine/src/store/status.ts',
      'audience.size.threshold_crossed': 'packages/sync-engine/src/store/status.ts',
      'audience.match_rate.low': 'packages/sync-engine/src/drift/low-match.ts',
      'sync.completed': 'packages/sync-engine/src/store/status.ts',
      'sync.failed': 'packages/sync-engine/src/store/status.ts',
      'connection.expired': 'services/connections/src/connection-rows.ts',
      'behavior.created': 'services/behavior-export/src/announce.ts',
      'behavior.criteria_changed': 'services/behavior-export/src/announce.ts',
      'customer.erasure.completed': 'services/behavior-export/src/erasures.ts',
      'quota.low': 'packages/sync-engine/src/worker/job.ts',
    }
    const own = Object.keys(webhookEvents).filter((type) => type.startsWith('webhook_endpoint.'))
    expect([...Object.keys(SAID_BY), ...own].sort()).toEqual(Object.keys(webhookEvents).sort())
    for (const [type, file] of Object.entries(SAID_BY)) {
      const topic = type === 'connection.expired' ? 'connectionChanged' : type.replaceAll(/[._](\w)/g, (_, letter: string) => letter.toUpperCase())
      expect(readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8')).toContain(`topics.${topic}`)
    }
  })
})
