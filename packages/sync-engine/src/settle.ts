/**
 * Accepted is not applied: where the platform works on, it is asked until it has finished with every accepted batch. Nothing
 * waits on its word for ever (SYNC.md C20): after 48 hours the audience says `platform_slow`, after seven days a run
 * completes with what was confirmed and says `unconfirmed`.
 */
import type { Tx } from '@audience-sync/db/database'
import type { Settled } from '@audience-sync/destination-kit/contract'
import { DestinationError } from '@audience-sync/destination-kit/contract'
import { SLOW_AFTER, UNCONFIRMED_AFTER } from './options.ts'
import { readAudience, readRun } from './store/rows.ts'
import { setStatus } from './store/status.ts'
import { complete, restStatus } from './worker/close.ts'
import { RunWaits } from './worker/endings.ts'
import { type Engine, inTenant } from './worker/engine.ts'
import { contextOf, grantOf, type Speaker, storeCalls, takeQuota } from './worker/job.ts'

const BATCHES = 1_000 // of one audience at once; the rest comes in the next look
const TROUBLE_FACTOR = 4 // a look that failed is not repeated as soon as one that found work in progress

/** Looks after one audience whose time has come. Answers true when there was one. */
export async function settleOne(engine: Engine, stopping: AbortSignal): Promise<boolean> {
  const { db, destinationNo, options } = engine
  const { rows } = await db.pool.query<{ no: number; tenant_id: string }>(
    `WITH due AS (SELECT no FROM audience WHERE destination_no = $1 AND settle_at <= now() ORDER BY settle_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
     UPDATE audience a SET settle_at = now() + $2 * interval '1 millisecond' FROM due WHERE a.no = due.no RETURNING a.no, a.tenant_id`,
    [destinationNo, options.settleMs],
  )
  const [due] = rows
  if (!due) return false
  try {
    await settle(engine, due.no, due.tenant_id, stopping)
  } catch (error) {
    if (!(error instanceof RunWaits || error instanceof DestinationError)) throw error
    const forMs = Math.max(options.settleMs * TROUBLE_FACTOR, error instanceof RunWaits ? (error.forMs ?? 0) : (error.failure.retryAfterMs ?? 0))
    await db.tenant(due.tenant_id, (tx) =>
      tx.query(`UPDATE audience SET settle_at = now() + $2 * interval '1 millisecond' WHERE no = $1 AND settle_at IS NOT NULL`, [due.no, forMs]),
    )
    engine.log.info({ audienceNo: due.no, code: error instanceof RunWaits ? error.reason.code : error.failure.code }, 'the platform could not be asked')
  }
  return true
}

async function settle(engine: Engine, audienceNo: number, tenantId: string, stopping: AbortSignal): Promise<void> {
  const { audience, batches } = await inTenant(engine, tenantId, async (tx) => {
    const { rows } = await tx.query<{ id: string; platform_accepted_at: Date; receipt: Record<string, unknown> }>(
      `SELECT id, platform_accepted_at, receipt FROM batch WHERE audience_no = $1 AND state = 'accepted' ORDER BY no LIMIT ${BATCHES}`,
      [audienceNo],
    )
    return { audience: await readAudience(tx, audienceNo), batches: rows }
  })
  let settled: readonly Settled[] = []
  let size: number | null = null
  if (batches.length > 0 && audience.externalId !== null) {
    const { externalId } = audience
    // No lease: settling only moves accepted batches on, which no run does.
    const job: Speaker = { engine, audience, lease: { signal: stopping }, calls: [], usages: [] }
    const grant = await grantOf(job)
    await takeQuota(job, grant.tier, 'read')
    const accepted = batches.map((batch) => ({ batchId: batch.id, acceptedAt: batch.platform_accepted_at, receipt: batch.receipt }))
    try {
      settled = await engine.destination.settle(contextOf(job, grant), externalId, accepted)
      if (settled.every(({ state }) => state !== 'pending')) {
        await takeQuota(job, grant.tier, 'read')
        size = (await engine.destination.readAudience(contextOf(job, grant), externalId))?.size ?? null
      }
    } finally {
      await inTenant(engine, tenantId, (tx) => storeCalls(tx, job, null))
    }
  }
  await inTenant(engine, tenantId, (tx) => record(tx, audienceNo, settled, size))
}

async function record(tx: Tx, audienceNo: number, settled: readonly Settled[], size: number | null): Promise<void> {
  const applied = settled.filter(({ state }) => state === 'applied').map(({ batchId }) => batchId)
  // Those that the platform never confirms are let go after seven days, and marked.
  const { rows } = await tx.query<{ no: number; run_no: number; operation: string }>(
    `UPDATE batch SET state = 'applied', applied_at = now(), confirmed = id = ANY($2)
     WHERE audience_no = $1 AND state = 'accepted' AND (id = ANY($2) OR accepted_at < now() - interval '${UNCONFIRMED_AFTER}') RETURNING no, run_no, operation`,
    [audienceNo, applied],
  )
  const removals = rows.filter(({ operation }) => operation === 'remove').map(({ no }) => no)
  // Whoever was removed, and not added since, is gone: the ledger forgets them (C12).
  await tx.query(
    'DELETE FROM ledger l WHERE audience_no = $1 AND remove_batch = ANY($2) AND (add_batch IS NULL OR add_batch < remove_batch) AND NOT EXISTS (SELECT FROM todo t WHERE t.audience_no = l.audience_no AND t.customer_no = l.customer_no)',
    [audienceNo, removals],
  )
  const { rows: runs } = await tx.query<{ no: number }>(
    `SELECT no FROM run r WHERE audience_no = $1 AND (status = 'applying' OR no = ANY($2)) AND NOT EXISTS (SELECT FROM batch b WHERE b.run_no = r.no AND b.state = 'accepted')`,
    [audienceNo, [...new Set(rows.map(({ run_no }) => run_no))]],
  )
  for (const { no } of runs) if ((await readRun(tx, no)).status === 'applying') await complete(tx, audienceNo, no)
  await rest(tx, audienceNo, size)
}

async function rest(tx: Tx, audienceNo: number, size: number | null): Promise<void> {
  const { rows } = await tx.query<{ open: boolean; slow: boolean }>(
    `SELECT count(*) > 0 AS open, coalesce(bool_or(accepted_at < now() - interval '${SLOW_AFTER}'), false) AS slow FROM batch WHERE audience_no = $1 AND state = 'accepted'`,
    [audienceNo],
  )
  const { open = false, slow = false } = rows[0] ?? {}
  if (!open)
    await tx.query('UPDATE audience SET settle_at = NULL, size_destination = coalesce($2, size_destination), size_as_of = now() WHERE no = $1', [
      audienceNo,
      size,
    ])
  const audience = await readAudience(tx, audienceNo)
  if (audience.status === 'error' || audience.status === 'held' || audience.status === 'rate_limited' || audience.status === 'syncing') return
  if (slow) await setStatus(tx, audience, 'pending', { code: 'platform_slow' })
  else await restStatus(tx, audienceNo)
}
