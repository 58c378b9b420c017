/**
 * One audience, from claim to release. Order: who may not be there any more, then what an earlier worker left open, then a
 * wish to stop, then the run itself, then its lookalikes. Every ending that is not success comes here as an error of `endings.ts` and becomes a
 * state, once.
 */
import { publicId } from '@audience-sync/contracts/ids'
import type { Tx } from '@audience-sync/db/database'
import { databaseUnavailable } from '@audience-sync/db/unavailable'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import { AppError } from '@audience-sync/errors/app-error'
import { withTraceparent } from '@audience-sync/service/otel'
import { foundMissing, isHeldBack, missingOf } from '../drift/missing.ts'
import { REFUSED_AGAIN_MS } from '../options.ts'
import { requestRun } from '../requests.ts'
import { readExceptions } from '../store/ledger.ts'
import { giveUpReplacing, replacingOf } from '../store/replacing.ts'
import { type RunRow, readAudience, readRun } from '../store/rows.ts'
import { crossMinimum, setStatus } from '../store/status.ts'
import { act } from './act.ts'
import { type Brake, checkBrake, type Hold } from './brake.ts'
import { chooseReplacement, openReplacement } from './choose-replacement.ts'
import { begin, end, endIn, finish, hold, wait } from './close.ts'
import { deleteAudience } from './delete-audience.ts'
import { ReplaceFails, RunFails, RunHolds, RunStops, RunWaits, reasonOf } from './endings.ts'
import { type Engine, inTenant } from './engine.ts'
import { ensureFarAudience, tellChoices } from './far-audience.ts'
import { heal, wantsHeal } from './heal.ts'
import { backoffMs, grantOf, type Job, openJob } from './job.ts'
import { Fenced, type Lease } from './lease.ts'
import { lookAfterLookalikes } from './lookalikes.ts'
import { countPlan } from './plan.ts'
import { removeForPrivacy, waitWithPrivacy } from './privacy.ts'
import { repeatLastWords } from './repeat.ts'
import { replaceWholeList } from './replacement.ts'
import { resolveOpen } from './resolve.ts'
import { type Bound, chooseBound, isPlan, pagesOf } from './source.ts'

/** Does whatever is due for the leased audience, and gives the lease back. */
export async function workAudience(engine: Engine, lease: Lease): Promise<void> {
  const log = engine.log.child({ audienceNo: lease.audienceNo, tenantId: lease.tenantId })
  try {
    const { audience, exceptions, due } = await inTenant(engine, lease.tenantId, async (tx) => ({
      audience: await readAudience(tx, lease.audienceNo),
      exceptions: await readExceptions(tx, lease.audienceNo),
      due: await dueRun(tx, lease.audienceNo),
    }))
    const job = openJob(engine, lease, audience, exceptions)
    await withTraceparent(due?.traceparent, 'sync', async () => {
      if (due) log.info({ runId: publicId('run', due.id), trigger: due.trigger, status: due.status }, 'work on a run')
      // Removals for privacy meet their own trouble: whatever it is, another run's state does not change for it.
      await atPeace(job, undefined, () => removeForPrivacy(job))
      await atPeace(job, due, () => move(job, due))
      await lookAfterLookalikes(job)
      if (audience.deleteRequestedAt) await letGo(job)
    })
  } catch (error) {
    if (error instanceof Fenced || lease.signal.aborted) log.info({ why: 'lease' }, 'work was left to a successor')
    else throw error
  } finally {
    await lease.release()
  }
}

/** The live run, else the queued one, if it may be worked on now. A held run is left alone until somebody decides. */
async function dueRun(tx: Tx, audienceNo: number): Promise<RunRow | undefined> {
  const { rows } = await tx.query<{ no: number }>(
    `SELECT r.no FROM run r JOIN audience a ON a.no = r.audience_no
     WHERE r.audience_no = $1 AND r.trigger <> 'privacy' AND r.status IN ('queued', 'running', 'waiting', 'held')
       AND (r.cancel_requested_at IS NOT NULL OR a.paused_at IS NOT NULL OR a.delete_requested_at IS NOT NULL OR (r.status = 'held' AND r.approval IS NOT NULL)
         OR (r.status <> 'held' AND (a.missing IS NULL OR a.heal_requested_at IS NOT NULL) AND (r.not_before IS NULL OR r.not_before <= now())))
       AND (r.status <> 'queued' OR r.cancel_requested_at IS NOT NULL OR NOT EXISTS
         (SELECT FROM run l WHERE l.audience_no = $1 AND l.trigger <> 'privacy' AND l.status IN ('running', 'waiting', 'held')))
     ORDER BY r.status = 'queued', r.no LIMIT 1`,
    [audienceNo],
  )
  return rows[0] && readRun(tx, rows[0].no)
}

