/** After a data key was replaced: what it sealed is sealed with the current one, then the old key is retired. Online, in small steps. */
import type { Database } from '@audience-sync/db/database'
import { type DekStore, RETIRE_AFTER } from '@audience-sync/vault/dek-store'
import { lockEndpoint } from './endpoints.ts'
import type { Secrets } from './secrets.ts'

const PER_ROUND = 100

interface Superseded {
  readonly tenantId: string
  readonly dekId: string
  readonly endpointId: string | null
}

/** Answers how many endpoints' secrets were sealed anew. Called again, it goes on where it stopped. */
export async function reseal(db: Database, deks: DekStore, secrets: Secrets): Promise<number> {
  const rows = await db.tx(async (tx) => {
    await tx.query(`SELECT set_config('app.rewrap', 'on', true)`)
    const found = await tx.query<Superseded>(
      `SELECT dek.tenant_id AS "tenantId", dek.id AS "dekId", endpoint.id AS "endpointId" FROM dek
         LEFT JOIN endpoint ON endpoint.tenant_id = dek.tenant_id AND dek.id IN (split_part(secret, '.', 2), split_part(old_secret, '.', 2))
        WHERE superseded_at < now() - $1::interval AND retire_at IS NULL LIMIT ${PER_ROUND}`,
      [RETIRE_AFTER],
    )
    return found.rows
  })
  let count = 0
  for (const { tenantId, dekId, endpointId } of rows) {
    if (endpointId === null) {
      await deks.retire(tenantId, dekId)
      continue
    }
    const seal = await secrets.sealer(tenantId)
    await db.tenant(tenantId, async (tx) => {
      const { secret, oldSecret } = await lockEndpoint(tx, endpointId)
      const again = async (sealed: string) => seal(endpointId, await secrets.open(tx, tenantId, endpointId, sealed))
      await tx.query('UPDATE endpoint SET secret = $2, old_secret = $3 WHERE id = $1', [endpointId, await again(secret), oldSecret && (await again(oldSecret))])
    })
    count += 1
  }
  return count
}
