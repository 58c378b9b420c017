/** Who was refused, with the attempts of earlier runs carried on while the person's data stay the same. */

import type { Tx } from '@audience-sync/db/database'
import type { PlatformAnswer } from '@audience-sync/errors/app-error'
import type { LedgerScope } from './ledger.ts'

export interface Rejected {
  readonly customerNo: number
  readonly code: string
  readonly platform?: PlatformAnswer | undefined
  /** An addition of somebody whom the platform had never taken. */
  readonly newcomer?: boolean
}

export async function reject(tx: Tx, scope: LedgerScope, runNo: number, batchNo: number, operation: string, people: readonly Rejected[]): Promise<void> {
  await tx.query(
    `INSERT INTO rejection (run_no, audience_no, tenant_no, destination_no, operation, batch_no, customer_no, code, platform, fingerprint, attempts, first_at, never_taken)
     SELECT $1::bigint, $2::int, $3::int, $4::smallint, $5::text, $6::bigint, u.customer_no, u.code, u.platform, l.fingerprint,
       1 + coalesce(b.attempts, 0), coalesce(b.first_at, now()), u.newcomer AND EXISTS (SELECT FROM batch WHERE no = $6 AND attempts <= 1)
     FROM unnest($7::bigint[], $8::text[], $9::jsonb[], $11::boolean[]) AS u(customer_no, code, platform, newcomer)
     LEFT JOIN ledger l ON l.audience_no = $2 AND l.customer_no = u.customer_no AND l.generation = $10
     LEFT JOIN LATERAL (SELECT attempts, first_at FROM rejection r WHERE r.audience_no = $2 AND r.customer_no = u.customer_no AND r.operation = $5
       AND r.run_no < $1 AND r.fingerprint IS NOT DISTINCT FROM l.fingerprint ORDER BY r.run_no DESC LIMIT 1) AS b ON true
     ON CONFLICT (run_no, customer_no, operation) DO UPDATE SET code = excluded.code, platform = excluded.platform, batch_no = excluded.batch_no, never_taken = excluded.never_taken, last_at = now()`,
    [
      runNo,
      scope.audienceNo,
      scope.tenantNo,
      scope.destinationNo,
      operation,
      batchNo,
      people.map(({ customerNo }) => customerNo),
      people.map(({ code }) => code),
      people.map(({ platform }) => (platform ? JSON.stringify(platform) : null)),
      scope.generation,
      people.map(({ newcomer = false }) => newcomer),
    ],
  )
}

/** Says of those refused who was said for the first time. */
export function withNewcomers(people: readonly { readonly customerNo: number; readonly kind: string }[], refused: readonly Rejected[]): Rejected[] {
  const added = new Set(people.filter(({ kind }) => kind === 'added').map(({ customerNo }) => customerNo))
  return refused.map((one) => ({ ...one, newcomer: added.has(one.customerNo) }))
}

/**
 * Of these people those whose only additions were refused by name, sent once each: the platform surely does not have them. Whose outcome
 * was ever unknown is not among them.
 */
export async function neverTaken(tx: Tx, { audienceNo, generation }: LedgerScope, customers: readonly number[]): Promise<Set<number>> {
  if (customers.length === 0) return new Set()
  const { rows } = await tx.query<{ no: number }>(
    `SELECT l.customer_no AS no FROM ledger l
     WHERE l.audience_no = $1 AND l.generation = $2 AND l.customer_no = ANY($3) AND l.remove_batch IS NULL AND EXISTS (
       SELECT FROM rejection r WHERE r.audience_no = l.audience_no AND r.customer_no = l.customer_no AND r.batch_no = l.add_batch AND r.operation = 'add' AND r.never_taken)`,
    [audienceNo, generation, customers],
  )
  return new Set(rows.map(({ no }) => no))
}