async function move(found: Job, run: RunRow | undefined): Promise<void> {
  const job = run && wantsHeal(found.audience, run) ? await heal(found, run) : found
  const { audience } = job
  // Only a stop is due now.
  const stops = audience.deleteRequestedAt !== null || audience.pausedAt !== null || run?.cancelRequestedAt
  if (isHeldBack(audience) && !stops) return
  // What was begun of a new list is said to its end first.
  const replacing = replacingOf(audience)
  const carriedThrough = replacing?.state === 'open' && replacing.runNo === run?.no
  if ((run || audience.deleteRequestedAt) && !isHeldBack(audience)) await resolveOpen(job, { stopping: stops && !carriedThrough ? run : undefined })
  if (audience.deleteRequestedAt) throw new RunStops('remove')
  if (!run) return
  if (!carriedThrough) {
    if (audience.pausedAt) throw new RunStops('pause')
    if (run.cancelRequestedAt) throw new RunStops('cancel')
  }
  await doRun(job, run)
}

async function doRun(job: Job, queued: RunRow): Promise<void> {
  const { engine, audience, lease } = job
  const run = await begin(job, queued)
  const feed = engine.feed(audience.tenantId, audience.behaviorId)
  const { manifest } = engine.destination
  const open = await openReplacement(job, run)
  if (open) {
    if (open.configVersion !== job.versions.configVersion)
      throw new ReplaceFails({ code: 'replacement_failed', detail: 'What is sent was chosen anew.' }, open.begunAt !== null)
    await replaceWholeList(job, run, feed, open, reached(job, { epoch: open.epoch, mode: 'full' }, false))
    return finish(job, run)
  }
  const { eligible } = await feed.eligible(manifest.purpose(job.config.settings), job.choice.chosen, audience.minimumSize)
  // `audiences` counts, too: whether it is too small is read under the lock, so that a crossing is told once.
  const tooSmall = await lease.fenced(run.no, async (tx) => crossMinimum(tx, await readAudience(tx, audience.no), eligible))
  if (tooSmall && audience.externalId === null) return finish(job, run)
  const bound = await chooseBound(job, feed, run)
  await lease.fenced(run.no, async (tx) => {
    await tx.query('UPDATE run SET mode = $2, bound = $3 WHERE no = $1', [run.no, bound.mode, bound.below])
    // From here on until a full run has ended rows of several versions may stand in the ledger, whoever goes on with it.
    await tx.query('UPDATE audience SET normaliser = NULL WHERE no = $1 AND normaliser <> $2', [audience.no, job.versions.normaliser])
    // C5: our cause may be behind the horizon still; another run looks again.
    if (bound.behind) await requestRun(tx, { audience, trigger: run.trigger as 'api', delayMs: engine.options.horizonMs, announce: false })
  })
  const pages = pagesOf(job, feed, run, bound)
  const plan = await countPlan(job, pages)
  const allowance = await lease.fenced(run.no, async (tx) => {
    const planned = { removals: plan.remove - plan.privacy, sample: plan.sample }
    const allowed = await checkBrake(tx, job, planned, audience.brake as Brake, run.approval as Hold | null)
    await tx.query('UPDATE run SET expected = $2 WHERE no = $1', [run.no, (tooSmall ? 0 : plan.add) + plan.replace + plan.remove])
    return allowed
  })
  if (plan.add + plan.replace + plan.remove > 0) await ensureFarAudience(job, run)
  await tellChoices(job, run)
  const replacing = await chooseReplacement(job, run, feed, { plan, bound, exact: isPlan(run), tooSmall, allowance })
  if (replacing) {
    await replaceWholeList(job, run, feed, replacing, reached(job, bound, false))
    return finish(job, run)
  }
  await act(job, {
    run,
    feed,
    pages,
    expected: (tooSmall ? 0 : plan.add) + plan.replace + plan.remove,
    withholdAdditions: tooSmall,
    exact: isPlan(run),
    brake: {
      atMost: allowance.atMost,
      hold: (removals) => new RunHolds({ ...(audience.brake as Brake), ...allowance, removals, sample: plan.sample }),
    },
    finish: reached(job, bound, tooSmall),
  })
  await repeatLastWords(job, run, feed)
  await finish(job, run)
}

/** Everything up to the cursor is said: the reason to look at everyone is gone, unless there is another. */
const reached =
  ({ audience, versions }: Job, { epoch, mode }: Pick<Bound, 'epoch' | 'mode'>, tooSmall: boolean) =>
  async (tx: Tx, cursor: string): Promise<void> => {
    await tx.query(
      `UPDATE audience SET cursor = $2, cursor_epoch = $3, normaliser = CASE WHEN $6 = 'full' THEN $7 ELSE normaliser END,
         full_reason = CASE WHEN config_version <> $4 THEN 'config_changed' WHEN $5 THEN 'was_too_small' WHEN $6 = 'full' THEN NULL ELSE full_reason END WHERE no = $1`,
      [audience.no, cursor, epoch, audience.configVersion, tooSmall, mode, versions.normaliser],
    )
  }

