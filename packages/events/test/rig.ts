/** A database, a way to carry, and how to hurt it: the same for both transports. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type KafkaServer, startKafka } from '@audience-sync/infra/kafka/server'
import { makeTopics } from '@audience-sync/infra/kafka/topics'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { testBroker } from '@audience-sync/testing/kafka'
import { pino } from 'pino'
import { embeddedTransport } from '../src/embedded/transport.ts'
import { kafkaTransport } from '../src/kafka/transport.ts'
import { type Relay, startRelay } from '../src/relay.ts'
import type { Transport } from '../src/transport.ts'
import { makeEffects, topic } from './effects.ts'

export const log = pino({ level: process.env.TEST_LOG ?? 'silent' })
export const STALL_MS = 2_000
const SESSION_MS = 1_500

export interface RigOptions {
  readonly handlerDeadlineMs?: number
  /** The test will hurt the carrier: it gets one of its own. */
  readonly ownCarrier?: boolean
}

export interface Rig {
  readonly database: TestDatabase
  readonly deadLetterKey: Buffer
  transport(role: 'audiences' | 'relay'): Transport
  relay(): Promise<Relay>
  /** A process of its own: `test/child.ts`. */
  child(what: 'relay' | 'consumer', faultPoint?: string): ChildProcess
  /** The carrier dies without a word; `heal` brings it back. */
  kill(): Promise<{ heal(): Promise<void> }>
  /** The carrier stands still: connections stay open and nothing answers. */
  freeze(): Promise<{ thaw(): void }>
  end(): Promise<void>
}

export type MakeRig = (options?: RigOptions) => Promise<Rig>

interface Carrier {
  transport(role: 'audiences' | 'relay', database: TestDatabase, deadLetterKey: Buffer): Transport
  readonly env: Record<string, string>
  kill(database: TestDatabase): Promise<{ heal(): Promise<void> }>
  freeze(database: TestDatabase): Promise<{ thaw(): void }>
  end(): Promise<void>
}

async function rigOn(makeCarrier: () => Promise<Carrier>): Promise<Rig> {
  const [database, carrier] = await Promise.all([testDatabase(), makeCarrier()])
  await makeEffects(database)
  const deadLetterKey = randomBytes(32)
  const opened: { close(): Promise<void> }[] = []
  const children: ChildProcess[] = []
  const transport = (role: 'audiences' | 'relay') => {
    const made = carrier.transport(role, database, deadLetterKey)
    opened.push(made)
    return made
  }
  return {
    database,
    deadLetterKey,
    transport,
    async relay() {
      const relay = await startRelay({ url: database.url('relay'), schemas: ['behavior_export', 'sync'], transport: transport('relay'), log })
      opened.push({ close: () => relay.stop() })
      return relay
    },
    child(what, faultPoint) {
      const env = {
        ...process.env,
        ...carrier.env,
        CHILD_SERVICE_URL: database.url('audiences'),
        CHILD_RELAY_URL: database.url('relay'),
        ...(faultPoint && { FAULT_POINT: faultPoint }),
      }
      const child = spawn(process.execPath, ['--conditions=@audience-sync/source', fileURLToPath(new URL('./child.ts', import.meta.url)), what], {
        env,
        stdio: ['ignore', 'inherit', 'inherit'],
      })
      children.push(child)
      return child
    },
    kill: () => carrier.kill(database),
    freeze: () => carrier.freeze(database),
    async end() {
      for (const child of children) child.kill('SIGKILL')
      for (const one of opened.toReversed()) await one.close()
      await carrier.end()
      await database.drop()
    },
  }
}

export const embeddedRig: MakeRig = ({ handlerDeadlineMs } = {}) =>
  rigOn(async () => ({
    transport: (role, database, deadLetterKey) =>
      embeddedTransport({ url: database.url(role), log, deadLetterKey, stallMs: STALL_MS, ...(handlerDeadlineMs && { handlerDeadlineMs }) }),
    env: { CHILD_BUS: 'embedded' },
    async kill(database) {
      await database.admin(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename <> 'postgres'`,
      )
      return { heal: async () => {} } // PostgreSQL takes new connections at once
    },
    async freeze(database) {
      const backends = await database.admin<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bus subscription'`,
      )
      const signal = (name: NodeJS.Signals) => {
        for (const { pid } of backends) process.kill(pid, name)
      }
      signal('SIGSTOP')
      return { thaw: () => signal('SIGCONT') }
    },
    end: async () => {},
  }))

export const kafkaRig: MakeRig = ({ handlerDeadlineMs, ownCarrier } = {}) =>
  rigOn(async () => {
    const prefix = `t${randomBytes(4).toString('hex')}.`
    const dataDir = mkdtempSync(join(tmpdir(), 'audience-sync-own-kafka-'))
    let own: KafkaServer | undefined = ownCarrier ? await startKafka({ dataDir }) : undefined
    const { brokers } = own ?? (await testBroker())
    await makeTopics(brokers, { prefix, only: [topic.name, 'customer.changed'] })
    return {
      transport: (role, _database, deadLetterKey) =>
        kafkaTransport({
          brokers,
          clientId: role,
          log,
          prefix,
          deadLetterKey,
          stallMs: STALL_MS,
          sessionTimeoutMs: SESSION_MS,
          ...(handlerDeadlineMs && { handlerDeadlineMs }),
        }),
      env: { CHILD_BUS: 'kafka', CHILD_BROKERS: brokers.join(','), CHILD_PREFIX: prefix },
      async kill() {
        const port = own?.port ?? 0
        await own?.kill()
        return {
          async heal() {
            own = await startKafka({ dataDir, port })
          },
        }
      },
      async freeze() {
        const pid = own?.pid ?? 0
        process.kill(pid, 'SIGSTOP')
        return { thaw: () => void process.kill(pid, 'SIGCONT') }
      },
      async end() {
        await own?.kill()
        rmSync(dataDir, { recursive: true, force: true })
      },
    }
  })
