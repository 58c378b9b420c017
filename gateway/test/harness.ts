/** The gateway in front of small services of the real kind, all over real HTTP. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { type App, buildApp } from '@audience-sync/service/app'
import { createLogger } from '@audience-sync/service/log'
import { generateServiceTokens } from '@audience-sync/service/tokens'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import type { GatewayConfig } from '../src/config.ts'
import { gatewayConfig } from '../src/config.ts'
import { type GatewayParts, start } from '../src/start.ts'

export const ADMIN = 'bootstrap-key-of-the-tests-0123456789'
const NAMES = ['gateway', 'connections', 'behavior-export', 'audiences', 'webhooks'] as const
type Name = Exclude<(typeof NAMES)[number], 'gateway'>

export interface Harness {
  readonly url: string
  readonly database: TestDatabase
  /** All log lines so far, of the gateway and the services. */
  readonly logs: () => string
  /** A call with the bootstrap key unless `key` says otherwise (null: none). */
  call(path: string, init?: RequestInit & { key?: string | null }): Promise<Response>
  /** Makes a tenant; answers its public id and its first key. */
  tenant(slug: string, limits?: object): Promise<{ id: string; uuid: string; key: string }>
  /** The gateway alone; `stop` does the rest and may be called after. */
  stopGateway(): Promise<void>
  stop(): Promise<void>
}

export interface HarnessOptions {
  /** Routes of the services behind. */
  readonly routes?: Partial<Record<Name, (app: App) => void>>
  readonly config?: Partial<GatewayConfig>
  readonly timeouts?: GatewayParts['timeouts']
  /** Addresses in place of a service. */
  readonly instead?: Partial<Record<Name, string>>
}

export async function harness({ routes = {}, config = {}, instead = {}, timeouts }: HarnessOptions = {}): Promise<Harness> {
  const database = await testDatabase()
  let logged = ''
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged += chunk.toString()
      done()
    },
  })
  const tokens = await generateServiceTokens(NAMES)
  const apps: App[] = []
  const urlOf = async (name: Name) => {
    if (instead[name]) return instead[name]
    const app = await buildApp({ name, log: createLogger({ name, destination }), tokens: tokens[name], bulk: name === 'behavior-export' })
    routes[name]?.(app)
    apps.push(app)
    return app.listen({ host: '127.0.0.1', port: 0 })
  }
  const env = {
    DATABASE_URL: database.url('gateway'),
    PORT: '0',
    SERVICE_KEY: JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: 'x', kid: 'gateway:1', d: 'd' }),
    SERVICE_JWKS: JSON.stringify({ keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'x', kid: 'gateway:1' }] }),
    CONNECTIONS_URL: await urlOf('connections'),
    BEHAVIOR_EXPORT_URL: await urlOf('behavior-export'),
    AUDIENCES_URL: await urlOf('audiences'),
    WEBHOOKS_URL: await urlOf('webhooks'),
    ADMIN_API_KEY: ADMIN,
    API_KEY_MODE: 'test',
    PROOF_CHAIN_MS: '600000', // one look at the start; proofs.test.ts calls it itself
  }
  const log = createLogger({ name: 'gateway', level: 'debug', destination })
  const gateway = await start({ ...gatewayConfig.parse(env), ...config }, { log, tokens: tokens.gateway, timeouts })
  let stopped: Promise<void> | undefined
  const stopGateway = () => {
    stopped ??= gateway.stop()
    return stopped
  }
  const call: Harness['call'] = (path, { key = ADMIN, ...init } = {}) =>
    fetch(`${gateway.url}${path}`, {
      ...init,
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(typeof init.body === 'string' && { 'content-type': 'application/json' }),
        ...(init.headers as object),
      },
    })
  return {
    url: gateway.url,
    database,
    logs: () => logged,
    call,
    async tenant(slug, limits = {}) {
      const answer = await call('/v1/tenants', { method: 'POST', body: JSON.stringify({ slug, name: slug, limits }) })
      if (answer.status !== 201) throw new Error(`tenant: ${answer.status} ${await answer.text()}`)
      const { id, key } = (await answer.json()) as { id: string; key: string }
      return { id, uuid: id.slice('ten_'.length), key }
    },
    stopGateway,
    async stop() {
      await stopGateway()
      await Promise.all(apps.map((app) => app.close()))
      await database.drop()
    },
  }
}

/** An address at which nobody listens. */
export async function nobody(): Promise<string> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return `http://127.0.0.1:${port}`
}

/** Status and code of a refusal. */
export const codeOf = async (answer: Response) => [answer.status, ((await answer.json()) as { code: string }).code]
