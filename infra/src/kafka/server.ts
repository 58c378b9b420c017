/**
 * A real Apache Kafka of our own: formatted once, one broker that is its own controller, on loopback. Like the PostgreSQL beside
 * it, it is spawned detached, so that Ctrl-C does not kill it before its clients; a small watcher stops it when its parent is gone.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import kafkajs from 'kafkajs'
import { freePort, stopChild } from '../postgres/server.ts'
import { kafkaAvailable } from './jars.ts'

export { kafkaAvailable }

export interface KafkaServer {
  readonly brokers: string[]
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
  /** Dies at once, as a crash does; start again on the same folder and port. */
  kill(): Promise<void>
}

export interface KafkaServerOptions {
  readonly dataDir: string
  readonly port?: number
  /** Whose end is the broker's end; this process by default. */
  readonly ownerPid?: number
  /** A second listener, at which nobody is let in but this user, by SCRAM-SHA-512. */
  readonly login?: { readonly port: number; readonly username: string; readonly password: string }
}

const START_DEADLINE_MS = 90_000 // a second or three on an idle machine
const LEFTOVER_MS = 5_000
const STOP_MS = 3_000 // then it is killed: its log recovers
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qg' // any; one broker has nobody to be confused with
const JVM = [
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  '-XX:-UsePerfData',
  '-Djava.awt.headless=true',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
]
const template = fileURLToPath(new URL('../../kafka/server.properties', import.meta.url))

/** Fails with a reason when there is no Java or the jars cannot be had: ask `kafkaAvailable` first where that is not a fault. */
export async function startKafka({ dataDir, port: wanted, ownerPid = process.pid, login }: KafkaServerOptions): Promise<KafkaServer> {
  const available = await kafkaAvailable()
  if (!available.ok) throw new Error(`Kafka cannot be started: ${available.why}`)
  const port = wanted ?? (await freePort())
  mkdirSync(dataDir, { recursive: true })
  const logs = join(dataDir, 'log')
  const properties = join(dataDir, 'server.properties')
  const pidFile = join(dataDir, 'broker.pid')
  await killLeftover(pidFile)
  const settings = { PORT: port, CPORT: controllerPort(properties) ?? (await freePort()), DIR: logs }
  writeFileSync(
    properties,
    [readFileSync(template, 'utf8'), ...(login ? loginListener(login.port) : [])]
      .join('\n')
      .replaceAll(/@(PORT|CPORT|DIR)@/g, (_, name: keyof typeof settings) => String(settings[name])),
  )
  const classPath = ['-cp', join(available.libs, '*')]
  const user = login ? ['--add-scram', `SCRAM-SHA-512=[name=${login.username},password=${login.password}]`] : []
  if (!existsSync(join(logs, 'meta.properties'))) {
    const made = spawnSync(
      'java',
      [...JVM, '-Xmx64m', ...classPath, 'kafka.tools.StorageTool', 'format', '--standalone', '-t', CLUSTER_ID, '-c', properties, ...user],
      {
        encoding: 'utf8',
      },
    )
    if (made.status !== 0) throw new Error(`Kafka's storage could not be formatted: ${made.stderr || made.stdout}`)
  }
  const output = openSync(join(dataDir, 'broker.log'), 'a') // some classes log at INFO in spite of the level
  const child = spawn('java', [...JVM, '-Xms256m', '-Xmx512m', ...classPath, 'kafka.Kafka', properties], { detached: true, stdio: ['ignore', output, output] })
  writeFileSync(pidFile, String(child.pid))
  const watcher = watchOwner(child, ownerPid)
  const quit = () => void child.kill('SIGKILL')
  if (ownerPid === process.pid) process.once('exit', quit)
  const stopWith = async (signal: NodeJS.Signals) => {
    process.removeListener('exit', quit)
    await stopChild(child, signal, 'SIGKILL', STOP_MS)
    watcher.kill('SIGKILL')
  }
  const brokers = [`127.0.0.1:${port}`]
  try {
    await answering(brokers, child)
  } catch (cause) {
    await stopWith('SIGKILL')
    throw new Error(`Kafka did not start: ${readFileSync(join(dataDir, 'broker.log'), 'utf8').slice(-2_000)}`, { cause })
  }
  return { brokers, port, pid: child.pid ?? 0, stop: () => stopWith('SIGTERM'), kill: () => stopWith('SIGKILL') }
}

/** Later lines of the file win over earlier ones. */
const loginListener = (port: number) => [
  `listeners=PLAINTEXT://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CPORT@,LOGIN://127.0.0.1:${port}`,
  `advertised.listeners=PLAINTEXT://127.0.0.1:@PORT@,LOGIN://127.0.0.1:${port}`,
  'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT',
  'sasl.enabled.mechanisms=SCRAM-SHA-512',
  'listener.name.login.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;',
]

/** A `kill -9` of the last start can leave its broker on the folder for a moment. Its log recovers. */
async function killLeftover(pidFile: string): Promise<void> {
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0
  const deadline = Date.now() + LEFTOVER_MS
  while (pid > 0 && isBroker(pid) && Date.now() < deadline) {
    process.kill(pid, 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Where /proc is, a reused number is not taken for the broker. */
function isBroker(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('kafka.Kafka')
  } catch {
    return false
  }
}

/** The quorum remembers its voter's address: a restart keeps the controller's port. */
function controllerPort(properties: string): number | undefined {
  if (!existsSync(properties)) return undefined
  const port = Number(/CONTROLLER:\/\/127\.0\.0\.1:(\d+)/.exec(readFileSync(properties, 'utf8'))?.[1])
  return Number.isInteger(port) ? port : undefined
}

/** Ready is when it answers, not when it says so. */
async function answering(brokers: string[], child: ChildProcess): Promise<void> {
  const { Kafka, logLevel } = kafkajs
  const deadline = Date.now() + START_DEADLINE_MS
  for (;;) {
    const admin = new Kafka({ clientId: 'start', brokers, logLevel: logLevel.NOTHING, connectionTimeout: 1_000, retry: { retries: 0 } }).admin()
    try {
      await admin.connect()
      await admin.describeCluster()
      return
    } catch (error) {
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    } finally {
      await admin.disconnect().catch(() => {})
    }
  }
}

/** Stops the broker when its owner dies without saying so. */
function watchOwner(child: ChildProcess, ownerPid: number): ChildProcess {
  const script = `while kill -0 ${ownerPid} 2>/dev/null; do sleep 1; done; kill -KILL ${child.pid} 2>/dev/null`
  const watcher = spawn('sh', ['-c', script], { detached: true, stdio: 'ignore' })
  watcher.unref()
  child.unref()
  return watcher
}
