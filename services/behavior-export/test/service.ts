/** The service as it runs, on a database of its own with the embedded transport, and what a caller needs to talk to it. */
import { randomBytes, randomUUID } from 'node:crypto'
import { contentTypes, header } from '@audience-sync/contracts/events/headers'
import { type Topic, topics } from '@audience-sync/contracts/events/topics'
import { embeddedTransport } from '@audience-sync/events/embedded/transport'
import { createLogger } from '@audience-sync/service/log'
import { generateServiceTokens } from '@audience-sync/service/tokens'
import { testDatabase } from '@audience-sync/testing/database'
import { until } from '@audience-sync/testing/until'
import { create, type Message, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import type { GenMessage } from '@bufbuild/protobuf/codegenv2'
import { start } from '../src/start.ts'

export const NOW = Date.parse('2026-11-01T12:00:00Z')
export const ALL_SCOPES = ['behaviors:read', 'behaviors:write', 'customers:read', 'customers:write', 'privacy:erase']

/** What `fetch` takes as a body. */
export type Body = NonNullable<RequestInit['body']>

export type Service = Awaited<ReturnType<typeof startService>>

export async function startService() {
  const database = await testDatabase()
  const log = createLogger({ name: 'test', level: 'silent' })
  const tokens = await generateServiceTokens(['gateway', 'connector-meta', 'behavior-export'])
  const deadLetterKey = randomBytes(32)
  const transport = embeddedTransport({ url: database.url('behavior_export'), log, deadLetterKey })
  const outside = embeddedTransport({ url: database.url('relay'), log })
  const clock = { now: NOW }
  const config = {
    DATABASE_URL: database.url('behavior_export'),
    HOST: '127.0.0.1',
    PORT: 0,
    BEHAVIOR_EXPORT_KEK: `kek_test:${randomBytes(32).toString('base64url')}`,
    BEHAVIOR_EXPORT_KEK_FILE: undefined,
    DEAD_LETTER_KEY: deadLetterKey.toString('base64url'),
    CHANGE_LOG_DAYS: 30,
    DATABASE_CONNECTIONS: 8,
  }
  const running = await start(config, { log, transport, tokens: tokens['behavior-export'], now: () => clock.now })

  async function call(
    method: string,
    path: string,
    body?: unknown,
    options: { tenantId?: string; scopes?: string[]; headers?: Record<string, string>; raw?: Body } = {},
  ) {
    const { tenantId = tenant, scopes = ALL_SCOPES, headers = {}, raw } = options
    const caller = path.startsWith('/internal') ? tokens['connector-meta'] : tokens.gateway
    const token = await caller.sign('behavior-export', { tenantId, subject: 'key_test', scopes: path.startsWith('/internal') ? ['internal'] : scopes })
    const response = await fetch(`${running.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...((body !== undefined || raw !== undefined) && { 'content-type': 'application/json' }), ...headers },
      ...(raw !== undefined ? { body: raw, duplex: 'half' } : body !== undefined && { body: JSON.stringify(body) }),
    } as RequestInit)
    const text = await response.text()
    // biome-ignore lint/suspicious/noExplicitAny: a test looks at whatever came
    return { status: response.status, body: (text ? JSON.parse(text) : undefined) as any, headers: response.headers }
  }

  async function send<M extends Message>(topic: Topic<M>, message: MessageInitShape<GenMessage<M>>, options: { tenantId?: string; id?: string } = {}) {
    const { tenantId = tenant, id = randomUUID() } = options
    const headers = {
      [header.id]: id,
      [header.type]: topic.name,
      [header.tenant]: tenantId,
      [header.time]: new Date(clock.now).toISOString(),
      [header.contentType]: contentTypes.protobuf,
    }
    await outside.send([{ topic: topic.name, key: `${tenantId}:k`, headers, value: Buffer.from(toBinary(topic.schema, create(topic.schema, message))) }])
    return id
  }

  const tenantKnown = (id: string) =>
    until('the tenant to be known', async () => (await call('GET', '/v1/behaviors', undefined, { tenantId: id })).status === 200)
  async function newTenant(defaultCountry = '') {
    const id = randomUUID()
    await send(topics.tenantChanged, { tenantId: id, slug: 'demo', status: 'active', defaultCountry }, { tenantId: id })
    await tenantKnown(id)
    return id
  }
  let tenant = ''
  tenant = await newTenant()

  return {
    database,
    clock,
    call,
    send,
    tenant,
    newTenant,
    ndjson: (path: string, lines: unknown[] | Body, options: { tenantId?: string } = {}) =>
      call('POST', path, undefined, {
        ...options,
        raw: Array.isArray(lines) ? lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n') : lines,
        headers: { 'content-type': 'application/x-ndjson' },
      }),
    /** Dead letters, oldest first: topic and reason. */
    deadLetters: async () =>
      (
        await database.admin<{ topic: string; reason: string }>(
          `SELECT topic, headers->>'dlq_reason' AS reason FROM behavior_export.outbox WHERE topic LIKE '%.dlq' ORDER BY id`,
        )
      ).map(({ topic, reason }) => `${topic} ${reason}`),
    async stop() {
      await running.stop()
      await Promise.all([transport.close(), outside.close()])
      await database.drop()
    },
  }
}
