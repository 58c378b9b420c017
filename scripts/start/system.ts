/**
 * The whole system on one machine: keys → Postgres → roles → migrations → topics → twin → relay → services → gateway. The services
 * share this process, each with its own role, pool and transport, exactly as they are made in processes of their own; the far
 * side is another process. What was started is stopped in the reverse order.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { configSchema as audiencesConfig, start as startAudiences } from '@audience-sync/audiences/start'
import { configSchema as behaviorExportConfig } from '@audience-sync/behavior-export/config'
import { start as startBehaviorExport } from '@audience-sync/behavior-export/start'
import { configSchema as connectionsConfig } from '@audience-sync/connections/config'
import { start as startConnections } from '@audience-sync/connections/start'
import { configSchema as connectorConfig, start as startConnector } from '@audience-sync/connector-meta/start'
import { migrate } from '@audience-sync/db/migrate'
import { startRelay } from '@audience-sync/events/relay'
import { configuredTransport } from '@audience-sync/events/run-consumer'
import { gatewayConfig } from '@audience-sync/gateway/config'
import { start as startGateway } from '@audience-sync/gateway/start'
import { kafkaAvailable, startKafka } from '@audience-sync/infra/kafka/server'
import { makeTopics } from '@audience-sync/infra/kafka/topics'
import type { ServiceName } from '@audience-sync/infra/keys'
import { createRoles, MIGRATOR, type ServiceRole, urlAs } from '@audience-sync/infra/postgres/roles'
import { schemas } from '@audience-sync/infra/postgres/schemas'
import { startPostgres, stopChild, watchParent } from '@audience-sync/infra/postgres/server'
import { configSchema as schedulerConfig, start as startScheduler } from '@audience-sync/scheduler/start'
import { loadConfig } from '@audience-sync/service/config'
import { kafkaSecurity } from '@audience-sync/service/kafka-security'
import { createLogger } from '@audience-sync/service/log'
import { createServiceTokens } from '@audience-sync/service/tokens'
import { start as startWebhooks, configSchema as webhooksConfig } from '@audience-sync/webhooks/start'
import { pino } from 'pino'
import type { DataFolder } from './data-folder.ts'
import { demand, settle } from './ports.ts'

export interface System {
  readonly url: string
  readonly twinUrl: string
  readonly adminKey: string
  readonly bus: string
  stop(): Promise<void>
}

export interface SystemOptions {
  readonly bus: 'kafka' | 'embedded' | undefined
  readonly port: number
  readonly say: (line: string) => void
}

const USUAL_PORTS = { connections: 8081, 'behavior-export': 8082, audiences: 8083, scheduler: 8084, webhooks: 8085, 'connector-meta': 8091 } as const
const TWIN_PORT = 9101
const META_APP_ID = '4000000000000001'
const OUTBOXES = ['gateway', 'connections', 'behavior_export', 'sync', 'scheduler', 'webhooks']
const BIND = '127.0.0.1'
/** The sandbox's platform applies within a second, so it is asked more often than a real one (DESIGN.md R9). */
const SANDBOX = { ENGINE_SETTLE_MS: '1000', ENGINE_SUPPRESSION_MS: '2000', RETURN_TO_LOOPBACK: 'true', ENDPOINTS_ON_LOOPBACK: 'true', API_KEY_MODE: 'test' }

