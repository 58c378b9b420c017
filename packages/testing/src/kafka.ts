/**
 * One Kafka broker for a whole test run, started by the first file that asks for it: most runs need none. Files keep apart by
 * the `prefix` of their topics and groups. `TEST_KAFKA_BROKERS` names a broker to use instead.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaAvailable, startKafka } from '@audience-sync/infra/kafka/server'
import { until } from './until.ts'

const START_MS = 120_000 // fetching the jars included

/** Part of the global setup; answers what to do at the end of the run. */
export function prepareBroker(): () => Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'audience-sync-kafka-'))
  process.env.TEST_KAFKA_FOLDER = folder
  process.env.TEST_MAIN_PID = String(process.pid)
  return async () => {
    const pid = running(folder)?.pid
    if (pid) {
      kill(pid, 'SIGKILL') // nothing in it is of worth
      await until('the broker is gone', () => !kill(pid, 0))
    }
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Whether the tests on Kafka can run. Where `CI` is set they must: a missing Java is a failure there, with its reason. */
export async function brokerAvailable(): Promise<{ ok: true } | { ok: false; why: string }> {
  if (process.env.TEST_KAFKA_BROKERS) return { ok: true }
  const available = await kafkaAvailable()
  if (!available.ok && process.env.CI) throw new Error(`Kafka is required here: ${available.why}`)
  return available
}

export async function testBroker(): Promise<{ brokers: string[] }> {
  const given = process.env.TEST_KAFKA_BROKERS
  if (given) return { brokers: given.split(',') }
  const folder = process.env.TEST_KAFKA_FOLDER
  if (!folder) throw new Error('TEST_KAFKA_FOLDER is not set: tests with Kafka belong in a test/ folder, where jest prepares the broker.')
  if (mine(folder)) {
    try {
      const { brokers, pid } = await startKafka({ dataDir: join(folder, 'broker'), ownerPid: Number(process.env.TEST_MAIN_PID) })
      say(folder, { brokers, pid })
    } catch (error) {
      say(folder, { failed: (error as Error).message })
    }
  }
  const { brokers, failed } = await until('the broker', () => running(folder), { timeoutMs: START_MS })
  if (!brokers) throw new Error(failed)
  return { brokers }
}

interface Running {
  readonly brokers?: string[]
  readonly pid?: number
  readonly failed?: string
}

/** The first to make the folder starts the broker. */
function mine(folder: string): boolean {
  try {
    mkdirSync(join(folder, 'starting'))
    return true
  } catch {
    return false
  }
}

function say(folder: string, state: Running): void {
  writeFileSync(join(folder, 'writing.json'), JSON.stringify(state))
  renameSync(join(folder, 'writing.json'), join(folder, 'running.json')) // never seen half written
}

function running(folder: string): Running | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'running.json'), 'utf8')) as Running
  } catch {
    return undefined
  }
}

function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
