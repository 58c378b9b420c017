/** What each process of an installation is started with: its folder, its database role, its environment. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ServiceRole } from '@audience-sync/infra/postgres/roles'
import { freePort } from '@audience-sync/infra/postgres/server'

export const serviceNames = ['twin', 'relay', 'connections', 'behavior-export', 'audiences', 'scheduler', 'webhooks', 'connector-meta', 'gateway'] as const
export type ServiceName = (typeof serviceNames)[number]

type Env = Record<string, string>

export interface Surroundings {
  readonly ports: Readonly<Record<ServiceName, number>>
  readonly databaseUrl: (role: ServiceRole) => string
  readonly bus: { readonly kind: 'kafka'; readonly brokers: readonly string[] } | { readonly kind: 'embedded' }
  readonly adminKey: string
  readonly journalFile: string
}

export interface ServicePlan {
  readonly cwd: string
  readonly args: readonly string[]
  readonly env: Env
  readonly probePath: string
}

const root = fileURLToPath(new URL('../../../', import.meta.url))
const SOURCE = ['--conditions=@audience-sync/source', '--disable-warning=ExperimentalWarning']
const TRACED = [...SOURCE, '--import', '@audience-sync/service/register']
/** The stand-in's configuration of Facebook Login for Business. */
const META_LOGIN_CONFIG_ID = '1000000000000100'

export const META_APP = { META_APP_ID: '4000000000000001', META_APP_SECRET: 'twin-app-secret' }

/** Shorter times than in production, so that what takes minutes there takes a second here (DESIGN.md R9). */
const QUICK_ENGINE = { ENGINE_POLL_MS: '200', ENGINE_SETTLE_MS: '200', ENGINE_SUPPRESSION_MS: '500', ENGINE_BACKOFF_MS: '100' }

export const addressOf = (port: number): string => `http://127.0.0.1:${port}`
export const keks = (): string => `kek_test:${randomBytes(32).toString('base64url')}`

/** The plans of all services, with keys of their own. */
export function plansOf({ ports, databaseUrl, bus, adminKey, journalFile }: Surroundings): Record<ServiceName, ServicePlan> {
  const urls = Object.fromEntries(serviceNames.map((name) => [name, addressOf(ports[name])])) as Record<ServiceName, string>
  const { privateJwks, SERVICE_JWKS } = serviceKeys(serviceNames)
  const busEnv: Env = { BUS: bus.kind, ...(bus.kind === 'kafka' && { KAFKA_BROKERS: bus.brokers.join(',') }) }
  const PEERS = { CONNECTIONS_URL: urls.connections, BEHAVIOR_EXPORT_URL: urls['behavior-export'] }
  const consumer = { DEAD_LETTER_KEY: randomBytes(32).toString('base64url'), KAFKA_SESSION_MS: '6000' }

  const service = (name: ServiceName, folder: string, role: ServiceRole, env: Env): ServicePlan => ({
    cwd: join(root, folder),
    args: [...TRACED, 'src/main.ts'],
    env: {
      ...busEnv,
      DATABASE_URL: databaseUrl(role),
      PORT: String(ports[name]),
      OTEL_SERVICE_NAME: name,
      SERVICE_KEY: privateJwks[name] ?? '',
      SERVICE_JWKS,
      ...env,
    },
    probePath: '/readyz',
  })

  return {
    twin: {
      cwd: join(root, 'packages/twins/meta'),
      args: [...SOURCE, 'src/main.ts'],
      env: { PORT: String(ports.twin), TWIN_JOURNAL_FILE: journalFile, ...META_APP },
      probePath: '/_twin/health',
    },
    relay: {
      cwd: join(root, 'packages/events'),
      args: [...SOURCE, 'src/relay-main.ts'],
      env: { ...busEnv, DATABASE_URL: databaseUrl('relay'), PORT: String(ports.relay) },
      probePath: '/readyz',
    },
    connections: service('connections', 'services/connections', 'connections', {
      CONNECTIONS_KEK: keks(),
      PUBLIC_URL: urls.gateway,
      RETURN_TO_LOOPBACK: 'true',
      META_DIALOG_URL: urls.twin,
      META_GRAPH_URL: urls.twin,
      ...META_APP,
      META_LOGIN_CONFIG_ID,
    }),
    'behavior-export': service('behavior-export', 'services/behavior-export', 'behavior_export', { BEHAVIOR_EXPORT_KEK: keks(), ...consumer }),
    audiences: service('audiences', 'services/audiences', 'audiences', { ...PEERS, ...consumer }),
    scheduler: service('scheduler', 'services/scheduler', 'scheduler', consumer),
    webhooks: service('webhooks', 'services/webhooks', 'webhooks', { WEBHOOKS_KEK: keks(), ENDPOINTS_ON_LOOPBACK: 'true', ...consumer }),
    'connector-meta': service('connector-meta', 'services/connector-meta', 'connector_meta', {
      ...PEERS,
      ...consumer,
      ...QUICK_ENGINE,
      SYNC_KEK: keks(),
      META_GRAPH_URL: urls.twin,
    }),
    gateway: service('gateway', 'gateway', 'gateway', {
      ...PEERS,
      AUDIENCES_URL: urls.audiences,
      SCHEDULER_URL: urls.scheduler,
      WEBHOOKS_URL: urls.webhooks,
      ADMIN_API_KEY: adminKey,
      PROOF_CHAIN_MS: '500', // a test waits for it
    }),
  }
}

/** A key pair for each: the public halves are everybody's, the private one its owner's. */
function serviceKeys(names: readonly string[]): { privateJwks: Record<string, string>; SERVICE_JWKS: string } {
  const made = names.map((name) => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const kid = `${name}:${randomBytes(6).toString('hex')}`
    return { name, privateJwk: { ...privateKey.export({ format: 'jwk' }), kid }, publicJwk: { ...publicKey.export({ format: 'jwk' }), kid } }
  })
  return {
    privateJwks: Object.fromEntries(made.map(({ name, privateJwk }) => [name, JSON.stringify(privateJwk)])),
    SERVICE_JWKS: JSON.stringify({ keys: made.map(({ publicJwk }) => publicJwk) }),
  }
}

/** A port for each that stays free while its service is down. */
export async function portsFor<N extends string>(names: readonly N[]): Promise<Record<N, number>> {
  const taken = new Set<number>()
  for (const _ of names) {
    let port: number
    do port = await freePort()
    while (taken.has(port))
    taken.add(port)
  }
  const ports = [...taken]
  return Object.fromEntries(names.map((name, i) => [name, ports[i]])) as Record<N, number>
}
