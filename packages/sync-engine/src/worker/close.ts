/** The moves of a run, each one transaction that records and announces (DESIGN.md §2.7). Only the lease holder calls them. */
import { publicId } from '@audience-sync/contracts/ids'
import type { Tx } from '@audience-sync/db/database'
import { type Drift, stopsUploads } from '../pure/drift.ts'
import { TURN_CALLS } from '../pure/placement.ts'
import { requestPrivacyRun, requestRun } from '../requests.ts'
import { requestFollowUp } from '../store/follow-up.ts'
import { leave } from '../store/ledger.ts'
import { giveUpReplacing, replacingOf } from '../store/replacing.ts'
import { type RunRow, readAudience, readRun } from '../store/rows.ts'
import { type AudienceStatus, announce, type StatusReason, setStatus } from '../store/status.ts'
import type { Hold } from './brake.ts'
import type { Job } from './job.ts'
import { storeCalls } from './job.ts'
import { stillRefused } from './too-small.ts'

/** Claims the run: commits before anything is read (C5). A run that goes on after a wait begins again. */
export function begin(job: Job, run: RunRow): Promise<RunRow> {
  return job.lease.fenced(run.no, async (tx) => {
    const first = run.startedAt === null
    await tx.query(
      `UPDATE run SET status = 'running', started_at = coalesce(started_at, now()), attempts = attempts + 1, not_before = NULL, wait_reason = NULL, hold = NULL,
         config_version = $2, config = $3 WHERE no = $1`,
      [run.no, job.audience.configVersion, JSON.stringify(job.config)],
    )
    const running = await readRun(tx, run.no)
    if (running.followUp) {
      await requestRun(tx, { audience: job.audience, trigger: 'api', announce: false })
      await tx.query('UPDATE run SET follow_up = false WHERE no = $1', [run.no])
    }
    if (run.trigger !== 'privacy') await setStatus(tx, job.audience, 'syncing')
    if (first) await announce(tx, 'started', job.audience, running)
    return running
  })
}

/** Everything is accepted or rejected: the next run may start, this one is watched until the platform has finished. */
export function finish(job: Job, run: RunRow): Promise<void> {
  return job.lease.fenced(run.no, async (tx) => {
    await storeCalls(tx, job, run.no)
    const applying = await hasUnsettled(tx, run.no)
    // Cancelled while its last call was under way: whoever was told that it will be cancelled finds it so (C15).
    const { rowCount } = await tx.query(
      `UPDATE run SET status = $2, accepted_at = now(), expected = NULL WHERE no = $1 AND (cancel_requested_at IS NULL OR trigger = 'privacy')`,
      [run.no, applying ? 'applying' : 'completed'],
    )
    if (rowCount === 0) {
      job.audience = await readAudience(tx, job.audience.no) // a replacement that was carried through is not open any more
      await endIn(tx, job, run, 'cancelled', null)
      await restStatus(tx, job.audience.no)
      await requestFollowUp(tx, await readAudience(tx, job.audience.no))
      return
    }
    await announce(tx, 'accepted', job.audience, await readRun(tx, run.no))
    if (applying) await tx.query('UPDATE audience SET settle_at = coalesce(settle_at, now()) WHERE no = $1', [job.audience.no])
    else await complete(tx, job.audience.no, run.no)
    if (run.trigger !== 'privacy') await restStatus(tx, job.audience.no)
    // Whoever came too late for this run, and found it still open, gets one of their own with this very commit: nobody would make it later (R7).
    else if (await isLeftForPrivacy(tx, job.audience.no)) await requestPrivacyRun(tx, job.audience)
    await requestFollowUp(tx, await readAudience(tx, job.audience.no))
  })
}

/** After the run's row is written: whoever asks for a privacy run locks that row, and leaves people before. */
async function isLeftForPrivacy(tx: Tx, audienceNo: number): Promise<boolean> {
  const { rows } = await tx.query(`SELECT FROM todo WHERE audience_no = $1 AND reason = 'privacy' LIMIT 1`, [audienceNo])
  return rows.length > 0
}

