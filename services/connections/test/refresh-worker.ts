/** One process of many: on `go` it asks for a grant fifty times at once and answers with what it got. */
import { openDatabase } from '@audience-sync/db/database'
import { createLogger } from '@audience-sync/service/log'
import { PATIENT_MS } from '@audience-sync/testing/database'
import { createDekStore } from '@audience-sync/vault/dek-store'
import { parseKeks } from '@audience-sync/vault/keks'
import { createAccountSync } from '../src/account-sync.ts'
import { createCredentialVault } from '../src/credential-vault.ts'
import { createGrants } from '../src/grants.ts'
import { createRefresher } from '../src/refresher.ts'
import { strictAdapter } from './oauth-adapter.ts'

export interface Work {
  readonly databaseUrl: string
  readonly kek: string
  readonly farUrl: string
  readonly tenantId: string
  /** UUID. */
  readonly accountId: string
  readonly callers: number
}

const { databaseUrl, kek, farUrl, tenantId, accountId, callers } = JSON.parse(process.argv[2] ?? '') as Work
const db = openDatabase({ url: databaseUrl, name: 'refresh worker', connectTimeoutMs: PATIENT_MS })
const refreshDb = openDatabase({ url: databaseUrl, name: 'refresh worker, refresher', max: 2, connectTimeoutMs: PATIENT_MS })
const adapters = new Map([['strict', strictAdapter(farUrl)]])
const log = createLogger({ name: 'worker', level: 'silent' })
const vault = createCredentialVault(createDekStore({ db, keks: parseKeks(kek) }))
const refresher = createRefresher({ db: refreshDb, vault, adapters, log })
const grants = createGrants({ db, vault, adapters, refresher, accounts: createAccountSync({ db, vault, adapters }), log })

process.on('message', (message) => {
  if (message !== 'go') return
  const asked = Array.from({ length: callers }, () =>
    grants.grant(tenantId, accountId).then(
      ({ accessToken, version }) => `${version}:${accessToken}`,
      (error: Error) => `failed: ${error.message}`,
    ),
  )
  void Promise.all(asked).then((answers) => process.send?.(answers))
})
process.send?.('ready')
