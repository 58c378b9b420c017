/** The country by which a tenant's national phone numbers are read; null: none was said. */
import type { Tx } from '@audience-sync/db/database'

export async function defaultCountryOf(tx: Tx, tenantId: string): Promise<string | null> {
  const { rows } = await tx.query<{ default_country: string | null }>('SELECT default_country FROM tenant_default WHERE tenant_id = $1', [tenantId])
  return rows[0]?.default_country ?? null
}
