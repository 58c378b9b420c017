/**
 * What a change of the normaliser leaves in the tables. `audience.normaliser` is the version that all rows of the ledger have; null
 * while that is not known: before the first run, and from the start of a full run under another version until its end.
 */
import type { Tx } from '@audience-sync/db/database'

/** Of these people, those whose last addition the platform has applied, and did not refuse to them. */
export async function additionsApplied(tx: Tx, audienceNo: number, customers: readonly number[]): Promise<Set<number>> {
  if (customers.length === 0) return new Set()
  const { rows } = await tx.query<{ no: number }>(
    `SELECT l.customer_no AS no FROM ledger l JOIN batch b ON b.no = l.add_batch
     WHERE l.audience_no = $1 AND l.generation = (SELECT generation FROM audience WHERE no = $1) AND l.customer_no = ANY($2) AND b.state = 'applied'
       AND NOT EXISTS (SELECT FROM rejection r WHERE r.audience_no = l.audience_no AND r.customer_no = l.customer_no AND r.batch_no = l.add_batch)`,
    [audienceNo, customers],
  )
  return new Set(rows.map(({ no }) => no))
}

/** Their rows are what this version makes of them: nothing had to be said. */
export async function markAlike(tx: Tx, audienceNo: number, version: number, customers: readonly number[]): Promise<void> {
  if (customers.length > 0)
    await tx.query(
      'UPDATE ledger SET normaliser = $2 WHERE audience_no = $1 AND generation = (SELECT generation FROM audience WHERE no = $1) AND customer_no = ANY($3)',
      [audienceNo, version, customers],
    )
}

/** Audiences that another version wrote, and that nobody is working on: a few at a time, so that a new version does not take all quota at once. */
export async function audiencesToMigrate(tx: Tx, destinationNo: number, version: number): Promise<{ no: number; tenantId: string }[]> {
  const { rows } = await tx.query<{ no: number; tenantId: string }>(
    `SELECT a.no, a.tenant_id AS "tenantId" FROM audience a
     WHERE a.destination_no = $1 AND a.normaliser IS DISTINCT FROM $2 AND a.external_id IS NOT NULL
       AND a.deleted_at IS NULL AND a.delete_requested_at IS NULL AND a.paused_at IS NULL AND a.missing IS NULL
       AND NOT EXISTS (SELECT FROM run r WHERE r.audience_no = a.no AND r.trigger <> 'privacy'
         AND (r.status IN ('queued', 'running', 'waiting', 'held') OR r.finished_at > now() - interval '${AFTER_FAILURE}' AND r.status IN ('failed', 'cancelled')))
     ORDER BY a.no LIMIT ${AT_ONCE}`,
    [destinationNo, version],
  )
  return rows
}

const AFTER_FAILURE = '1 hour' // a run that failed, or that somebody cancelled, is not begun again at once
const AT_ONCE = 32
