/** Who was removed for privacy by which calls: the memory that outlives the ledger's. */
import type { Tx } from '@audience-sync/db/database'
import type { CallFor } from '../pure/everywhere.ts'
import type { LedgerScope } from './ledger.ts'

export async function recordPrivacyRemovals(tx: Tx, scope: LedgerScope, batchNo: number, customers: readonly number[]): Promise<void> {
  await tx.query(
    `INSERT INTO privacy_removal (batch_no, audience_no, tenant_no, destination_no, customer_no)
     SELECT $1::bigint, $2::int, $3::int, $4::smallint, no FROM unnest($5::bigint[]) AS c(no) ORDER BY no ON CONFLICT DO NOTHING`,
    [batchNo, scope.audienceNo, scope.tenantNo, scope.destinationNo, customers],
  )
}

/** A removal that is said again proves it, too. */
export async function recordRepeatedRemovals(tx: Tx, scope: LedgerScope, batchNo: number, customers: readonly number[]): Promise<void> {
  await tx.query(
    `INSERT INTO privacy_removal (batch_no, audience_no, tenant_no, destination_no, customer_no)
     SELECT DISTINCT $1::bigint, audience_no, tenant_no, destination_no, customer_no FROM privacy_removal
     WHERE audience_no = $2 AND customer_no = ANY($3) ON CONFLICT DO NOTHING`,
    [batchNo, scope.audienceNo, customers],
  )
}

/** A part of a call that was split is a call of its own, and proves what the whole would have. */
export async function copyPrivacyRemovals(tx: Tx, wholeNo: number, partNo: number, customers: readonly number[]): Promise<void> {
  await tx.query(
    `INSERT INTO privacy_removal (batch_no, customer_no, audience_no, tenant_no, destination_no, held_digest)
     SELECT $2::bigint, customer_no, audience_no, tenant_no, destination_no, held_digest FROM privacy_removal WHERE batch_no = $1 AND customer_no = ANY($3)`,
    [wholeNo, partNo, customers],
  )
}

/** A person of another audience whom an account-wide call takes along, as the ledger had them when it was made. */
export interface TakenAlong {
  readonly audienceNo: number
  readonly customerNo: number
  readonly heldDigest: Buffer
}

export async function recordTakenAlong(tx: Tx, { tenantNo, destinationNo }: LedgerScope, batchNo: number, people: readonly TakenAlong[]): Promise<void> {
  await tx.query(
    `INSERT INTO privacy_removal (batch_no, tenant_no, destination_no, audience_no, customer_no, held_digest)
     SELECT $1::bigint, $2::int, $3::smallint, u.* FROM unnest($4::int[], $5::bigint[], $6::bytea[]) AS u(audience_no, customer_no, held_digest) ORDER BY 4, 5`,
    [
      batchNo,
      tenantNo,
      destinationNo,
      people.map(({ audienceNo }) => audienceNo),
      people.map(({ customerNo }) => customerNo),
      people.map(({ heldDigest }) => heldDigest),
    ],
  )
}

/** Another audience's accepted calls that took these people along, newest first. */
export async function callsFor(tx: Tx, audienceNo: number, customers: readonly number[]): Promise<CallFor[]> {
  const { rows } = await tx.query<CallFor>(
    `SELECT p.customer_no AS "customerNo", p.batch_no AS "batchNo", p.held_digest AS "heldDigest"
     FROM privacy_removal p JOIN batch b ON b.no = p.batch_no
     WHERE p.customer_no = ANY($2) AND p.audience_no = $1 AND p.held_digest IS NOT NULL AND b.state IN ('accepted', 'applied') AND b.unnamed_rejections = 0
       AND NOT EXISTS (SELECT FROM rejection r WHERE r.batch_no = b.no AND r.customer_no = p.customer_no)
     ORDER BY p.batch_no DESC`,
    [audienceNo, customers],
  )
  return rows
}
