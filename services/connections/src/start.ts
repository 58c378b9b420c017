/** Makes the service: keys, pools, adapters, routes, housekeeping. It publishes events and consumes none. */
import { openDatabase } from '@audience-sync/db/database'
import type { ConnectAdapter } from '@audience-sync/destination-kit/connect-contract'
import type { Logger } from '@audience-sync/service/log'
import { startLoop } from '@audience-sync/service/loop'
import type { Running } from '@audience-sync/service/run'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import { createDekStore } from '@audience-sync/vault/dek-store'
import { parseKeks } from '@audience-sync/vault/keks'
import { createAccountSync } from './account-sync.ts'
import { destinationAdapters } from './adapters.ts'
import { buildConnectionsApp } from './app.ts'
import { createChecker } from './check.ts'
import type { Config } from './config.ts'
import { createCredentialVault } from './credential-vault.ts'
import { createFlow } from './flow.ts'
import { createGrants } from './grants.ts'
import { createHousekeeping, HOUSEKEEPING_EVERY_MS, type Round } from './housekeeping.ts'
import { createRefresher } from './refresher.ts'
import { createRemoval } from './removal.ts'

export interface Parts {
  readonly log: Logger
  readonly tokens: ServiceTokens
  /** By destination id; those of the configuration unless given. */
  readonly adapters?: ReadonlyMap<string, ConnectAdapter>
}

// Renewals hold a connection while a platform answers: they have a pool of their own, so that requests never wait for them.
const REFRESH_POOL = 4

export interface RunningConnections extends Running {
  readonly url: string
  /** Also runs by itself, once a minute. */
  readonly housekeeping: () => Promise<Round>
}

export async function start(config: Config, { log, tokens, adapters = destinationAdapters(config, log) }: Parts): Promise<RunningConnections> {
  const keks = parseKeks(config.CONNECTIONS_KEK) // first: without a key nothing else is worth starting
  const db = openDatabase({ url: config.DATABASE_URL, name: 'connections' })
  const refreshDb = openDatabase({ url: config.DATABASE_URL, name: 'connections refresher', max: REFRESH_POOL })
  const deks = createDekStore({ db, keks })
  const vault = createCredentialVault(deks)
  const redirectUri = (destination: string) => `${config.PUBLIC_URL.replace(/\/$/, '')}/v1/oauth/${destination}/callback`

  const accounts = createAccountSync({ db, vault, adapters })
  const refresher = createRefresher({ db: refreshDb, vault, adapters, log })
  const removal = createRemoval({ db, vault, adapters, log })
  const housekeeping = createHousekeeping({ db, deks, vault, refresher, removal, log })
  const app = await buildConnectionsApp({
    log,
    tokens,
    adapters,
    redirectUri,
    ready: [async () => ({ ok: (await db.pool.query('SELECT 1')).rowCount === 1, detail: 'database' })],
    context: (authorizeUrl) => ({
      db,
      accounts,
      removal,
      checker: createChecker({ db, vault, adapters, accounts, refresher }),
      flow: createFlow({ db, vault, adapters, accounts, authorizeUrl, redirectUri, maxConnections: config.MAX_CONNECTIONS, log }),
      grants: createGrants({ db, vault, adapters, refresher, accounts, log }),
      returnUrls: { allowed: config.RETURN_URLS ?? [], loopback: config.RETURN_TO_LOOPBACK },
    }),
  })
  const url = await app.listen({ host: config.HOST, port: config.PORT })
  const loop = startLoop({
    name: 'housekeeping',
    log,
    everyMs: HOUSEKEEPING_EVERY_MS,
    work: async () => {
      await housekeeping()
      return false
    },
  })
  // A new key-encryption key takes over while we work; the old one may go when this has logged that all is done.
  const rewrapping = deks.rewrapAll().then(
    (count) => log.info({ count }, 'all data keys are wrapped with the current key-encryption key'),
    (error: Error) => log.error({ err: error }, 'not all data keys could be wrapped anew'),
  )
  return {
    name: 'connections',
    url,
    housekeeping,
    async stop() {
      await app.close()
      await Promise.all([loop.stop(), rewrapping])
      await Promise.all([db.close(), refreshDb.close()])
    },
  }
}
