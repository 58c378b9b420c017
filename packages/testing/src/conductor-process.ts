/**
 * One service as a real process: spawned with its environment, its output in a file, ready when its probe says so. Killed on
 * purpose it is gone until somebody starts it again; gone by itself it is a crash, and the conductor's user is told.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { until } from './until.ts'

const READY_MS = 150_000 // a consumer that is killed twice in a row leaves the broker waiting for both sessions, 30 s each, and for a leader that is dead
const STOP_MS = 35_000 // a service ends itself after 30 s and says so by its exit code; then it is killed

export interface ProcessPlan {
  readonly name: string
  readonly cwd: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Answers 200 when the service can work. */
  readonly probe: string
  readonly logFile: string
}

export interface ServiceProcess {
  readonly name: string
  readonly pid: number | undefined
  /** Started; `ready` waits for the probe. `env` is added for this life only. */
  start(env?: Readonly<Record<string, string>>): void
  ready(): Promise<void>
  /** Resolves when the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Asks it to stop; answers its exit code, or null when it had to be killed. */
  stop(): Promise<number | null>
  logs(): string
  /** Ends that nobody asked for. */
  readonly crashes: readonly string[]
}

export function serviceProcess(plan: ProcessPlan, onPids: () => void): ServiceProcess {
  let child: ChildProcess | undefined
  let asked = false
  const crashes: string[] = []
  const gone = () => child === undefined || child.exitCode !== null || child.signalCode !== null
  const logs = () => {
    try {
      return readFileSync(plan.logFile, 'utf8')
    } catch {
      return ''
    }
  }

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const dying = child
    if (!dying || gone()) return
    asked = true
    const exit = new Promise<void>((resolve) => dying.once('exit', () => resolve()))
    dying.kill(signal)
    await exit
  }

  return {
    name: plan.name,
    get pid() {
      return gone() ? undefined : child?.pid
    },
    crashes,
    logs,
    start(env = {}) {
      if (!gone()) throw new Error(`${plan.name} runs already.`)
      asked = false
      const output = openSync(plan.logFile, 'a')
      const started = spawn(process.execPath, [...plan.args], { cwd: plan.cwd, env: { ...plan.env, ...env }, stdio: ['ignore', output, output] })
      closeSync(output)
      started.once('exit', (code, signal) => {
        if (!asked) crashes.push(`${plan.name} ended by itself: ${signal ?? `code ${code}`}`)
        onPids()
      })
      child = started
      onPids()
    },
    async ready() {
      let answer = 'no answer'
      const check = async () => {
        if (gone()) return true
        const response = await fetch(plan.probe, { signal: AbortSignal.timeout(3_000) }).catch(() => undefined)
        if (response) answer = `${response.status} ${await response.text()}`
        return response?.status === 200
      }
      await until(`${plan.name} to be ready`, check, { timeoutMs: READY_MS, everyMs: 50 }).catch((cause: Error) => {
        throw new Error(`${plan.name} did not become ready: ${answer}\n${logs().slice(-3_000)}`, { cause })
      })
      if (gone()) throw new Error(`${plan.name} ended before it was ready:\n${logs().slice(-3_000)}`)
    },
    kill: (signal = 'SIGKILL') => end(signal),
    async stop() {
      const dying = child
      if (!dying || gone()) return 0
      const timer = setTimeout(() => dying.kill('SIGKILL'), STOP_MS)
      await end('SIGTERM')
      clearTimeout(timer)
      return dying.exitCode
    },
  }
}
