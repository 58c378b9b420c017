/** The service on a database of its own, with peers that answer over HTTP what a test tells them to. */
import { topics } from '@audience-sync/contracts/events/topics'
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import type { Database } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { AnyConsumer } from '@audience-sync/events/consumer'
import type { Transport } from '@audience-sync/events/transport'
import { buildApp } from '@audience-sync/service/app'
import { createLogger } from '@audience-sync/service/log'
import { scopes } from '@audience-sync/service/scopes'
import { generateServiceTokens } from '@audience-sync/service/tokens'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { create, fromBinary } from '@bufbuild/protobuf'
import { z } from 'zod'
import { start } from '../src/start.ts'

const NEVER_MS = 3_600_000

const log = createLogger({ name: 'audiences', level: process.env.TEST_LOG ?? 'silent' })

export interface World {
  behaviors: Map<string, { members: number; eligible: number }>
  accounts: Map<string, Record<string, unknown>>
  /** The account that connections names as the default, and what it was asked. */
  defaultAccount: string | null
  defaultAsked: unknown[]
  /** Rows of the feed by customer number. */
  rows: Map<number, [number, 0 | 1, number, number, string]>
  customers: Map<string, number>
  /** What behavior-export says of a customer beside the row, by number. */
  explained: Map<number, Record<string, unknown>>
  /** Erasures by their public id. */
  erasures: Map<string, Record<string, unknown>>
  /** Proofs of the erasures that the service said are complete, and how often it asked which are not. */
  completed: Map<string, string>
  asked: number
}

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any
}

export interface Rig {
  readonly database: TestDatabase
  readonly db: Database
  readonly url: string
  readonly tenantId: string
  readonly world: World
  call(
    method: string,
    path: string,
    body?: unknown,
    options?: { tenantId?: string; headers?: Record<string, string>; scopes?: readonly string[] },
  ): Promise<Answer>
  /** A new behavior with so many eligible members; its public id. */
  behavior(eligible?: number): string
  account(fields?: Record<string, unknown>): string
  /** Creates an audience and answers it. */
  audience(fields?: Record<string, unknown>): Promise<Answer['body']>
  /** Hands an event to the service's consumer of that topic, as a transport does. */
  hear(consumer: string, message: Record<string, unknown>, occurredAt?: Date): Promise<void>
  /** Messages of the outbox of that topic, oldest first. */
  // biome-ignore lint/suspicious/noExplicitAny: of every topic
  said(topic: string): Promise<any[]>
  stop(): Promise<void>
}

