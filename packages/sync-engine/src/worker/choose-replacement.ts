/**
 * Whether a run says the whole list anew (SYNC.md C21): what is known here is gathered for the rule (`pure/replacing.ts`), the platform is
 * looked at, and the replacement is stored before anything is said. And what a run finds of an earlier one: its own, which it goes on
 * with, or one that the platform is still at, for which it waits.
 */
import type { Tx } from '@audience-sync/db/database'
import type { Feed } from '../peers.ts'
import { whyNotReplace } from '../pure/replacing.ts'
import { capacityOf } from '../store/limiter.ts'
import { isUnfinished, type Replacing, replacingOf, setReplacing } from '../store/replacing.ts'
import type { RunRow } from '../store/rows.ts'
import { insertBatch, newSessionId } from './batches.ts'
import type { Allowance } from './brake.ts'
import { RunWaits } from './endings.ts'
import { inTenant } from './engine.ts'
import { callPlatform, grantOf, type Job } from './job.ts'
import { isOneTenants, mayRemoveEverywhere } from './opt-out.ts'
import type { Plan } from './plan.ts'
import { listOf } from './replacement-call.ts'
import type { Bound } from './source.ts'

export const STILL_AT_WORK_MS = 60_000 // the platform takes minutes rather than seconds

/** What an earlier replacement left: answers the one that this run goes on with; waits while the platform is at one. */
export async function openReplacement(job: Job, run: RunRow): Promise<Replacing | null> {
  const replacing = replacingOf(job.audience)
  if (!replacing) return null
  if (replacing.state === 'open' && replacing.runNo === run.no) return replacing
  const atWork = new RunWaits(STILL_AT_WORK_MS, { code: 'platform_busy', detail: 'The platform is replacing the list.' })
  if (replacing.state === 'sent') throw atWork
  // A new far audience knows nothing of it.
  const { state } = job.audience.externalId === null ? { state: 'ready' } : await look(job, run)
  if (state === 'busy' || state === 'begun') throw atWork
  await job.lease.fenced(run.no, (tx) => setReplacing(tx, job.audience.no, null))
  job.audience = { ...job.audience, replacing: null }
  return null
}

const look = (job: Job, run: RunRow) => callPlatform(job, run.no, 'read', (ctx) => listOf(job).look(ctx, job.audience.externalId ?? '', job.config, null))

/** How long the points of so many calls take to come back, where they come back slowest. */
async function pointsMs(tx: Tx, { engine, audience }: Job, tier: string | null, calls: number): Promise<number> {
  const { rows } = await tx.query<{ tier: string }>('SELECT tier FROM quota WHERE destination_no = $1 AND scope = $2 AND tier IS NOT NULL LIMIT 1', [
    engine.destinationNo,
    audience.accountExternalId,
  ])
  const of = tier ?? rows[0]?.tier ?? null
  const waits = engine.destination.manifest.quotas.map((quota) => (calls * quota.cost.write * quota.decaySeconds * 1_000) / capacityOf(quota, of))
  return Math.max(0, ...waits)
}

export interface Replanned {
  readonly plan: Plan
  readonly bound: Bound
  readonly exact: boolean
  readonly tooSmall: boolean
  readonly allowance: Allowance
}

/** Begins one, where this run says the whole list anew; null: it adds and removes. */
export async function chooseReplacement(job: Job, run: RunRow, feed: Feed, { plan, bound, exact, tooSmall, allowance }: Replanned): Promise<Replacing | null> {
  const { engine, audience, config } = job
  const { replaceList, manifest } = engine.destination
  if (!replaceList || audience.externalId === null) return null
  const people = plan.add + plan.replace + plan.unchanged
  const calls = Math.ceil(people / manifest.limits.rowsPerCall)
  const grant = await grantOf(job)
  const { unfinished, quotaMs } = await inTenant(engine, job.lease.tenantId, async (tx) => ({
    unfinished: await isUnfinished(tx, audience.no),
    quotaMs: await pointsMs(tx, job, grant.tier, calls),
  }))
  const why = whyNotReplace({
    wish: replaceList.wish(config.settings),
    // Opt-outs meanwhile have to go by the whole account.
    refusal: mayRemoveEverywhere(job, grant) && (await isOneTenants(job)) ? replaceList.refusal(config) : 'Opt-outs cannot be removed from the whole account.',
    full: bound.mode === 'full',
    plan: exact,
    tooSmall,
    adopted: audience.adopted,
    unfinished,
    failedBefore: audience.fullReason === 'replacement_failed',
    removalsRefused: audience.shrinkRefused !== null,
    people,
    present: plan.replace + plan.unchanged + plan.remove,
    changes: plan.add + plan.replace + plan.remove,
    peopleAtMost: replaceList.peopleAtMost,
    worthFrom: replaceList.worthFrom,
    quotaMs,
    windowMs: replaceList.windowMs,
  })
  if (why !== null) return null
  const { state, detail } = await look(job, run)
  if (state !== 'ready' && state !== 'failed') {
    engine.log.info({ audienceNo: audience.no, state, detail }, 'the list is not replaced')
    return null
  }
  const { start } = await feed.members(0, job.lease.signal)
  const replacing = await job.lease.fenced(run.no, async (tx): Promise<Replacing> => {
    const removal = { operation: 'remove', lane: '', session: null, people: [], suppressionsAt: '0:0', repeat: false, manner: 'replace' } as const
    const made: Replacing = {
      runNo: run.no,
      state: 'open',
      removal: await insertBatch(tx, job, run, removal),
      sessionId: newSessionId(),
      configVersion: job.versions.configVersion,
      start,
      epoch: bound.epoch,
      removals: plan.remove - plan.privacy,
      privacy: plan.privacy,
      atMost: Number.isFinite(allowance.atMost) ? allowance.atMost : null,
      begunAt: null,
    }
    await setReplacing(tx, audience.no, made)
    return made
  })
  job.audience = { ...audience, replacing }
  return replacing
}
