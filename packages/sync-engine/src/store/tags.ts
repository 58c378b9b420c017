/** Who holds which identifier, as tags (SYNC.md C2). */
import type { Tx } from '@audience-sync/db/database'
import type { LedgerScope } from './ledger.ts'

export interface Tagged {
  readonly customerNo: number
  readonly tags: readonly number[]
}

/** Tags are only added here: a stale one, of an identifier that a person no longer has, is passed over by whoever reads. */
export async function recordTags(tx: Tx, scope: LedgerScope, people: readonly Tagged[]): Promise<void> {
  const pairs = people.flatMap(({ customerNo, tags }) => tags.map((tag) => [tag, customerNo] as const))
  await tx.query(
    `INSERT INTO ledger_tag (audience_no, tenant_no, destination_no, tag, customer_no)
     SELECT $1::int, $2::int, $3::smallint, u.* FROM unnest($4::bigint[], $5::bigint[]) AS u(tag, customer_no) ORDER BY 4, 5 ON CONFLICT DO NOTHING`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, pairs.map(([tag]) => tag), pairs.map(([, customerNo]) => customerNo)],
  )
}

/**
 * A removal took these identifiers away: whoever else holds one of them, and is to stay, is said again when it is finished. `OFFSET 0`
 * keeps the planner to one look-up for each: with tables that grew a moment ago it read all of them for every tag.
 */
export async function leaveSharersToSayAgain(tx: Tx, scope: LedgerScope, batchNo: number, tags: readonly number[]): Promise<void> {
  if (tags.length === 0) return
  await tx.query(
    `INSERT INTO say_again AS s (audience_no, tenant_no, destination_no, customer_no, due_at, times, after_batch)
     SELECT DISTINCT $1::int, $2::int, $3::smallint, l.customer_no, now(), 1, $4::bigint
     FROM unnest($5::bigint[]) AS u(tag)
     CROSS JOIN LATERAL (SELECT customer_no FROM ledger_tag WHERE audience_no = $1 AND tag = u.tag OFFSET 0) t
     CROSS JOIN LATERAL (SELECT customer_no, add_batch, remove_batch FROM ledger WHERE audience_no = $1 AND customer_no = t.customer_no AND generation = $6 OFFSET 0) l
     WHERE l.remove_batch IS NULL OR l.remove_batch < l.add_batch
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET after_batch = excluded.after_batch, times = greatest(s.times, 1)`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, batchNo, tags, scope.generation],
  )
}
