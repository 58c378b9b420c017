/**
 * Everything that survives a restart: the databases' files, the broker's log, the keys, the log of the last start. One start
 * at a time may use it.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { postgresFolder } from '@audience-sync/infra/postgres/server'
import { generateServiceKey } from '@audience-sync/service/tokens'

export const SERVICES = ['gateway', 'connections', 'behavior-export', 'audiences', 'scheduler', 'connector-meta'] as const
export type ServiceName = (typeof SERVICES)[number]
type Jwk = Awaited<ReturnType<typeof generateServiceKey>>['privateJwk']

/** Whoever loses these loses the data: the file stands in the data folder, readable by its owner only. */
export interface Keys {
  readonly adminKey: string
  readonly keks: { readonly connections: string; readonly behaviorExport: string; readonly sync: string }
  readonly deadLetterKey: string
  readonly metaAppSecret: string
  readonly servicePrivateJwks: Readonly<Record<ServiceName, Jwk>>
  readonly serviceJwks: { readonly keys: readonly Jwk[] }
  /** For a server that is not ours: its roles get passwords. */
  readonly rolePassword: string
}

export interface DataFolder {
  readonly path: string
  readonly keys: Keys
  readonly made: boolean
  release(): void
}

export class AlreadyRunning extends Error {}

export async function openDataFolder(path: string, fresh: boolean): Promise<DataFolder> {
  const folder = resolve(path)
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const lock = join(folder, 'start.lock')
  const holder = existsSync(lock) ? Number(readFileSync(lock, 'utf8')) : 0
  if (holder && isAlive(holder))
    throw new AlreadyRunning(`Another start (process ${holder}) is using ${path}. Stop it first, or name another folder in AUDIENCE_SYNC_DATA.`)
  if (fresh) {
    rmSync(postgresFolder(join(folder, 'postgres')), { recursive: true, force: true })
    for (const name of ['postgres', 'kafka', 'keys.json', 'logs']) rmSync(join(folder, name), { recursive: true, force: true })
  }
  writeFileSync(lock, String(process.pid))
  mkdirSync(join(folder, 'logs'), { recursive: true })
  const file = join(folder, 'keys.json')
  const made = !existsSync(file)
  if (made) writeFileSync(file, JSON.stringify(await makeKeys(), null, 2), { mode: 0o600 })
  return { path: folder, keys: JSON.parse(readFileSync(file, 'utf8')) as Keys, made, release: () => rmSync(lock, { force: true }) }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return pid !== process.pid
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const kek = () => `kek_dev:${randomBytes(32).toString('base64url')}`

async function makeKeys(): Promise<Keys> {
  const pairs = await Promise.all(SERVICES.map(async (name) => ({ name, ...(await generateServiceKey(name)) })))
  return {
    adminKey: `demo-${randomBytes(24).toString('base64url')}`,
    keks: { connections: kek(), behaviorExport: kek(), sync: kek() },
    deadLetterKey: randomBytes(32).toString('base64url'),
    metaAppSecret: randomBytes(16).toString('hex'),
    servicePrivateJwks: Object.fromEntries(pairs.map(({ name, privateJwk }) => [name, privateJwk])) as Record<ServiceName, Jwk>,
    serviceJwks: { keys: pairs.map(({ publicJwk }) => publicJwk) },
    rolePassword: randomBytes(18).toString('base64url'),
  }
}