/** `counts`: sizes are counted by themselves, as in production; else they stay as a test left them, however long it takes. */
export async function startRig({ counts = false }: { readonly counts?: boolean } = {}): Promise<Rig> {
  const database = await testDatabase()
  const tokens = await generateServiceTokens(['audiences', 'behavior-export', 'connections', 'gateway'])
  const world: World = {
    behaviors: new Map(),
    accounts: new Map(),
    defaultAccount: null,
    defaultAsked: [],
    rows: new Map(),
    customers: new Map(),
    explained: new Map(),
    erasures: new Map(),
    completed: new Map(),
    asked: 0,
  }
  const tenantId = newUuid()

  const feed = await buildApp({ name: 'behavior-export', log, tokens: tokens['behavior-export'] })
  const behaviorOf = (request: { auth: { tenantId: string }; params: unknown }) => {
    const { id } = request.params as { id: string }
    const found = request.auth.tenantId === tenantId ? world.behaviors.get(id) : undefined
    if (!found) throw new AppError('not_found', 'No such behavior.')
    return { id, ...found }
  }
  feed.get('/internal/v1/behaviors/:id', async (request) => {
    const { id, members } = behaviorOf(request)
    return { id, key: 'key', name: 'Name', kind: 'custom', members }
  })
  feed.get(
    '/internal/v1/behaviors/:id/eligible',
    { schema: { querystring: z.object({ atMost: z.coerce.number().default(Number.POSITIVE_INFINITY) }).loose() } },
    async (request) => {
      const { eligible, members } = behaviorOf(request)
      return { members, eligible: Math.min(eligible, request.query.atMost) }
    },
  )
  feed.post('/internal/v1/behaviors/:id/members/:customerId/explain', async (request) => {
    const { customerId } = request.params as { customerId: string }
    const no = world.customers.get(customerId)
    if (no === undefined) throw new AppError('customer_unknown', 'No such customer.')
    const row = world.rows.get(no) ?? [no, 0, 0, 0, '']
    const states = { adUserData: 'granted', adPersonalization: 'granted', crm: 'unspecified', saleShareOptOut: false }
    return {
      row,
      membership: { member: row[1] === 1, since: '2026-11-01T10:00:00.000Z', eventId: null },
      consent: states,
      suppressedBy: { ads: row[2] & 1 ? null : 'consent_denied', ads_ldu: null, crm: null },
      leftOut: false,
      fields: {},
      ...world.explained.get(no),
    }
  })
  feed.get('/internal/v1/erasures/:id', async (request) => {
    const found = request.auth.tenantId === tenantId ? world.erasures.get((request.params as { id: string }).id) : undefined
    if (!found) throw new AppError('not_found', 'No such erasure.')
    return found
  })
  feed.get('/internal/v1/pending-erasures', async () => {
    world.asked += 1
    const pending = [...world.erasures].filter(([id]) => !world.completed.has(id))
    return { erasures: pending.map(([, erasure]) => ({ tenantId, ...erasure })), done: true }
  })
  feed.post('/internal/v1/erasures/complete', async (request) => {
    const { id, jws } = request.body as { id: string; jws: string }
    world.completed.set(id, jws)
    return {}
  })
  feed.get('/internal/v1/customers/:customerId', async (request) => {
    const { customerId } = request.params as { customerId: string }
    const no = request.auth.tenantId === tenantId ? world.customers.get(customerId) : undefined
    if (no === undefined) throw new AppError('not_found', 'There is no customer with this id.')
    const consent = { adUserData: 'granted', adPersonalization: 'granted', crm: 'unspecified', saleShareOptOut: false }
    const known = { occurredAt: null, identifiers: {}, unusable: [], consent, consentAt: null, maySendTo: ['ads'], value: null, behaviors: [] }
    return { no, customer: { customerId, ...known } }
  })
  feed.post('/internal/v1/customers/resolve', async (request) => {
    const { customerIds = [], numbers = [] } = request.body as { customerIds?: string[]; numbers?: number[] }
    const all = [...world.customers].map(([customerId, no]) => ({ customerId, no }))
    return { customers: all.filter(({ customerId, no }) => customerIds.includes(customerId) || numbers.includes(no)) }
  })
  const connections = await buildApp({ name: 'connections', log, tokens: tokens.connections })
  connections.get('/internal/v1/accounts/:id', async (request) => {
    const found = request.auth.tenantId === tenantId ? world.accounts.get((request.params as { id: string }).id) : undefined
    if (!found) throw new AppError('not_found', 'No such account.')
    return found
  })
  connections.get('/internal/v1/default-account', async (request) => {
    world.defaultAsked.push(request.query)
    return { accountId: request.auth.tenantId === tenantId ? world.defaultAccount : null }
  })
  const listen = { host: '127.0.0.1', port: 0 }
  const [feedUrl, connectionsUrl] = [await feed.listen(listen), await connections.listen(listen)]

  let consumers: readonly AnyConsumer[] = []
  const transport = {
    async subscribe(_db: Database, given: readonly AnyConsumer[]) {
      consumers = given
      return { stop: async () => {}, healthy: () => ({ ok: true, detail: 'test' }) }
    },
  } as unknown as Transport
  const running = await start(
    {
      DATABASE_URL: database.url('audiences'),
      HOST: '127.0.0.1',
      PORT: 0,
      BEHAVIOR_EXPORT_URL: feedUrl,
      CONNECTIONS_URL: connectionsUrl,
      SIZE_CHECK_MS: counts ? 20 : NEVER_MS,
      ERASURE_CHECK_MS: 20,
    },
    { log, transport, tokens: tokens.audiences },
  )
  const db = database.as('audiences')

  const rig: Rig = {
    database,
    db,
    url: running.url,
    tenantId,
    world,
    async call(method, path, body, options = {}) {
      const token = await tokens.gateway.sign('audiences', { tenantId: options.tenantId ?? tenantId, subject: 'key_test', scopes: options.scopes ?? scopes })
      const response = await fetch(`${running.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }), ...options.headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: await response.json() }
    },
    behavior(eligible = 500) {
      const id = publicId('behavior', newUuid())
      world.behaviors.set(id, { members: eligible + 20, eligible })
      return id
    },
    account(fields = {}) {
      const id = publicId('account', newUuid())
      world.accounts.set(id, {
        id,
        connectionId: publicId('connection', newUuid()),
        destination: 'meta',
        externalId: String(Math.floor(Math.random() * 1e12)),
        name: 'Shop',
        selected: true,
        status: 'active',
        statusDetail: 'active',
        connectionStatus: 'active',
        termsSigned: true,
        termsUrl: 'https://example.com/terms',
        canManageAudiences: true,
        ...fields,
      })
      return id
    },
    async audience(fields = {}) {
      const { status, body } = await rig.call('POST', '/v1/audiences', {
        behaviorId: rig.behavior(),
        destination: 'meta',
        accountId: rig.account(),
        name: 'Comfort Seekers',
        ...fields,
      })
      if (status !== 201) throw new Error(JSON.stringify(body))
      return body
    },
    async hear(name, message, occurredAt = new Date()) {
      const consumer = consumers.find((one) => one.name === name)
      if (!consumer) throw new Error(`No consumer ${name}`)
      const event = {
        id: newUuid(),
        tenantId,
        key: 'k',
        headers: {},
        message: create(consumer.topic.schema, message),
        occurredAt,
        version: undefined,
        traceparent: undefined,
      }
      await db.tenant(tenantId, (tx) => consumer.handle(tx, [event], { log, signal: new AbortController().signal }))
    },
    async said(topic) {
      const { schema } = Object.values(topics).find(({ name }) => name === topic) as AnyConsumer['topic']
      const rows = await database.admin<{ value: Buffer }>('SELECT value FROM sync.outbox WHERE topic = $1 ORDER BY id', [topic])
      return rows.map(({ value }) => fromBinary(schema, value))
    },
    async stop() {
      await running.stop()
      await Promise.all([feed.close(), connections.close()])
      await database.drop()
    },
  }
  return rig
}
