/** The service as it runs, on a database of its own, with the strict server as its only destination. */
import { randomBytes } from 'node:crypto'
import { newUuid } from '@audience-sync/contracts/ids'
import { createLogger } from '@audience-sync/service/log'
import { generateServiceTokens } from '@audience-sync/service/tokens'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { configSchema } from '../src/config.ts'
import type { Round } from '../src/housekeeping.ts'
import { start } from '../src/start.ts'
import { strictAdapter } from './oauth-adapter.ts'
import { type OAuthServer, startOAuthServer } from './oauth-server.ts'

export const KEK = `kek_test:${randomBytes(32).toString('base64url')}`
export const RETURN_URL = 'http://127.0.0.1:3000/done'

// biome-ignore lint/suspicious/noExplicitAny: answers of any route
export type Answer = { status: number; body: any; headers: Headers }

export interface Harness {
  readonly database: TestDatabase
  readonly far: OAuthServer
  /** A call as the gateway makes it. */
  call(tenantId: string, method: string, path: string, body?: unknown, more?: { key?: string; scopes?: string[] }): Promise<Answer>
  /** What the platform's page makes the browser call, without a credential. */
  follow(callbackUrl: string): Promise<{ status: number; location: URL | null; body: string }>
  /** What the platform posts, without a credential. */
  post(path: string, form: Record<string, string>): Promise<Answer>
  /** Connects and selects the first account. */
  connect(tenantId: string): Promise<{ connectionId: string; accountId: string }>
  housekeeping(): Promise<Round>
  /** Every line logged. */
  readonly logged: string[]
  events(tenantId: string): Promise<string[]>
  stop(): Promise<void>
}

export async function startHarness(): Promise<Harness> {
  const database = await testDatabase()
  const far = await startOAuthServer()
  const tokens = await generateServiceTokens(['gateway', 'connections'])
  const config = configSchema.parse({
    DATABASE_URL: database.url('connections'),
    BUS: 'embedded',
    PORT: '0',
    SERVICE_KEY: JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: '', d: '', kid: '' }),
    SERVICE_JWKS: JSON.stringify({ keys: [{ kty: 'OKP', crv: 'Ed25519', x: '', kid: '' }] }),
    CONNECTIONS_KEK: KEK,
    RETURN_TO_LOOPBACK: 'true',
    MAX_CONNECTIONS: '3',
    META_APP_ID: 'unused',
    META_APP_SECRET: 'unused',
  })
  const logged: string[] = []
  const log = createLogger({ name: 'connections', level: 'trace', destination: { write: (line: string) => void logged.push(line) } })
  const service = await start(config, { log, tokens: tokens.connections, adapters: new Map([['strict', strictAdapter(far.url)]]) })

  const harness: Harness = {
    database,
    far,
    logged,
    async call(tenantId, method, path, body, { key, scopes = ['connections:read', 'connections:write', 'internal'] } = {}) {
      const token = await tokens.gateway.sign('connections', { tenantId, subject: 'key_1', scopes })
      const response = await fetch(service.url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(key && { 'idempotency-key': key }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, body: text ? JSON.parse(text) : undefined, headers: response.headers }
    },
    async follow(callbackUrl) {
      const { pathname, search } = new URL(callbackUrl)
      const response = await fetch(service.url + pathname + search, { redirect: 'manual' })
      const location = response.headers.get('location')
      return { status: response.status, location: location ? new URL(location) : null, body: await response.text() }
    },
    async post(path, form) {
      const response = await fetch(service.url + path, { method: 'POST', body: new URLSearchParams(form) })
      return { status: response.status, body: await response.json(), headers: response.headers }
    },
    async connect(tenantId) {
      const begun = await harness.call(tenantId, 'POST', '/v1/connections', { destination: 'strict', returnUrl: RETURN_URL })
      if (begun.status !== 201) throw new Error(JSON.stringify(begun.body))
      await harness.follow(far.consent(begun.body.authorizeUrl))
      const selected = await harness.call(tenantId, 'PUT', `/v1/connections/${begun.body.id}/accounts`, { selected: ['1001'] })
      return { connectionId: begun.body.id, accountId: selected.body.data[0].id }
    },
    housekeeping: () => service.housekeeping(),
    async events(tenantId) {
      const rows = await database.admin<{ topic: string }>('SELECT topic FROM connections.outbox WHERE tenant_id = $1', [tenantId])
      return rows.map(({ topic }) => topic)
    },
    async stop() {
      await service.stop()
      await far.close()
      await database.drop()
    },
  }
  return harness
}

export const newTenant = newUuid
