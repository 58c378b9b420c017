/**
 * After a data key was replaced: what it sealed is sealed with the current one, then the old key is retired. Online; a renewal
 * that comes between wins, because it has a newer version.
 */
import type { Database } from '@audience-sync/db/database'
import { type DekStore, RETIRE_AFTER } from '@audience-sync/vault/dek-store'
import { casCredential, readCredential } from './credential-rows.ts'
import type { CredentialVault } from './credential-vault.ts'

const PER_ROUND = 100

interface Superseded {
  readonly tenant_id: string
  readonly dek_id: string
  readonly connection_id: string | null
}

/** Answers how many credentials were sealed anew. Called again, it goes on where it stopped. */
export async function reseal(db: Database, deks: DekStore, vault: CredentialVault): Promise<number> {
  const rows = await db.tx(async (tx) => {
    await tx.query(`SELECT set_config('app.rewrap', 'on', true), set_config('app.housekeeping', 'on', true)`)
    const found = await tx.query<Superseded>(
      `SELECT dek.tenant_id, dek.id AS dek_id, credential.connection_id FROM dek
         LEFT JOIN credential ON credential.tenant_id = dek.tenant_id AND dek.id IN (split_part(access_token, '.', 2), split_part(refresh_token, '.', 2))
        WHERE superseded_at < now() - $1::interval AND retire_at IS NULL LIMIT ${PER_ROUND}`,
      [RETIRE_AFTER],
    )
    return found.rows
  })
  let count = 0
  for (const { tenant_id: tenantId, dek_id: dekId, connection_id: connectionId } of rows) {
    if (connectionId === null) {
      await deks.retire(tenantId, dekId)
      continue
    }
    const seal = await vault.sealer(tenantId)
    const done = await db.tenant(tenantId, async (tx) => {
      const state = await readCredential(tx, tenantId, connectionId)
      return state !== undefined && casCredential(tx, state.row, seal(connectionId, await vault.open(tx, state.row)))
    })
    if (done) count += 1
  }
  return count
}
