/** Far audiences that an audience has left (SYNC.md C19), and who is still to be removed from them. */
import type { Database, Tx } from '@audience-sync/db/database'
import type { AudienceRow } from './rows.ts'

export interface FormerAudience {
  readonly generation: number
  readonly externalId: string
  readonly adopted: boolean
}

type Named = Pick<AudienceRow, 'no' | 'tenantNo' | 'destinationNo' | 'generation' | 'externalId' | 'adopted'>

/** Removals from a former audience: the second a day later, because what was said before it was left may be applied after the first (C4, C16). */
const TIMES = 2
const THEN = '24 hours'
const PURGED_AT_ONCE = 5_000 // some ten milliseconds, so that nobody waits for it

/** The audience goes on to another generation; this one may still live, or is surely gone. */
export async function leaveFarAudience(tx: Tx, audience: Named, state: 'present' | 'deleted'): Promise<void> {
  const { no, generation, tenantNo, destinationNo, externalId, adopted } = audience
  await tx.query(
    'INSERT INTO far_audience (audience_no, generation, tenant_no, destination_no, external_id, adopted, state) VALUES ($1, $2, $3, $4, $5, $6, $7)',
    [no, generation, tenantNo, destinationNo, externalId, adopted, state],
  )
}

const WHICH = {
  all: 'true',
  /** Somebody is to be removed now. */
  due: 'EXISTS (SELECT FROM former_removal r WHERE r.audience_no = f.audience_no AND r.generation = f.generation AND r.not_before <= now())',
  /** Somebody may be there. */
  holding: 'EXISTS (SELECT FROM ledger l WHERE l.audience_no = f.audience_no AND l.generation = f.generation)',
}

/** Those that may still live. */
export async function formerAudiences(tx: Tx, audienceNo: number, which: keyof typeof WHICH): Promise<FormerAudience[]> {
  const { rows } = await tx.query<FormerAudience>(
    `SELECT f.generation, f.external_id AS "externalId", f.adopted FROM far_audience f WHERE f.audience_no = $1 AND f.state = 'present'
       AND ${WHICH[which]}
     ORDER BY f.generation`,
    [audienceNo],
  )
  return rows
}

/** Its deletion is proven: nobody is there any more, and the ledger forgets its rows by and by. */
export async function provenDeleted(tx: Tx, audienceNo: number, generation: number): Promise<void> {
  await tx.query(`UPDATE far_audience SET state = 'deleted' WHERE audience_no = $1 AND generation = $2`, [audienceNo, generation])
  await tx.query('DELETE FROM former_removal WHERE audience_no = $1 AND generation = $2', [audienceNo, generation])
}

/** These people are to be removed from every former audience that may still hold them. */
export async function leaveToFormer(tx: Tx, { no, generation }: Pick<AudienceRow, 'no' | 'generation'>, customers: readonly number[]): Promise<void> {
  if (generation === 1 || customers.length === 0) return
  await tx.query(
    `INSERT INTO former_removal (audience_no, generation, tenant_no, destination_no, customer_no, times)
     SELECT l.audience_no, l.generation, l.tenant_no, l.destination_no, l.customer_no, ${TIMES}
     FROM ledger l JOIN far_audience f ON f.audience_no = l.audience_no AND f.generation = l.generation AND f.state = 'present'
     WHERE l.audience_no = $1 AND l.customer_no = ANY($2) AND l.generation < $3 ORDER BY l.generation, l.customer_no
     ON CONFLICT (audience_no, generation, customer_no) DO UPDATE SET times = ${TIMES}, not_before = now()`,
    [no, customers, generation],
  )
}

/** A page of those to remove now, in order. */
export async function readFormerRemovals(tx: Tx, audienceNo: number, generation: number, after: number, limit: number): Promise<number[]> {
  const { rows } = await tx.query<{ no: number }>(
    `SELECT customer_no AS no FROM former_removal WHERE audience_no = $1 AND generation = $2 AND customer_no > $3 AND not_before <= now() ORDER BY customer_no LIMIT $4`,
    [audienceNo, generation, after, limit],
  )
  return rows.map(({ no }) => no)
}

/** Of a former audience nothing is sent again as it was: whoever an open call named is in `former_removal` still. */
export async function closeFormerBatches(tx: Tx, audienceNo: number, generation: number): Promise<void> {
  await tx.query(
    `DELETE FROM batch_payload WHERE batch_no IN (SELECT no FROM batch WHERE audience_no = $1 AND generation < $2 AND state IN ('planned', 'sending', 'unknown'))`,
    [audienceNo, generation],
  )
  await tx.query(
    `UPDATE batch SET state = CASE WHEN attempts = 0 THEN 'dissolved' ELSE 'abandoned' END WHERE audience_no = $1 AND generation < $2 AND state IN ('planned', 'sending', 'unknown')`,
    [audienceNo, generation],
  )
}

