/**
 * Everything that survives a restart: the databases' files, the broker's log, the keys, the log of the last start. One start
 * at a time may use it.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { completed, type Keys, makeKeys } from '@audience-sync/infra/keys'
import { postgresFolder } from '@audience-sync/infra/postgres/server'

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
  const keys = made ? await makeKeys() : await completed(JSON.parse(readFileSync(file, 'utf8')) as Keys)
  const text = JSON.stringify(keys, null, 2)
  if (made || text !== readFileSync(file, 'utf8')) {
    // Readable by its owner only, and never half written.
    writeFileSync(`${file}.new`, text, { mode: 0o600 })
    renameSync(`${file}.new`, file)
  }
  return { path: folder, keys, made, release: () => rmSync(lock, { force: true }) }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return pid !== process.pid
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
