/** Rows for customers of whom nothing is known yet, so that every writer has a row to lock (SYNC.md C6). */
import type { Tx } from '@audience-sync/db/database'
import { permission } from '@audience-sync/destination-kit/consent'
import { NO_CONSENT } from '../people/consent.ts'
import type { Tenant } from '../tenants.ts'

/** What is kept of an erased person: enough to know them again, not enough to say who they are. */
export const subjectOf = (tenant: Tenant, customerId: string): Buffer => tenant.hmac(`subject\u001f${customerId}`)

/**
 * Adds what is missing of these customers, in key order, and answers those who were erased and must not come back.
 *
 * The erasures are read after the insert: one that was committed before it is seen here, and one that comes later finds
 * the row and waits for us.
 */
export async function addStubs(tx: Tx, tenant: Tenant, customerIds: readonly string[]): Promise<Set<string>> {
  const { rows: added } = await tx.query<{ customer_id: string }>(
    `INSERT INTO customer (tenant_no, customer_id, purposes) SELECT $1, id, $2 FROM unnest($3::text[]) AS id ORDER BY id
     ON CONFLICT (tenant_no, customer_id) DO NOTHING RETURNING customer_id`,
    [tenant.no, permission(NO_CONSENT, undefined, tenant.defaultCountry).purposes, customerIds],
  )
  const { rows } = await tx.query<{ any: boolean }>('SELECT EXISTS (SELECT FROM erasure WHERE tenant_no = $1) AS any', [tenant.no])
  if (!rows[0]?.any) return new Set()
  const bySubject = new Map(added.map(({ customer_id }) => [subjectOf(tenant, customer_id).toString('hex'), customer_id]))
  const { rows: erased } = await tx.query<{ subject: Buffer }>('SELECT subject FROM erasure WHERE tenant_no = $1 AND subject = ANY($2)', [
    tenant.no,
    [...bySubject.keys()].map((hex) => Buffer.from(hex, 'hex')),
  ])
  const ids = new Set(erased.flatMap(({ subject }) => bySubject.get(subject.toString('hex')) ?? []))
  if (ids.size > 0) await tx.query('DELETE FROM customer WHERE tenant_no = $1 AND customer_id = ANY($2)', [tenant.no, [...ids]])
  return ids
}