export async function startSystem({ path, keys }: DataFolder, { bus: wanted, port, say }: SystemOptions): Promise<System> {
  await demand(port, 'the API', 'PORT in the environment names another.')
  await demand(TWIN_PORT, 'the twin of Meta', 'Stop what listens there: another start?')
  const ports = await settle(USUAL_PORTS)
  const stops: (() => Promise<void>)[] = []
  const stop = async () => {
    for (const one of stops.splice(0).toReversed()) await one().catch((error: Error) => say(`could not be stopped: ${error.message}`))
  }
  const at = (name: keyof typeof USUAL_PORTS) => `http://${BIND}:${ports[name]}`
  try {
    const database = await startDatabase(path, keys, stops)
    const bus = await startBus(path, wanted, stops, say)
    const twin = await startTwin(keys.metaAppSecret, stops)
    const file = pino.destination({ dest: join(path, 'logs', 'system.log'), sync: true, append: false })
    const adminKey = process.env.ADMIN_API_KEY ?? keys.adminKey
    const roleOf = (name: ServiceName | 'relay') => database(name.replaceAll('-', '_') as ServiceRole)

    /** A service's parts and its configuration, as `main.ts` would read it from the environment. */
    const parts = (name: ServiceName, more: Record<string, string> = {}) => {
      const env = {
        ...process.env,
        ...SANDBOX,
        HOST: BIND,
        PORT: String(name === 'gateway' ? port : ports[name]),
        DATABASE_URL: roleOf(name),
        BUS: bus.kind,
        ...(bus.brokers && { KAFKA_BROKERS: bus.brokers.join(',') }),
        SERVICE_KEY: JSON.stringify(keys.servicePrivateJwks[name]),
        SERVICE_JWKS: JSON.stringify(keys.serviceJwks),
        DEAD_LETTER_KEY: keys.deadLetterKey,
        CONNECTIONS_URL: at('connections'),
        BEHAVIOR_EXPORT_URL: at('behavior-export'),
        AUDIENCES_URL: at('audiences'),
        SCHEDULER_URL: at('scheduler'),
        WEBHOOKS_URL: at('webhooks'),
        PUBLIC_URL: `http://${BIND}:${port}`,
        ADMIN_API_KEY: adminKey,
        CONNECTIONS_KEK: keys.keks.connections,
        BEHAVIOR_EXPORT_KEK: keys.keks.behaviorExport,
        SYNC_KEK: keys.keks.sync,
        WEBHOOKS_KEK: keys.keks.webhooks,
        META_DIALOG_URL: twin,
        META_GRAPH_URL: twin,
        META_APP_ID,
        META_APP_SECRET: keys.metaAppSecret,
        ...more,
      }
      const log = createLogger({ name, level: process.env.LOG_LEVEL ?? 'info', destination: file })
      const tokens = createServiceTokens({ name, privateJwk: keys.servicePrivateJwks[name], jwks: keys.serviceJwks as never })
      const transport = () => {
        const made = configuredTransport(
          { ...bus.login, BUS: bus.kind, KAFKA_BROKERS: bus.brokers, DATABASE_URL: env.DATABASE_URL, DEAD_LETTER_KEY: keys.deadLetterKey },
          name,
          log,
        )
        stops.push(() => made.close())
        return made
      }
      return { env, log, tokens, transport }
    }
    const keep = <R extends { stop(): Promise<void> }>(running: R): R => {
      stops.push(() => running.stop())
      return running
    }

    const relayLog = createLogger({ name: 'relay', destination: file })
    const relayTransport = configuredTransport(
      { ...bus.login, BUS: bus.kind, KAFKA_BROKERS: bus.brokers, DATABASE_URL: roleOf('relay'), DEAD_LETTER_KEY: keys.deadLetterKey },
      'relay',
      relayLog,
    )
    stops.push(() => relayTransport.close())
    keep(await startRelay({ url: roleOf('relay'), schemas: OUTBOXES, transport: relayTransport, log: relayLog }))

    const behaviorExport = parts('behavior-export')
    keep(await startBehaviorExport(loadConfig(behaviorExportConfig, behaviorExport.env), { ...behaviorExport, transport: behaviorExport.transport() }))
    const connections = parts('connections')
    keep(await startConnections(loadConfig(connectionsConfig, connections.env), connections))
    const audiences = parts('audiences')
    keep(await startAudiences(loadConfig(audiencesConfig, audiences.env), { ...audiences, transport: audiences.transport() }))
    const scheduler = parts('scheduler')
    keep(await startScheduler(loadConfig(schedulerConfig, scheduler.env), { ...scheduler, transport: scheduler.transport() }))
    const webhooks = parts('webhooks')
    keep(await startWebhooks(loadConfig(webhooksConfig, webhooks.env), { ...webhooks, transport: webhooks.transport() }))
    const connector = parts('connector-meta')
    keep(await startConnector(loadConfig(connectorConfig, connector.env), { ...connector, transport: connector.transport() }))
    const gateway = parts('gateway')
    const { url } = keep(await startGateway(loadConfig(gatewayConfig, gateway.env), gateway))
    await demoTenantKnown(url, adminKey)
    return { url, twinUrl: twin, adminKey, bus: bus.says, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const KNOWN_DEADLINE_MS = 60_000 // a new consumer group's first message takes a second, on a busy machine some ten
const KNOWN_EVERY_MS = 100

/** The gateway makes the demo tenant; the other services hear of it by an event. Only then is the system ready for its key. */
async function demoTenantKnown(url: string, key: string): Promise<void> {
  const deadline = Date.now() + KNOWN_DEADLINE_MS
  for (;;) {
    const { status } = await fetch(`${url}/v1/behaviors?limit=1`, { headers: { authorization: `Bearer ${key}` } })
    if (status === 200) return
    if (Date.now() > deadline) throw new Error(`The demo tenant is not known to behavior-export: it answers ${status}.`)
    await sleep(KNOWN_EVERY_MS)
  }
}

async function startDatabase(path: string, { rolePassword }: DataFolder['keys'], stops: (() => Promise<void>)[]): Promise<(role: ServiceRole) => string> {
  const given = process.env.DATABASE_URL
  let admin = given
  if (!admin) {
    const postgres = await startPostgres({ dataDir: join(path, 'postgres') })
    stops.push(() => postgres.stop())
    admin = postgres.url()
  }
  const url = admin
  const password = given ? rolePassword : undefined
  const roles = ['migrator', 'gateway', 'connections', 'behavior_export', 'audiences', 'connector_meta', 'scheduler', 'webhooks', 'relay']
  await createRoles(url, password ? Object.fromEntries(roles.map((role) => [role, password])) : {})
  await migrate(urlAs(url, MIGRATOR, password), schemas)
  return (role) => urlAs(url, role, password)
}

interface Bus {
  readonly kind: 'kafka' | 'embedded'
  readonly brokers?: string[]
  /** Of a broker that the environment names: how to log in there. Ours lets everybody in. */
  readonly login?: NodeJS.ProcessEnv
  /** Which, and why. */
  readonly says: string
}

async function startBus(path: string, wanted: 'kafka' | 'embedded' | undefined, stops: (() => Promise<void>)[], say: (line: string) => void): Promise<Bus> {
  if (wanted === 'embedded') return { kind: 'embedded', says: 'embedded, because --bus says so' }
  const given = process.env.KAFKA_BROKERS?.split(',')
  if (given) {
    await makeTopics(given, { security: kafkaSecurity(process.env) })
    return { kind: 'kafka', brokers: given, login: process.env, says: 'Kafka, as KAFKA_BROKERS says' }
  }
  const available = await kafkaAvailable()
  if (!available.ok) {
    if (wanted === 'kafka') throw new Error(`Kafka was asked for and cannot be had: ${available.why}.`)
    return { kind: 'embedded', says: `embedded, because Kafka cannot be had: ${available.why}` }
  }
  say('starting Kafka')
  const kafka = await startKafka({ dataDir: join(path, 'kafka') })
  stops.push(() => kafka.stop())
  await makeTopics(kafka.brokers)
  return { kind: 'kafka', brokers: kafka.brokers, says: wanted ? 'Kafka, because --bus says so' : 'Kafka, because a broker can be started here' }
}

/** The far side: a process of its own. It forgets everything when it stops. */
async function startTwin(appSecret: string, stops: (() => Promise<void>)[]): Promise<string> {
  const main = new URL('../../packages/twins/meta/src/main.ts', import.meta.url).pathname
  const child: ChildProcess = spawn(process.execPath, ['--conditions=@audience-sync/source', '--disable-warning=ExperimentalWarning', main], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, PORT: String(TWIN_PORT), META_APP_ID, META_APP_SECRET: appSecret },
  })
  const watcher = watchParent(child, 'TERM')
  child.ref() // until it has spoken: nothing else keeps this process here, and its death would go unheard
  stops.push(async () => {
    await stopChild(child, 'SIGTERM', 'SIGKILL', 3_000)
    watcher.kill('SIGKILL')
  })
  const [first] = (await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), once(child, 'exit')])) as [unknown]
  if (!(first instanceof Buffer)) throw new Error(`The twin of Meta could not be started on port ${TWIN_PORT}.`)
  child.unref()
  return `http://${BIND}:${TWIN_PORT}`
}