/**
 * Whom this run's calls removed: once more a day later, then never, and the ledger forgets them. Nobody watches a former audience
 * apply what it took: taken twice, a day apart, counts as gone.
 */
export async function removedFromFormer(tx: Tx, audienceNo: number, generation: number, runNo: number): Promise<void> {
  const taken = `FROM ledger l JOIN batch b ON b.no = l.remove_batch
    WHERE l.audience_no = f.audience_no AND l.generation = f.generation AND l.customer_no = f.customer_no AND b.run_no = $3 AND b.state = 'applied' AND b.unnamed_rejections = 0
      AND NOT EXISTS (SELECT FROM rejection r WHERE r.run_no = b.run_no AND r.customer_no = l.customer_no AND r.batch_no = b.no)`
  const { rows } = await tx.query<{ no: number }>(
    `DELETE FROM former_removal f WHERE f.audience_no = $1 AND f.generation = $2 AND f.times <= 1 AND f.not_before <= now() AND EXISTS (SELECT ${taken}) RETURNING f.customer_no AS no`,
    [audienceNo, generation, runNo],
  )
  await tx.query('DELETE FROM ledger WHERE audience_no = $1 AND generation = $2 AND customer_no = ANY($3)', [audienceNo, generation, rows.map(({ no }) => no)])
  await tx.query(
    `UPDATE former_removal f SET times = f.times - 1, not_before = now() + interval '${THEN}'
     WHERE f.audience_no = $1 AND f.generation = $2 AND f.times > 1 AND f.not_before <= now() AND EXISTS (SELECT ${taken})`,
    [audienceNo, generation, runNo],
  )
}

/** They cannot be removed now; who is still due is tried again after a while. Somebody the ledger no longer holds is not there. */
export async function putOffFormer(tx: Tx, audienceNo: number, generation: number, forMs: number): Promise<void> {
  await tx.query(
    `DELETE FROM former_removal f WHERE f.audience_no = $1 AND f.generation = $2
       AND NOT EXISTS (SELECT FROM ledger l WHERE l.audience_no = f.audience_no AND l.generation = f.generation AND l.customer_no = f.customer_no)`,
    [audienceNo, generation],
  )
  await tx.query(
    `UPDATE former_removal SET not_before = now() + $3 * interval '1 millisecond' WHERE audience_no = $1 AND generation = $2 AND not_before <= now()`,
    [audienceNo, generation, forMs],
  )
}

/** Audiences in which somebody is to be removed from a former one, and no run is open that would do it. */
export async function audiencesWithFormerRemovals(tx: Tx, destinationNo: number): Promise<{ no: number; tenantId: string }[]> {
  const { rows } = await tx.query<{ no: number; tenantId: string }>(
    `SELECT a.no, a.tenant_id AS "tenantId" FROM audience a
     WHERE a.no IN (SELECT audience_no FROM former_removal WHERE destination_no = $1 AND not_before <= now()) AND a.deleted_at IS NULL AND a.delete_requested_at IS NULL
       AND NOT EXISTS (SELECT FROM run WHERE audience_no = a.no AND trigger = 'privacy' AND status IN ('queued', 'running', 'waiting')) LIMIT 32`,
    [destinationNo],
  )
  return rows
}

/** Forgets the ledger's rows of far audiences that are surely gone, a little at a time. */
export async function purgeDeleted({ pool }: Pick<Database, 'pool'>): Promise<void> {
  const { rows } = await pool.query<{ audience_no: number; generation: number }>(
    `SELECT audience_no, generation FROM far_audience WHERE state = 'deleted' AND purged_at IS NULL ORDER BY since`,
  )
  for (const { audience_no, generation } of rows) {
    for (let after = 0; ; ) {
      const { rows: gone } = await pool.query<{ no: number | null }>(
        `WITH gone AS (DELETE FROM ledger WHERE audience_no = $1 AND generation = $2 AND customer_no IN
           (SELECT customer_no FROM ledger WHERE audience_no = $1 AND generation = $2 AND customer_no > $3 ORDER BY customer_no LIMIT ${PURGED_AT_ONCE}) RETURNING customer_no)
         SELECT max(customer_no) AS no FROM gone`,
        [audience_no, generation, after],
      )
      if (!gone[0]?.no) break
      after = gone[0].no
    }
    await pool.query('UPDATE far_audience SET purged_at = now() WHERE audience_no = $1 AND generation = $2', [audience_no, generation])
  }
}
