/**
 * Development keys for separate containers, as one env file per process (`node --env-file=<folder>/<name>.env`), so that each
 * is told its own secrets only. Made once: a folder that has them is left as it is, because whoever loses them loses the data.
 * Environment: `KEYS_DIR`; `ADMIN_API_KEY` (32 characters or more) takes the place of the one that is made.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Keys, makeKeys, type ServiceName } from './keys.ts'

export type EnvFileName = ServiceName | 'relay' | 'setup' | 'twin-meta'

const OWNER_ONLY = 0o600
/** Read by the database's image: the superuser's password, alone in its file. */
const POSTGRES_PASSWORD_FILE = 'postgres-password'
/** Written last: with it the folder is whole. */
const DONE = 'made'

/** PostgreSQL's client reads `PGPASSWORD`, so the connection strings can stand in public. */
function envFilesOf(keys: Keys, postgresPassword: string, adminKey: string): Record<EnvFileName, Record<string, string>> {
  const role = { PGPASSWORD: keys.rolePassword }
  const service = (name: ServiceName) => ({
    ...role,
    SERVICE_KEY: JSON.stringify(keys.servicePrivateJwks[name]),
    SERVICE_JWKS: JSON.stringify(keys.serviceJwks),
  })
  const consumer = (name: ServiceName) => ({ ...service(name), DEAD_LETTER_KEY: keys.deadLetterKey })
  const meta = { META_APP_SECRET: keys.metaAppSecret }
  return {
    setup: { PGPASSWORD: postgresPassword, ROLE_PASSWORD: keys.rolePassword },
    relay: role,
    gateway: { ...service('gateway'), ADMIN_API_KEY: adminKey },
    connections: { ...service('connections'), ...meta, CONNECTIONS_KEK: keys.keks.connections },
    'behavior-export': { ...consumer('behavior-export'), BEHAVIOR_EXPORT_KEK: keys.keks.behaviorExport },
    audiences: consumer('audiences'),
    scheduler: consumer('scheduler'),
    webhooks: { ...consumer('webhooks'), WEBHOOKS_KEK: keys.keks.webhooks },
    'connector-meta': { ...consumer('connector-meta'), SYNC_KEK: keys.keks.sync },
    'twin-meta': meta,
  }
}

/** Writes what is missing; answers whether the keys were made now. */
export async function writeKeys(folder: string, adminKey?: string): Promise<boolean> {
  if (existsSync(join(folder, DONE))) return false
  mkdirSync(folder, { recursive: true })
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: OWNER_ONLY })
  const keys = await makeKeys()
  const postgresPassword = (await makeKeys()).rolePassword
  write(POSTGRES_PASSWORD_FILE, postgresPassword)
  for (const [name, env] of Object.entries(envFilesOf(keys, postgresPassword, adminKey || keys.adminKey)))
    write(
      `${name}.env`,
      `${Object.entries(env)
        .map(([variable, value]) => `${variable}='${value}'\n`)
        .join('')}`,
    )
  write(DONE, '')
  return true
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { KEYS_DIR, ADMIN_API_KEY } = process.env
  if (!KEYS_DIR) throw new Error('KEYS_DIR is not set: the folder for the keys.')
  console.log((await writeKeys(KEYS_DIR, ADMIN_API_KEY)) ? 'keys: made' : 'keys: there already')
}
