/**
 * Erasure (RELIABILITY.md §4.7): suppressed and purged here in one transaction. What stays is the customer's number, without
 * anything that says who it was, because removals at the destinations go by it, and keyed hashes: of the id, so that the next
 * delivery does not bring the person back, and of identifiers, so that they are withheld of others who carry them (SYNC.md C2). What proves it at the destinations is audiences': an erasure of somebody who may have
 * been sent is `pending_destination` until audiences says that it is proven (`erasures.ts`).
 */
import { newUuid } from '@audience-sync/contracts/ids'
import type { Tx } from '@audience-sync/db/database'
import { announceBehaviors, suppress } from '../announce.ts'
import { ERASURE_COLUMNS, type ErasureRow } from '../erasures.ts'
import type { Tenant } from '../tenants.ts'
import { lockCustomers, storeCustomers } from './customer-rows.ts'
import { stateOf } from './customers.ts'
import { ALL_PURPOSES, shareOut, withSharers } from './sharing.ts'
import { addStubs, subjectOf } from './stubs.ts'

/** Harmless twice: the second answers the first's erasure. */
export async function eraseCustomer(tx: Tx, tenant: Tenant, customerId: string, now: Date): Promise<ErasureRow> {
  const subject = subjectOf(tenant, customerId)
  const { row, ...plan } = await withSharers(tx, tenant, true, async (sharers) => {
    await addStubs(tx, tenant, [customerId])
    const rows = await lockCustomers(tx, tenant, [customerId, ...sharers])
    const others = rows.filter(({ customer_id }) => customer_id !== customerId).map((other) => stateOf(tenant, other))
    const row = rows.find(({ customer_id }) => customer_id === customerId)
    const before = row && stateOf(tenant, row)
    return { row, changes: before ? [{ before, after: { ...before, purposes: 0 } }] : [], others }
  })
  if (!row) return findErasure(tx, tenant, subject)
  const { rows: left } = await tx.query<{ behavior_no: number; member: boolean }>(
    'DELETE FROM membership WHERE customer_no = $1 RETURNING behavior_no, member',
    [row.no],
  )
  const known = left.length > 0 || row.occurred_ms !== null || row.consent_ms !== null
  if (known) {
    await tx.query('INSERT INTO change_log (behavior_no, tenant_no, customer_no) SELECT behavior_no, $1, $2 FROM unnest($3::int[]) AS behavior_no', [
      tenant.no,
      row.no,
      left.map(({ behavior_no }) => behavior_no),
    ])
    const sharers = (await shareOut(tx, tenant, plan)).filter(({ no }) => no !== row.no)
    const changes = new Map(left.map(({ behavior_no }) => [behavior_no, 1]))
    for (const [behaviorNo, count] of await storeCustomers(tx, tenant, sharers)) changes.set(behaviorNo, (changes.get(behaviorNo) ?? 0) + count)
    await tx.query(
      `UPDATE customer SET customer_id = NULL, erased_at = $2, occurred_at = NULL, consent_at = NULL, value = NULL, purposes = 0, groups = 0, present = 0,
         ad_user_data = 0, ad_personalization = 0, crm = 0, sale_share_opt_out = false, country = NULL, fingerprints = '', unusable = NULL, identifiers = NULL, tags = '', withheld = ''
       WHERE no = $1`,
      [row.no, now],
    )
    await suppress(tx, tenant, [{ customerNo: row.no, purposes: ALL_PURPOSES, reason: 'erased' }])
    await announceBehaviors(tx, tenant, changes)
  } else await tx.query('DELETE FROM customer WHERE no = $1', [row.no]) // the stub was ours: nobody can have been sent
  const { rows } = await tx.query<ErasureRow>(
    `INSERT INTO erasure (id, tenant_no, subject, customer_no, status, requested_at, completed_at, purged) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ${ERASURE_COLUMNS}`,
    [
      newUuid(),
      tenant.no,
      subject,
      known ? row.no : null,
      known ? 'pending_destination' : 'completed',
      now,
      known ? null : now,
      { customers: known ? 1 : 0, memberships: left.length },
    ],
  )
  return rows[0] as ErasureRow
}

async function findErasure(tx: Tx, tenant: Tenant, subject: Buffer): Promise<ErasureRow> {
  const { rows } = await tx.query<ErasureRow>(`SELECT ${ERASURE_COLUMNS} FROM erasure WHERE tenant_no = $1 AND subject = $2`, [tenant.no, subject])
  if (!rows[0]) throw new Error('A customer could neither be locked nor was erased.')
  return rows[0]
}
