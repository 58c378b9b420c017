/**
 * Connections says whether we may speak for somebody. It keeps the only tokens there are, sealed, and publishes events but consumes none.
 *
 * Cast: `flow` takes a consent from the platform's page to an active connection · `accountSync` reads what it reaches · `grants` hands
 * tokens to connectors · `refresher` renews each credential once, whatever the number of callers · `checker` asks the platform
 * «can we do the job?» · `removal` fences, revokes, destroys · `notices` takes what platforms tell of people who took their access back · `housekeeping` does what is due without anybody asking.
 *
 * One connection's life: pending → the user consents → active, accounts selected → renewed again and again → expired, when the platform
 * takes the token no more, and active again after a reconnect → deleted: revoked at the platform, the credential destroyed.
 */
import { openDatabase } from '@audience-sync/db/database'
import type { ConnectAdapter } from '@audience-sync/destination-kit/connect-contract'
import { startIdempotencySweep } from '@audience-sync/service/idempotency'
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
import { createNotices } from './notices.ts'
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
  const publicUrl = config.PUBLIC_URL.replace(/\/$/, '')
  const redirectUri = (destination: string) => `${publicUrl}/v1/oauth/${destination}/callback`

  const accounts = createAccountSync({ db, vault, adapters })
  const refresher = createRefresher({ db: refreshDb, vault, adapters, log })
  const removal = createRemoval({ db, vault, adapters, log })
  const checker = createChecker({ db, vault, adapters, accounts, refresher })
  const housekeeping = createHousekeeping({ db, deks, vault, checker, refresher, removal, log })
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
      checker,
      flow: createFlow({ db, vault, adapters, accounts, authorizeUrl, redirectUri, maxConnections: config.MAX_CONNECTIONS, log }),
      grants: createGrants({ db, vault, adapters, refresher, accounts, log }),
      notices: createNotices({ db, adapters, log }),
      publicUrl,
      returnUrls: { allowed: config.RETURN_URLS ?? [], loopback: config.RETURN_TO_LOOPBACK },
    }),
  })
  const url = await app.listen({ host: config.HOST, port: config.PORT })
  const loop = startLoop({
    name: 'housekeeping',
    log,
    everyMs: HOUSEKEEPING_EVERY_MS,
    work: async () => {
      const { rewrapped } = await housekeeping()
      if (rewrapped > 0) log.info({ rewrapped }, 'data keys are wrapped with the current key-encryption key')
      return false
    },
  })
  const sweep = startIdempotencySweep(db, log)
  return {
    name: 'connections',
    url,
    housekeeping,
    async stop() {
      await app.close()
      await Promise.all([loop.stop(), sweep.stop()])
      await Promise.all([db.close(), refreshDb.close()])
    },
  }
}