/** Runs `work`; its endings become states of the run. */
async function atPeace(job: Job, run: RunRow | undefined, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (error instanceof Fenced || job.lease.signal.aborted) throw error
    if (!run) {
      if (error instanceof RunStops) return
      if (error instanceof RunFails && error.missing) await noteMissing(job, error)
      return later(job, error)
    }
    if (error instanceof RunWaits) {
      await wait(job, run, error.forMs, error.reason)
      if (error.forMs === null) await goOnIfMended(job, run)
      return
    }
    if (error instanceof ReplaceFails) return addAndRemove(job, run, error)
    if (error instanceof RunHolds) return hold(job, run, error.figures)
    if (error instanceof RunFails && error.missing) return noteMissing(job, error, run)
    if (error instanceof RunFails) return end(job, run, 'failed', error.reason, 'error')
    if (error instanceof RunStops) return end(job, run, 'cancelled', null, error.wish === 'remove' ? 'deleting' : null)
    if (error instanceof DestinationError) return end(job, run, 'failed', reasonOf(error.failure), 'error')
    if (error instanceof AppError && error.status === 503)
      return wait(job, run, backoffMs(job.engine, run.attempts), { code: error.code, detail: error.message })
    if (databaseUnavailable(error)) {
      job.engine.log.warn({ err: error, runId: run.id }, 'the database was away')
      return wait(job, run, backoffMs(job.engine, run.attempts), { code: 'service_unavailable', detail: 'The database was not available for a moment.' })
    }
    job.engine.log.error({ err: error, runId: run.id }, 'a run failed')
    return end(job, run, 'failed', { code: 'internal' }, 'error')
  }
}

/**
 * Whoever mends a connection makes the runs due that wait for it. One that was refused before, and stored its wait after, would wait for ever:
 * so it asks once more, now that it can be seen waiting.
 */
async function goOnIfMended(job: Job, run: RunRow): Promise<void> {
  try {
    await grantOf(job)
  } catch (error) {
    if (error instanceof RunWaits) return
    throw error
  }
  await job.lease.fenced(run.no, (tx) => tx.query(`UPDATE run SET not_before = now() WHERE no = $1 AND status = 'waiting'`, [run.no]))
}

/** The run that meets it ends; what follows is the owner's (C19). */
function noteMissing(job: Job, { reason, missing }: RunFails, run?: RunRow): Promise<void> {
  const { lease, audience } = job
  return lease.fenced(run?.no ?? null, async (tx) => {
    if (run) await endIn(tx, job, run, 'failed', reason)
    await foundMissing(tx, audience.no, { ...reason, proven: missing === 'gone' && reason.code === 'audience_missing' })
    job.audience = await readAudience(tx, audience.no)
  })
}

/** The replacement is over; the same run goes on at once, person by person. */
async function addAndRemove(job: Job, run: RunRow, { begun, reason }: ReplaceFails): Promise<void> {
  job.engine.log.warn({ audienceNo: job.audience.no, begun, ...reason }, 'a replacement failed')
  const replacing = replacingOf(job.audience)
  if (replacing)
    await job.lease.fenced(run.no, (tx) => giveUpReplacing(tx, job.audience, { ...replacing, begunAt: begun ? (replacing.begunAt ?? 0) : null }, reason))
  await wait(job, run, 0, reason)
}

const LATER_MS = 30_000 // nobody waits on this: a removal for privacy, or a deletion, that meets trouble

/** Trouble without a run of its own: the open privacy run, or the deletion, is tried again after a while. */
async function later(job: Job, error: unknown): Promise<void> {
  const missing = missingOf(job.audience)
  // From what is gone nobody has to be removed, which is soon recorded; what is not shown to us is looked at within the hour, which makes it due.
  const restMs = missing ? (missing.proven ? 0 : REFUSED_AGAIN_MS) : LATER_MS
  const forMs = error instanceof RunWaits && error.forMs !== null ? error.forMs : restMs
  job.engine.log.warn({ err: error, audienceNo: job.audience.no }, 'work without a run has to wait')
  await waitWithPrivacy(job, forMs)
  await job.lease.fenced(null, async (tx) => {
    await tx.query(`UPDATE audience SET next_run_at = now() + $2 * interval '1 millisecond' WHERE no = $1 AND delete_requested_at IS NOT NULL`, [
      job.audience.no,
      forMs,
    ])
  })
}

async function letGo(job: Job): Promise<void> {
  try {
    await deleteAudience(job)
  } catch (error) {
    if (error instanceof Fenced || job.lease.signal.aborted) throw error
    // Somebody has to do something first: said where the audience is shown.
    if (error instanceof RunFails) await job.lease.fenced(null, (tx) => setStatus(tx, job.audience, 'deleting', error.reason))
    await later(job, error)
  }
}
