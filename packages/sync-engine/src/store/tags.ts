/** Who holds which identifier, as tags (SYNC.md C2). */
import type { Tx } from '@audience-sync/db/database'
import type { LedgerScope } from './ledger.ts'
import { DOUBTFUL_THEN } from './say-again.ts'

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
 *
 * A row has room for one batch to wait for. `elsewhere`: the removal was made by another audience for the whole account, and its number says
 * nothing of the order here; those people are said again after it, and, whatever the row comes to wait for meanwhile, once more a day later.
 */
export async function leaveSharersToSayAgain(tx: Tx, scope: LedgerScope, batchNo: number, tags: readonly number[], elsewhere = false): Promise<void> {
  if (tags.length === 0) return
  await tx.query(
    `INSERT INTO say_again AS s (audience_no, tenant_no, destination_no, customer_no, due_at, times, after_batch)
     SELECT DISTINCT $1::int, $2::int, $3::smallint, l.customer_no, now(), CASE WHEN $7 THEN 2 ELSE 1 END, $4::bigint
     FROM unnest($5::bigint[]) AS u(tag)
     CROSS JOIN LATERAL (SELECT customer_no FROM ledger_tag WHERE audience_no = $1 AND tag = u.tag OFFSET 0) t
     CROSS JOIN LATERAL (SELECT customer_no, add_batch, remove_batch FROM ledger WHERE audience_no = $1 AND customer_no = t.customer_no AND generation = $6 OFFSET 0) l
     WHERE l.remove_batch IS NULL OR l.remove_batch < l.add_batch
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET due_at = CASE WHEN s.due_at = 'infinity' THEN excluded.due_at ELSE s.due_at END,
       after_batch = CASE WHEN $7 THEN excluded.after_batch ELSE greatest(s.after_batch, excluded.after_batch) END, times = greatest(s.times, excluded.times)`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, batchNo, tags, scope.generation, elsewhere],
  )
}

/** Of a removal: the platform may apply it later than what is said now. */
const MAY_COME = `(state = 'accepted' OR (state = 'applied' AND (repeat OR attempts > 1) AND accepted_at > now() - interval '${DOUBTFUL_THEN}'))`

/**
 * The reverse: who is added by an identifier that somebody else is losing by a removal that the platform has not finished with, or whose
 * repetition nobody watches. It may be applied after the addition, and take them along. As when a phone goes from one customer to another.
 * `added` is asked only where there is such a removal.
 */
export async function leaveAddedToSayAgain(tx: Tx, scope: LedgerScope, added: () => readonly Tagged[]): Promise<void> {
  const { rows } = await tx.query(`SELECT FROM batch WHERE audience_no = $1 AND operation = 'remove' AND ${MAY_COME} LIMIT 1`, [scope.audienceNo])
  if (rows.length === 0) return
  const pairs = added().flatMap(({ customerNo, tags }) => tags.map((tag) => [tag, customerNo] as const))
  await tx.query(
    `INSERT INTO say_again AS s (audience_no, tenant_no, destination_no, customer_no, due_at, times, after_batch)
     SELECT $1::int, $2::int, $3::smallint, u.customer_no, now(), CASE WHEN bool_or(b.unseen) THEN 2 ELSE 1 END, max(b.no)
     FROM unnest($4::bigint[], $5::bigint[]) AS u(tag, customer_no)
     CROSS JOIN LATERAL (SELECT customer_no FROM ledger_tag WHERE audience_no = $1 AND tag = u.tag AND customer_no <> u.customer_no OFFSET 0) t
     CROSS JOIN LATERAL (SELECT remove_batch FROM ledger WHERE audience_no = $1 AND customer_no = t.customer_no AND generation = $6 AND remove_batch IS NOT NULL OFFSET 0) l
     CROSS JOIN LATERAL (SELECT no, state <> 'accepted' AS unseen FROM batch WHERE audience_no = $1 AND operation = 'remove' AND no <= l.remove_batch AND ${MAY_COME} ORDER BY no DESC LIMIT 1) b
     GROUP BY u.customer_no ORDER BY u.customer_no
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET due_at = CASE WHEN s.due_at = 'infinity' THEN excluded.due_at ELSE s.due_at END,
       after_batch = greatest(s.after_batch, excluded.after_batch), times = greatest(s.times, excluded.times)`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, pairs.map(([tag]) => tag), pairs.map(([, customerNo]) => customerNo), scope.generation],
  )
}
