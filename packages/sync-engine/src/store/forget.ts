/** When the ledger forgets whoever was removed (SYNC.md C12). */
import type { Tx } from '@audience-sync/db/database'
import { DOUBTFUL_THEN, FIRST_TO_COME } from './say-again.ts'

/** Deletes ledger rows `l` and keeps who was removed by which batch. */
const FORGET = (which: string) => `WITH gone AS (
    DELETE FROM ledger l ${which} RETURNING l.audience_no, l.tenant_no, l.destination_no, l.customer_no, l.remove_batch)
  INSERT INTO removed_member (audience_no, tenant_no, destination_no, customer_no, batch_no)
  SELECT DISTINCT ON (audience_no, customer_no) audience_no, tenant_no, destination_no, customer_no, remove_batch FROM gone
  ORDER BY audience_no, customer_no, remove_batch DESC
  ON CONFLICT (audience_no, customer_no) DO UPDATE SET batch_no = excluded.batch_no, removed_at = excluded.removed_at`

/** Former far audiences are told twice, and forget by themselves (`worker/former.ts`). */
const CURRENT = 'l.generation = (SELECT generation FROM audience WHERE no = l.audience_no)'

/** Nothing is left to do of them, and nothing is to be said again. */
const NOTHING_LEFT = `NOT EXISTS (SELECT FROM todo t WHERE t.audience_no = l.audience_no AND t.customer_no = l.customer_no)
    AND NOT EXISTS (SELECT FROM say_again s WHERE s.audience_no = l.audience_no AND s.customer_no = l.customer_no)`

/**
 * Whoever was removed by these batches, and not added since, is gone: the ledger forgets them. Who was refused is left to do,
 * and stays; where the platform refused some without naming them, it may be anybody. What was sent twice may land once more, and its people are
 * remembered until then (`FORGET_LATER`); so is whoever an earlier removal may have named that is still to come, until these batches are done:
 * they, or somebody with an identifier of theirs, may return before it. Which call removed them is kept for a time.
 */
export async function forgetRemoved(tx: Tx, audienceNo: number, batchNos: readonly number[]): Promise<void> {
  if (batchNos.length === 0) return
  await tx.query(
    FORGET(`USING batch b WHERE l.audience_no = $1 AND l.remove_batch >= $2 AND b.no = l.remove_batch AND b.state = 'applied' AND b.unnamed_rejections = 0
       AND b.attempts <= 1 AND (NOT b.repeat OR b.no = ANY($3)) AND coalesce(${FIRST_TO_COME} >= l.remove_batch, true) AND l.add_batch < l.remove_batch AND ${CURRENT} AND ${NOTHING_LEFT}`),
    [audienceNo, Math.min(...batchNos), batchNos],
  )
}

const LATER_KEPT = '3 days' // whom a removal that was sent twice kept from being forgotten at once is met here a day later

/**
 * Nobody saw what a repeated removal did, or the other sending of one that was sent twice, so whoever they, or a later one, removed is remembered
 * for as long as it may still come: whoever returns meanwhile is said again. Answers how many were forgotten.
 */
export const FORGET_LATER = (atMost: number) =>
  FORGET(`WHERE l.ctid IN (
  SELECT l.ctid FROM ledger l JOIN batch b ON b.no = l.remove_batch
  WHERE l.remove_batch > l.add_batch AND (b.repeat OR b.attempts > 1 OR (b.accepted_at > now() - interval '${LATER_KEPT}' AND ${CURRENT})) AND b.state = 'applied'
    AND b.accepted_at < now() - interval '${DOUBTFUL_THEN}' AND b.unnamed_rejections = 0 AND ${NOTHING_LEFT} LIMIT ${atMost})`)