async function hasUnsettled(tx: Tx, runNo: number): Promise<boolean> {
  const { rows } = await tx.query(`SELECT FROM batch WHERE run_no = $1 AND state = 'accepted' LIMIT 1`, [runNo])
  return rows.length > 0
}

/** The platform has finished with every change of the run. */
export async function complete(tx: Tx, audienceNo: number, runNo: number): Promise<void> {
  const { rowCount } = await tx.query(
    `UPDATE run SET finished_at = now(),
       status = CASE WHEN EXISTS (SELECT FROM batch WHERE run_no = $1 AND (state = 'rejected' OR rejected_added + rejected_removed + rejected_replaced + unnamed_rejections > 0))
         THEN 'completed_with_rejections' ELSE 'completed' END
     WHERE no = $1 AND finished_at IS NULL`,
    [runNo],
  )
  if (rowCount === 1) await announce(tx, 'completed', await readAudience(tx, audienceNo), await readRun(tx, runNo))
}

/** What an audience is between runs: too small, not made there or still being applied, or in step. */
export async function restStatus(tx: Tx, audienceNo: number): Promise<void> {
  const audience = await readAudience(tx, audienceNo)
  const { rows } = await tx.query<{ live: boolean; unapplied: boolean }>(
    `SELECT EXISTS (SELECT FROM run WHERE audience_no = $1 AND status IN ('running', 'waiting', 'held') AND trigger <> 'privacy') AS live,
       EXISTS (SELECT FROM batch WHERE audience_no = $1 AND state = 'accepted') AS unapplied`,
    [audienceNo],
  )
  if (rows[0]?.live && audience.status !== 'syncing') return
  const missing = audience.missing as StatusReason | null
  if (missing && !audience.healRequestedAt) return setStatus(tx, audience, 'held', { code: missing.code, detail: missing.detail, platform: missing.platform })
  const refused = await stillRefused(tx, audience)
  const stops = audience.drift ? stopsUploads(audience.drift as Drift) : undefined
  if (stops) return setStatus(tx, audience, 'error', { code: stops.code, detail: stops.detail })
  if (audience.tooSmall) await setStatus(tx, audience, 'paused', { code: 'audience_too_small' })
  else if (refused) await setStatus(tx, audience, 'held', refused)
  else await setStatus(tx, audience, rows[0]?.unapplied || audience.externalId === null ? 'pending' : 'active')
}

/**
 * Goes on by itself later, or when somebody has mended the connection. The lease is given back meanwhile. A wish that came since this worker
 * looked made the run due, and this would undo it: it is due at once, and whoever claims it next sees the wish (C15).
 */
export function wait(job: Job, run: RunRow, askedMs: number | null, reason: StatusReason): Promise<void> {
  const throttled = reason.code === 'platform_throttled' || reason.code === 'platform_blocked'
  return job.lease.fenced(run.no, async (tx, { cancel, pause, remove }) => {
    await storeCalls(tx, job, run.no)
    const wished = (cancel && !run.cancelRequestedAt) || (pause && !job.wished.pause) || (remove && !job.wished.remove)
    const forMs = wished ? 0 : askedMs
    const { rows } = await tx.query<{ until: Date | null }>(
      `UPDATE run SET status = 'waiting', wait_reason = $3, not_before = CASE WHEN $2::float8 IS NULL THEN 'infinity' ELSE now() + $2 * interval '1 millisecond' END,
         -- Whoever has to wait after a whole turn joins the line anew.
         gave_way_at = CASE WHEN (SELECT count(*) FROM batch b WHERE b.run_no = run.no AND b.sent_at > coalesce(run.gave_way_at, '-infinity')) >= ${TURN_CALLS} THEN now() ELSE gave_way_at END
       WHERE no = $1 RETURNING CASE WHEN $2::float8 IS NULL THEN NULL ELSE not_before END AS until`,
      [run.no, forMs, JSON.stringify(reason)],
    )
    const until = rows[0]?.until?.toISOString()
    const status: AudienceStatus = throttled ? 'rate_limited' : forMs === null ? 'error' : 'syncing'
    await setStatus(tx, job.audience, status, status === 'syncing' ? null : { ...reason, ...(until && { until }) })
  })
}

