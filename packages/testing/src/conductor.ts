/**
 * The conductor runs an installation the way production does: PostgreSQL, a real broker (or the embedded bus), the platform's
 * stand-in, and each service as its own process with its own role and keys. Tests kill what they like and start it again.
 *
 * One system's life: folder, database and broker → ports, keys and environments → all processes at once → ready when every
 * probe says so → killed, restarted, looked at → stopped, whatever happened. A shell beside it ends the processes when the
 * conductor itself is killed.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startKafka } from '@audience-sync/infra/kafka/server'
import { makeTopics } from '@audience-sync/infra/kafka/topics'
import { type SystemDatabase, systemDatabase } from './conductor-database.ts'
import { addressOf, plansOf, portsFor, type ServiceName, serviceNames } from './conductor-plans.ts'
import { type ServiceProcess, serviceProcess } from './conductor-process.ts'
import { type Twin, twinAt } from './conductor-twin.ts'

export interface SystemOptions {
  readonly bus: 'kafka' | 'embedded'
  /** For data and logs; one that is removed at the end unless given. */
  readonly dataDir?: string
  /** Added to the environment of one service, or of all (`all`). */
  readonly env?: Partial<Record<ServiceName | 'all', Readonly<Record<string, string>>>>
  /** All of them unless given. */
  readonly services?: readonly ServiceName[]
}

export interface System {
  /** Of the gateway. */
  readonly url: string
  /** Bootstrap key of the tenant `demo`, all scopes. */
  readonly adminKey: string
  readonly twin: Twin
  readonly database: SystemDatabase
  /** Empty on the embedded bus. */
  readonly brokers: readonly string[]
  readonly logFolder: string
  /** Gone when this resolves; nobody starts it again but `start`. */
  kill(name: ServiceName, signal?: NodeJS.Signals): Promise<void>
  /** Spawns it; `waitReady` waits for its probe. `env` counts for this life only. */
  start(name: ServiceName, env?: Readonly<Record<string, string>>): void
  /** Killed, started and ready. After a SIGTERM a consumer's partitions are given on at once; after a SIGKILL the broker waits for its session to end. */
  restart(name: ServiceName, signal?: NodeJS.Signals): Promise<void>
  waitReady(...names: readonly ServiceName[]): Promise<void>
  signal(name: ServiceName, signal: NodeJS.Signals): void
  logs(name: ServiceName): string
  /** Ends that nobody asked for: a test expects none. */
  crashes(): readonly string[]
  /** Stops everything gently, kills the rest. Answers the exit codes. */
  stop(): Promise<Record<string, number | null>>
}

export async function startSystem({ bus, dataDir, env = {}, services = serviceNames }: SystemOptions): Promise<System> {
  const folder = dataDir ?? mkdtempSync(join(tmpdir(), 'audience-sync-system-'))
  const logFolder = join(folder, 'logs')
  mkdirSync(logFolder, { recursive: true })
  chmodSync(folder, 0o711) // root's PostgreSQL runs as somebody else, who has to get through
  const undo: (() => Promise<unknown>)[] = []
  const undoAll = async () => {
    for (const step of undo.splice(0).toReversed()) await step().catch(() => {})
    if (dataDir === undefined && process.env.KEEP_SYSTEM === undefined) rmSync(folder, { recursive: true, force: true })
  }
  try {
    const database = await systemDatabase(folder)
    undo.push(() => database.drop())
    const brokers = bus === 'kafka' ? await broker(folder, undo) : []
    const ports = await portsFor(serviceNames)
    const adminKey = `admin-${randomBytes(24).toString('hex')}`
    const plans = plansOf({
      ports,
      databaseUrl: (role) => database.url(role),
      bus: bus === 'kafka' ? { kind: 'kafka', brokers } : { kind: 'embedded' },
      adminKey,
      journalFile: join(folder, 'journal.ndjson'),
    })
    const pidFile = join(folder, 'pids')
    const processes = new Map<ServiceName, ServiceProcess>()
    const notePids = () => writeFileSync(pidFile, [...processes.values()].flatMap(({ pid }) => pid ?? []).join(' '))
    for (const name of services) {
      const { cwd, args, env: own, probePath } = plans[name]
      const full = { ...base(), ...own, ...env.all, ...env[name] }
      processes.set(
        name,
        serviceProcess({ name, cwd, args, env: full, probe: `${addressOf(ports[name])}${probePath}`, logFile: join(logFolder, `${name}.log`) }, notePids),
      )
    }
    const the = (name: ServiceName): ServiceProcess => {
      const found = processes.get(name)
      if (!found) throw new Error(`${name} is no part of this system.`)
      return found
    }
    undo.push(() => Promise.all([...processes.values()].map((one) => one.kill())))
    const watcher = watchOver(pidFile)
    undo.push(async () => watcher.kill('SIGKILL'))
    for (const one of processes.values()) one.start()
    const waitReady = async (...names: readonly ServiceName[]) => {
      await Promise.all((names.length > 0 ? names.map(the) : [...processes.values()]).map((one) => one.ready()))
    }
    await waitReady()
    return {
      url: addressOf(ports.gateway),
      adminKey,
      twin: twinAt(addressOf(ports.twin)),
      database,
      brokers,
      logFolder,
      kill: (name, signal) => the(name).kill(signal),
      start: (name, more) => the(name).start(more),
      async restart(name, signal) {
        await the(name).kill(signal)
        the(name).start()
        await the(name).ready()
      },
      waitReady,
      signal: (name, signal) => void process.kill(the(name).pid ?? Number.NaN, signal),
      logs: (name) => the(name).logs(),
      crashes: () => [...processes.values()].flatMap(({ crashes }) => crashes),
      async stop() {
        const gateway = processes.get('gateway')
        const codes: Record<string, number | null> = { ...(gateway && { gateway: await gateway.stop() }) }
        await Promise.all([...processes.values()].map(async (one) => Object.assign(codes, { [one.name]: await one.stop() })))
        await undoAll()
        return codes
      },
    }
  } catch (error) {
    await undoAll()
    throw error
  }
}

/** A broker of its own: groups and topics have the names that production gives them. */
async function broker(folder: string, undo: (() => Promise<unknown>)[]): Promise<string[]> {
  const kafka = await startKafka({ dataDir: join(folder, 'kafka') })
  undo.push(() => kafka.kill()) // nothing in it is of worth
  await makeTopics(kafka.brokers)
  return kafka.brokers
}

/** What a process needs of ours; compiled modules are kept, so that the next start is quicker. */
const base = (): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  HOME: process.env.HOME ?? '',
  NODE_COMPILE_CACHE: join(tmpdir(), 'audience-sync-compiled'),
  LOG_LEVEL: 'info',
})

/** Kills what runs when this process dies without saying so. */
function watchOver(pidFile: string) {
  const script = `while kill -0 ${process.pid} 2>/dev/null; do sleep 1; done; kill -KILL $(cat '${pidFile}') 2>/dev/null`
  const watcher = spawn('sh', ['-c', script], { detached: true, stdio: 'ignore' })
  watcher.unref()
  return watcher
}
