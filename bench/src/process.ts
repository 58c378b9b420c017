/** A service as a process of its own: started, waited for until it is ready, asked for its memory, stopped. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '@audience-sync/infra/postgres/server'
import { createServiceTokens, generateServiceKey, type ServiceTokens } from '@audience-sync/service/tokens'

const READY_MS = 60_000
const STOP_MS = 40_000 // longer than a service's own deadline
const POLL_MS = 50

export interface Process {
  readonly url: string
  /** Highest resident memory since `forgetPeak`, or the start, in MB, as the kernel counts it; NaN where there is no /proc. */
  peakMb(): number
  /** From now on: what starting up took is another question than what the work takes. */
  forgetPeak(): void
  /** Processor time so far, in seconds: hardly moved by whatever else the machine does. */
  cpuSeconds(): number
  stop(): Promise<void>
}

export interface ProcessOptions {
  /** A path that answers 200 when it can work. */
  readonly ready?: string
  readonly nodeOptions?: readonly string[]
  /** As in production: what `compile` made, with tracing, started as its image starts it (`Dockerfile`). */
  readonly compiled?: boolean
  /** Memory limit of its container (`k8s/`), in MB: Node gives its heap half of that, and collects accordingly. */
  readonly limitMb?: number
}

const AS_IN_ITS_IMAGE = ['--enable-source-maps', '--max-semi-space-size=8', '--import', '@audience-sync/service/register']

/** `module`: the entry file as packages name it. */
export async function startProcess(
  module: string,
  env: Readonly<Record<string, string>>,
  { ready = '/readyz', nodeOptions = [], compiled = false, limitMb }: ProcessOptions = {},
): Promise<Process> {
  const port = await freePort()
  const source = fileURLToPath(import.meta.resolve(module))
  const file = compiled ? source.replace('/src/', '/dist/').replace(/\.ts$/, '.js') : source
  const execArgv = compiled ? AS_IN_ITS_IMAGE : process.execArgv
  const heap = limitMb === undefined ? [] : [`--max-old-space-size=${limitMb / 2}`]
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [...execArgv, ...heap, ...nodeOptions, file], {
    cwd: dirname(dirname(source)),
    env: { PATH, HOME, LOG_LEVEL: 'error', PORT: String(port), ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  const url = `http://127.0.0.1:${port}`
  await until(`${module} to be ready`, READY_MS, async () => {
    if (child.exitCode !== null) throw new Error(`${module} ended with code ${child.exitCode}.`)
    return fetch(`${url}${ready}`).then(
      (answer) => answer.ok,
      () => false,
    )
  })
  return {
    url,
    peakMb: () => Number(/VmHWM:\s+(\d+) kB/.exec(proc(child.pid, 'status'))?.[1]) / 1024,
    forgetPeak() {
      if (process.platform === 'linux') writeFileSync(`/proc/${child.pid}/clear_refs`, '5')
    },
    cpuSeconds() {
      const [user = Number.NaN, system = Number.NaN] = proc(child.pid, 'stat').split(') ')[1]?.split(' ').slice(11, 13).map(Number) ?? []
      return (user + system) / TICKS
    },
    async stop() {
      await stopChild(child)
      process.removeListener('exit', kill)
    },
  }
}

const TICKS = 100 // a second, on every Linux that Node runs on

function proc(pid: number | undefined, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await gone
  clearTimeout(timer)
}

/** Looks again and again until `look` answers something. */
export async function until<T>(what: string, withinMs: number, look: () => Promise<T | false | undefined>): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== false && found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`Waited ${withinMs} ms for ${what}.`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

const SERVICES = ['behavior-export', 'connections', 'connector-meta'] as const
export type Service = (typeof SERVICES)[number]

export interface Trust {
  /** What a service's process needs to be believed, and to believe. */
  env(service: Service): Record<string, string>
  /** For a service that is played by this process. */
  tokens(service: Service): ServiceTokens
}

export async function makeTrust(): Promise<Trust> {
  const keys = new Map(await Promise.all(SERVICES.map(async (name) => [name, await generateServiceKey(name)] as const)))
  const jwks = { keys: [...keys.values()].map(({ publicJwk }) => publicJwk) }
  const keyOf = (service: Service) => {
    const key = keys.get(service)
    if (!key) throw new Error(`No key of ${service}.`)
    return key.privateJwk
  }
  const deadLetterKey = randomBytes(32).toString('base64url')
  return {
    env: (service) => ({ BUS: 'embedded', SERVICE_KEY: JSON.stringify(keyOf(service)), SERVICE_JWKS: JSON.stringify(jwks), DEAD_LETTER_KEY: deadLetterKey }),
    tokens: (service) => createServiceTokens({ name: service, privateJwk: keyOf(service), jwks }),
  }
}

export const startBehaviorExport = (trust: Trust, databaseUrl: string, kek: string, options?: ProcessOptions): Promise<Process> =>
  startProcess('@audience-sync/behavior-export/main', { ...trust.env('behavior-export'), DATABASE_URL: databaseUrl, BEHAVIOR_EXPORT_KEK: kek }, options)

/** Builds services and whatever they need, as their images do. */
export function compile(...folders: readonly string[]): void {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-b', ...folders], { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`The services do not compile:\n${stdout}`)
}
