/**
 * A replacement under way, as it is kept on its audience's row; and how one ends that did not get through. Its additions are batches like
 * others, of manner `replace`; whoever is not among them is removed by one batch without rows (`removal`), which is made first and accepted
 * with the last: it is the later word for those who leave, and for the others the removal of what was held of them before.
 */
import type { Tx } from '@audience-sync/db/database'
import type { AudienceRow } from './rows.ts'
import { DOUBTFUL_THEN } from './say-again.ts'
import type { StatusReason } from './status.ts'

export interface Replacing {
  readonly runNo: number
  /** open: being said. sent: all of it is accepted, and the platform works on. failed: given up, and maybe still going on there. */
  readonly state: 'open' | 'sent' | 'failed'
  readonly removal: number
  readonly sessionId: number
  readonly configVersion: number
  /** Where the cursor stands afterwards: the feed's horizon before its first page (C8). */
  readonly start: string
  readonly epoch: string
  /** Removals that the plan saw, and of them those for privacy; how many may go (null: all). */
  readonly removals: number
  readonly privacy: number
  readonly atMost: number | null
  /** When the first call was made, in milliseconds since 1970; null: none was. */
  readonly begunAt: number | null
}

export const replacingOf = ({ replacing }: Pick<AudienceRow, 'replacing'>): Replacing | null => replacing as Replacing | null

export const setReplacing = (tx: Tx, audienceNo: number, replacing: Replacing | null): Promise<unknown> =>
  tx.query('UPDATE audience SET replacing = $2 WHERE no = $1', [audienceNo, replacing && JSON.stringify(replacing)])

/** Something of the audience is unknown or unapplied, or may still land, as a call that was sent twice may: an addition would stand beside the new list (C21). */
export async function isUnfinished(tx: Tx, audienceNo: number): Promise<boolean> {
  const { rows } = await tx.query<{ unfinished: boolean }>(
    `SELECT EXISTS (SELECT FROM batch WHERE audience_no = $1 AND state IN ('planned', 'sending', 'unknown'))
       OR EXISTS (SELECT FROM batch WHERE audience_no = $1 AND state = 'accepted')
       OR EXISTS (SELECT FROM batch WHERE audience_no = $1 AND state = 'abandoned' AND sent_at > now() - interval '${DOUBTFUL_THEN}')
       OR EXISTS (SELECT FROM run r JOIN batch b ON b.run_no = r.no WHERE r.audience_no = $1 AND r.requested_at > now() - interval '7 days'
         AND (b.repeat OR b.attempts > 1) AND greatest(b.sent_at, b.accepted_at) > now() - interval '${DOUBTFUL_THEN}')
       OR EXISTS (SELECT FROM say_again WHERE audience_no = $1 AND due_at < 'infinity') AS unfinished`,
    [audienceNo],
  )
  return rows[0]?.unfinished !== false
}

/**
 * It will not be finished. Where a call was made, the list may be the old one, the new one, or a part of that: everyone is unknown and left
 * to do (C21). Where none was, nothing has happened.
 */
export async function giveUpReplacing(
  tx: Tx,
  { no: audienceNo, generation }: Pick<AudienceRow, 'no' | 'generation'>,
  replacing: Replacing,
  reason: StatusReason | null,
): Promise<void> {
  const begun = replacing.begunAt !== null
  const { rows } = await tx.query<{ no: number }>(
    `UPDATE batch SET state = $3, failure = coalesce($4, failure) WHERE run_no = $1 AND audience_no = $2 AND manner = 'replace'
       AND state IN ('planned', 'sending', 'unknown', 'accepted') RETURNING no`,
    [replacing.runNo, audienceNo, begun ? 'abandoned' : 'dissolved', reason && JSON.stringify(reason)],
  )
  const numbers = rows.map(({ no }) => no)
  await tx.query('DELETE FROM batch_payload WHERE batch_no = ANY($1)', [numbers])
  if (begun)
    await tx.query(
      `INSERT INTO todo (audience_no, tenant_no, destination_no, reason, attempts, customer_no)
       SELECT audience_no, tenant_no, destination_no, 'unknown', 0, customer_no FROM ledger WHERE audience_no = $1 AND generation = $2 ORDER BY customer_no
       ON CONFLICT (audience_no, customer_no) DO UPDATE SET run_no = NULL, not_before = now(), reason = CASE WHEN todo.reason = 'privacy' THEN 'privacy' ELSE 'unknown' END`,
      [audienceNo, generation],
    )
  // Whoever it named first is as unknown as before, and will be an addition again.
  else await tx.query('DELETE FROM ledger WHERE audience_no = $1 AND add_batch = ANY($2) AND remove_batch IS NULL', [audienceNo, numbers])
  await tx.query(`UPDATE audience SET full_reason = 'replacement_failed', replacing = $2 WHERE no = $1`, [
    audienceNo,
    begun ? JSON.stringify({ ...replacing, state: 'failed' }) : null,
  ])
}

/** The platform has finished with all of it: whoever waits for the audience may go on. */
export async function endReplacing(tx: Tx, audienceNo: number): Promise<void> {
  const { rowCount } = await tx.query(
    `UPDATE audience SET replacing = NULL WHERE no = $1 AND replacing ->> 'state' = 'sent'
       AND NOT EXISTS (SELECT FROM batch WHERE audience_no = $1 AND manner = 'replace' AND state = 'accepted')`,
    [audienceNo],
  )
  if (rowCount === 1)
    await tx.query(`UPDATE run SET not_before = NULL WHERE audience_no = $1 AND status = 'waiting' AND wait_reason ->> 'code' = 'platform_busy'`, [audienceNo])
}