/** The brake (R6): nothing was sent; somebody has to look. */
export function hold(job: Job, run: RunRow, figures: Hold): Promise<void> {
  return job.lease.fenced(run.no, async (tx) => {
    await storeCalls(tx, job, run.no)
    await tx.query(`UPDATE run SET status = 'held', hold = $2, approval = NULL WHERE no = $1`, [run.no, JSON.stringify(figures)])
    const { sample: _people, ...shown } = figures
    const reason = {
      code: 'audience_held',
      detail: `The run would remove ${figures.removals} of ${figures.size} people${figures.before > 0 ? `, after ${figures.before} in the last 24 hours` : ''}; ${figures.sharePercent} % are allowed without approval.`,
    }
    await setStatus(tx, job.audience, 'held', reason, { runId: publicId('run', run.id), hold: shown })
  })
}

/** Ends early. What was not accepted is in `todo` already; the rest of the feed is still before the cursor. */
export function end(job: Job, run: RunRow, as: 'failed' | 'cancelled', reason: StatusReason | null, status: AudienceStatus | null): Promise<void> {
  return job.lease.fenced(run.no, async (tx) => {
    await endIn(tx, job, run, as, reason)
    if (status) await setStatus(tx, job.audience, status, reason)
    else await restStatus(tx, job.audience.no)
  })
}

/** The same, for whoever sets the status. */
export async function endIn(tx: Tx, job: Job, run: RunRow, as: 'failed' | 'cancelled', reason: StatusReason | null): Promise<void> {
  await storeCalls(tx, job, run.no)
  const replacing = replacingOf(job.audience)
  if (replacing?.state === 'open' && replacing.runNo === run.no) await giveUpReplacing(tx, job.audience, replacing, reason)
  await closeOpen(tx, job, run, as)
  const { rows: ended } = await tx.query<{ follow_up: boolean }>(
    'UPDATE run SET status = $2, error = $3, finished_at = now() WHERE no = $1 AND finished_at IS NULL RETURNING follow_up',
    [run.no, as, reason && JSON.stringify(reason)],
  )
  // A plan's run that ended before it began: who wished for another run meanwhile still gets it.
  if (ended[0]?.follow_up) await requestRun(tx, { audience: job.audience, trigger: 'api', announce: false })
  await announce(tx, as, job.audience, await readRun(tx, run.no), reason?.code)
  if (await hasUnsettled(tx, run.no)) await tx.query('UPDATE audience SET settle_at = coalesce(settle_at, now()) WHERE no = $1', [job.audience.no])
  // Whoever cancels the healing takes the answer back: the question stands again.
  if (as === 'cancelled' && run.trigger === 'heal') await tx.query('UPDATE audience SET heal_requested_at = NULL WHERE no = $1', [job.audience.no])
}

/**
 * Of a run that ends nothing is waiting any more (C24). What may have been sent is unknown, until the next run has sent it again; what
 * was surely not taken ends with the run, and its people are left to do (C3).
 */
async function closeOpen(tx: Tx, job: Job, run: RunRow, as: 'failed' | 'cancelled'): Promise<void> {
  await tx.query(`UPDATE batch SET state = 'unknown' WHERE run_no = $1 AND state = 'sending' AND attempts > 0`, [run.no])
  const { rows } = await tx.query<{ no: number }>(`UPDATE batch SET state = $2 WHERE run_no = $1 AND state IN ('planned', 'sending') RETURNING no`, [
    run.no,
    as,
  ])
  if (rows.length === 0) return
  const batches = rows.map(({ no }) => no)
  const { rows: people } = await tx.query<{ no: number }>(
    'SELECT customer_no AS no FROM ledger WHERE audience_no = $1 AND (add_batch = ANY($2) OR remove_batch = ANY($2)) ORDER BY customer_no',
    [job.audience.no, batches],
  )
  await leave(
    tx,
    job.scope,
    run.no,
    'failed',
    people.map(({ no }) => no),
  )
  await tx.query('DELETE FROM batch_payload WHERE batch_no = ANY($1)', [batches])
  for (const no of batches) job.exceptions.set(no, 'failed')
}
