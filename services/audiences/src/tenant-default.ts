/** The country by which a tenant's national phone numbers are read; null: none was said. */
import type { Tx } from '@audience-sync/db/database'

/** A row of the tenant's may not be there yet, so it is not that which is locked. */
const KEY = `hashtextextended('default country ' || $1, 0)`

/** Before an audience is made with it: whoever changes it waits, and then finds the audience. */
export const holdDefaultCountry = (tx: Tx, tenantId: string): Promise<unknown> => tx.query(`SELECT pg_advisory_xact_lock_shared(${KEY})`, [tenantId])

/** Before it is changed, in all audiences at once. */
export const claimDefaultCountry = (tx: Tx, tenantId: string): Promise<unknown> => tx.query(`SELECT pg_advisory_xact_lock(${KEY})`, [tenantId])

export async function defaultCountryOf(tx: Tx, tenantId: string): Promise<string | null> {
  const { rows } = await tx.query<{ default_country: string | null }>('SELECT default_country FROM tenant_default WHERE tenant_id = $1', [tenantId])
  return rows[0]?.default_country ?? null
}
