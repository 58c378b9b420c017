/** Whose last word is to be said again, and when (SYNC.md C2, C4, C16). */
import type { Tx } from '@audience-sync/db/database'
import { REFUSED_AGAIN_MS } from '../options.ts'
import type { LedgerScope } from './ledger.ts'

const DOUBTFUL_FIRST = '15 minutes' // C16: a call that outlived its worker has landed by then …
const DOUBTFUL_THEN = '24 hours' // … and whatever the platform made of it has been applied
const DOUBTFUL_TIMES = 2
const LATEST = '7 days' // C4: nobody waits longer for earlier calls to be terminal

/**
 * After a word was accepted: those of its people whose other call, of the opposite kind, may still be applied after it. Where the
 * platform keeps no order that is any call it has not finished with; a removal besides doubts an addition whose outcome was
 * unknown for a while, because it may have landed twice.
 */
export async function leaveToSayAgain(tx: Tx, scope: LedgerScope, operation: string, keepsOrder: boolean, customers: readonly number[]): Promise<void> {
  await tx.query(
    `INSERT INTO say_again AS s (audience_no, tenant_no, destination_no, customer_no, due_at, times)
     SELECT $1::int, $2::int, $3::smallint, l.customer_no, CASE WHEN o.doubtful THEN now() + interval '${DOUBTFUL_FIRST}' ELSE now() END, CASE WHEN o.doubtful THEN ${DOUBTFUL_TIMES} ELSE 1 END
     FROM ledger l
     JOIN LATERAL (
       SELECT state = 'accepted' AND NOT $5 AS unfinished, $4 = 'remove' AND (attempts > 1 OR state = 'abandoned') AND sent_at > now() - interval '${DOUBTFUL_THEN}' AS doubtful
       FROM batch WHERE no = CASE WHEN $4 = 'remove' THEN l.add_batch ELSE l.remove_batch END
     ) AS o ON o.unfinished OR o.doubtful
     WHERE l.audience_no = $1 AND l.customer_no = ANY($6) AND l.generation = $7 ORDER BY l.customer_no
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET due_at = excluded.due_at, times = excluded.times`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, operation, keepsOrder, customers, scope.generation],
  )
}

/** These removals were never confirmed: whoever they name is not forgotten before they were removed once more. */
export async function leaveUnconfirmed(tx: Tx, audienceNo: number, removals: readonly number[]): Promise<void> {
  if (removals.length === 0) return
  await tx.query(
    `INSERT INTO say_again (audience_no, tenant_no, destination_no, customer_no, due_at, times)
     SELECT audience_no, tenant_no, destination_no, customer_no, now(), 1 FROM ledger WHERE audience_no = $1 AND remove_batch = ANY($2) AND remove_batch > add_batch ORDER BY customer_no
     ON CONFLICT (audience_no, customer_no) DO NOTHING`,
    [audienceNo, removals],
  )
}

/** A newer word is being said: the older one is not repeated, unless it is somebody else's removal that it has to outlast. */
export async function forgetToSayAgain(tx: Tx, audienceNo: number, customers: readonly number[]): Promise<void> {
  if (customers.length > 0)
    await tx.query('DELETE FROM say_again WHERE audience_no = $1 AND customer_no = ANY($2) AND after_batch IS NULL', [audienceNo, customers])
}

/** There is nothing to repeat after all: the person has changed, and the feed has that. */
export async function neverMind(tx: Tx, audienceNo: number, customers: readonly number[]): Promise<void> {
  if (customers.length > 0) await tx.query('DELETE FROM say_again WHERE audience_no = $1 AND customer_no = ANY($2)', [audienceNo, customers])
}

/** It was said again: once more later, or never. */
export async function saidAgain(tx: Tx, audienceNo: number, customers: readonly number[]): Promise<void> {
  await tx.query('DELETE FROM say_again WHERE audience_no = $1 AND customer_no = ANY($2) AND times <= 1', [audienceNo, customers])
  await tx.query(`UPDATE say_again SET times = times - 1, due_at = now() + interval '${DOUBTFUL_THEN}' WHERE audience_no = $1 AND customer_no = ANY($2)`, [
    audienceNo,
    customers,
  ])
}

/** The repetition was refused: nothing changes within minutes. */
export async function postpone(tx: Tx, audienceNo: number, customers: readonly number[]): Promise<void> {
  await tx.query(`UPDATE say_again SET due_at = now() + $3 * interval '1 millisecond' WHERE audience_no = $1 AND customer_no = ANY($2)`, [
    audienceNo,
    customers,
    REFUSED_AGAIN_MS,
  ])
}

const FINISHED = (batch: string) =>
  `(${batch}.no IS NULL OR ${batch}.state NOT IN ('planned', 'sending', 'unknown', 'accepted') OR (${batch}.state = 'accepted' AND ${batch}.accepted_at < now() - interval '${LATEST}'))`

/** Due, and every call that named them is finished. */
const DUE = `
  FROM say_again s JOIN audience g ON g.no = s.audience_no
  JOIN ledger l ON l.audience_no = s.audience_no AND l.customer_no = s.customer_no AND l.generation = g.generation
  LEFT JOIN batch a ON a.no = l.add_batch LEFT JOIN batch r ON r.no = l.remove_batch LEFT JOIN batch f ON f.no = s.after_batch
  WHERE s.due_at <= now() AND ${FINISHED('a')} AND ${FINISHED('r')} AND ${FINISHED('f')}`

export interface Again {
  readonly customerNo: number
  readonly last: 'add' | 'remove'
  readonly fingerprint: number
  readonly normaliser: number
  readonly held: Buffer
}

/** A page of those who are due in an audience, in order. `removalsOnly`: an audience that is paused says nothing else (R7). */
export async function readAgain(tx: Tx, audienceNo: number, after: number, removalsOnly: boolean, limit: number): Promise<Again[]> {
  const { rows } = await tx.query<Again>(
    `SELECT s.customer_no AS "customerNo", CASE WHEN coalesce(l.remove_batch, 0) > l.add_batch THEN 'remove' ELSE 'add' END AS last, l.fingerprint, l.normaliser, l.held
     ${DUE} AND s.audience_no = $1 AND s.customer_no > $2 AND (NOT $3 OR coalesce(l.remove_batch, 0) > l.add_batch)
     ORDER BY s.customer_no LIMIT $4`,
    [audienceNo, after, removalsOnly, limit],
  )
  return rows
}

/** Audiences in which somebody is due and no run is open that would do it. */
export async function audiencesToSayAgain(tx: Tx, destinationNo: number): Promise<{ no: number; tenantId: string; paused: boolean }[]> {
  const { rows } = await tx.query<{ no: number; tenantId: string; paused: boolean }>(
    `SELECT au.no, au.tenant_id AS "tenantId", au.paused_at IS NOT NULL AS paused FROM audience au
     WHERE au.no IN (SELECT s.audience_no ${DUE} AND s.destination_no = $1) AND au.deleted_at IS NULL AND au.delete_requested_at IS NULL
       AND NOT EXISTS (SELECT FROM run WHERE audience_no = au.no AND status IN ('queued', 'running', 'waiting', 'held')) LIMIT 32`,
    [destinationNo],
  )
  return rows
}
