/**
 * The counts of a run, as the API gives them: sums over its batches, read in one statement, so that they add up at every
 * moment (API.md, SYNC.md C24): planned = accepted + rejected + failed + cancelled + unknown + waiting,
 * accepted = added + removed + replaced, applied ≤ accepted.
 */
import type { Tx } from '@audience-sync/db/database'

export interface Counts {
  readonly planned: number
  readonly waiting: number
  readonly accepted: number
  readonly applied: number
  readonly rejected: number
  readonly failed: number
  readonly cancelled: number
  readonly unknown: number
  readonly added: number
  readonly removed: number
  readonly replaced: number
  readonly unchanged: number
  readonly suppressed: number
}

/**
 * Per batch: `taken*` are people accepted by kind. Rows that the platform refused without naming them make that many people of
 * the batch unknown (never more than it took), from its additions first.
 */
const SQL = `
  WITH counted AS (
    SELECT run_no, state, added + removed + replaced AS people,
      rejected_added + rejected_removed + rejected_replaced AS refused,
      CASE WHEN state IN ('accepted', 'applied') THEN added - rejected_added ELSE 0 END AS taken_added,
      CASE WHEN state IN ('accepted', 'applied') THEN removed - rejected_removed ELSE 0 END AS taken_removed,
      CASE WHEN state IN ('accepted', 'applied') THEN replaced - rejected_replaced ELSE 0 END AS taken_replaced,
      CASE WHEN state IN ('accepted', 'applied') THEN unnamed_rejections ELSE 0 END AS unnamed
    FROM batch WHERE run_no = ANY($1) AND NOT repeat AND state NOT IN ('split', 'dissolved')
  ), named AS (
    SELECT *,
      least(taken_added, unnamed) AS lost_added,
      least(taken_replaced, greatest(unnamed - taken_added, 0)) AS lost_replaced,
      least(taken_removed, greatest(unnamed - taken_added - taken_replaced, 0)) AS lost_removed
    FROM counted
  )
  SELECT r.no, r.unchanged, r.suppressed,
    coalesce(sum(people), 0)::int AS planned,
    coalesce(sum(people) FILTER (WHERE state IN ('planned', 'sending')), 0)::int AS waiting,
    coalesce(sum(taken_added - lost_added), 0)::int AS added,
    coalesce(sum(taken_removed - lost_removed), 0)::int AS removed,
    coalesce(sum(taken_replaced - lost_replaced), 0)::int AS replaced,
    coalesce(sum(taken_added + taken_removed + taken_replaced - lost_added - lost_removed - lost_replaced) FILTER (WHERE state = 'applied'), 0)::int AS applied,
    coalesce(sum(CASE WHEN state = 'rejected' THEN people WHEN state IN ('accepted', 'applied') THEN refused ELSE 0 END), 0)::int AS rejected,
    coalesce(sum(people) FILTER (WHERE state = 'failed'), 0)::int AS failed,
    coalesce(sum(people) FILTER (WHERE state = 'cancelled'), 0)::int AS cancelled,
    coalesce(sum(CASE WHEN state IN ('unknown', 'abandoned') THEN people ELSE lost_added + lost_removed + lost_replaced END), 0)::int AS unknown
  FROM run r LEFT JOIN named n ON n.run_no = r.no
  WHERE r.no = ANY($1) GROUP BY r.no, r.unchanged, r.suppressed`

/** Counts of the runs with these numbers. */
export async function runCounts(tx: Tx, runNos: readonly number[]): Promise<Map<number, Counts>> {
  const { rows } = await tx.query<Omit<Counts, 'accepted'> & { no: number }>(SQL, [runNos])
  return new Map(rows.map(({ no, ...counts }) => [no, { ...counts, accepted: counts.added + counts.removed + counts.replaced }]))
}
