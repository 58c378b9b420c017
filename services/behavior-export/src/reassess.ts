/**
 * After a tenant's default country changed: national phone numbers become usable or not, and silence becomes consent or not.
 * Every customer is looked at again, a page a transaction; the tenant's row remembers how far that went.
 */
import { groupBit } from '@audience-sync/contracts/people'
import type { Database, Tx } from '@audience-sync/db/database'
import { permission } from '@audience-sync/destination-kit/consent'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { announceBehaviors, type Loss, suppress } from './announce.ts'
import { type CustomerState, lockCustomersAfter, type PageRow, storeCustomers } from './ingest/customer-rows.ts'
import { stateOf } from './ingest/customers.ts'
import { type Change, shareOut, withSharers } from './ingest/sharing.ts'
import { assess } from './people/assess.ts'
import { openIdentifiers } from './people/identifiers.ts'
import { findTenant, holdCountry, type Tenant } from './tenants.ts'

const PAGE = 2_000 // decrypting and judging them takes a tenth of a second

/** One page of each tenant that needs it. True: more is waiting. */
export async function reassess(db: Database, vault: DekStore): Promise<boolean> {
  const { rows } = await db.tx((tx) => tx.query<{ id: string }>('SELECT id FROM tenant WHERE reassess_after IS NOT NULL'))
  for (const { id } of rows) await reassessPage(db, vault, id)
  return rows.length > 0
}

const reassessPage = (db: Database, vault: DekStore, tenantId: string) =>
  db.tenant(tenantId, async (tx) => {
    await holdCountry(tx, tenantId)
    const { rows: due } = await tx.query<{ reassess_after: number }>(
      'SELECT reassess_after FROM tenant WHERE id = $1 AND reassess_after IS NOT NULL FOR UPDATE',
      [tenantId],
    )
    const tenant = await findTenant(tx, vault, tenantId)
    if (!tenant || !due[0]) return
    const after = due[0].reassess_after
    const { rows, losses, ...plan } = await withSharers(tx, tenant, true, async (sharers) => {
      const rows = await lockCustomersAfter(tx, tenant, after, PAGE, sharers)
      return { rows, ...(await judged(tx, vault, tenant, rows)) }
    })
    await announceBehaviors(tx, tenant, await storeCustomers(tx, tenant, await shareOut(tx, tenant, plan)))
    await suppress(tx, tenant, losses)
    const last = rows.reduce((highest, { no, paged }) => (paged ? Math.max(highest, no) : highest), 0)
    await tx.query('UPDATE tenant SET reassess_after = $2 WHERE id = $1', [tenantId, last || null])
  })

async function judged(tx: Tx, vault: DekStore, tenant: Tenant, rows: readonly PageRow[]) {
  const changes: Change[] = []
  const others: CustomerState[] = []
  const losses: Loss[] = []
  for (const row of rows) {
    const before = stateOf(tenant, row)
    const given = permission(before.consent, row.country ?? undefined, tenant.defaultCountry)
    const identifiers = row.identifiers && row.paged ? await openIdentifiers(vault, tx, tenant.id, row.no, row.identifiers) : undefined
    const seen = identifiers ? assess(tenant, identifiers, row.value ?? undefined, before.consent) : { purposes: given.purposes }
    const after = { ...before, ...seen, feedChanged: true }
    if (!row.paged || (after.purposes === before.purposes && after.groups === before.groups && after.tags.join() === before.tags.join())) {
      others.push(before)
      continue
    }
    changes.push({ before, after })
    const lost = before.purposes & ~after.purposes
    if (lost && before.groups & ~groupBit('consent')) losses.push({ customerNo: row.no, purposes: lost, reason: given.adsReason ?? 'consent_denied' })
  }
  return { changes, others, losses }
}
