/**
 * Applying a plan: everything is looked at anew, up to a bound of now. The same people, said in the same way: a run up to that
 * very bound. Anything else is `plan_stale`, with both figures. Who changes after the bound is left to the next run.
 */
import { uuidOf } from '@audience-sync/contracts/ids'
import { orm, type Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { traceparent } from '@audience-sync/service/otel'
import { requestRun } from '@audience-sync/sync-engine/requests'
import { run } from '@audience-sync/sync-engine/schema/run'
import { type AudienceRow, type RunRow, readAudience, readRun } from '@audience-sync/sync-engine/store/rows'
import { eq } from 'drizzle-orm'
import { refuseUnlessReady } from '../actions.ts'
import { destinationAt } from '../destinations.ts'
import { asSent } from '../normaliser.ts'
import type { RouteParts } from '../routes/parts.ts'
import { plan } from '../schema.ts'
import { openRuns } from '../store.ts'
import { type Look, look } from './look.ts'
import type { PlanRow } from './make.ts'

/** By its public id; `not_found` for unknown and foreign ones. */
export async function findPlan(tx: Tx, publicPlanId: string): Promise<PlanRow> {
  const id = uuidOf('plan', publicPlanId)
  const [row] = id ? await orm(tx).select().from(plan).where(eq(plan.id, id)) : []
  if (!row) throw new AppError('not_found', 'There is no such plan.')
  return row
}

export interface Compared {
  readonly planId: string
  readonly audience: AudienceRow
  /** null: it was applied before. */
  readonly seen: Look | null
}

/** Throws what forbids it; a plan that was applied already is answered with its run. */
export async function comparePlan({ db, peers, destinations }: RouteParts, tenantId: string, planId: string, signal: AbortSignal): Promise<Compared> {
  const { planned, audience } = await db.tenant(tenantId, async (tx) => {
    const planned = await findPlan(tx, planId)
    const audience = await readAudience(tx, planned.audienceNo)
    if (!planned.runId) await refuseToApply(tx, planned, audience)
    return { planned, audience }
  })
  if (planned.runId) return { planId, audience, seen: null }
  const { manifest } = await db.tenant(tenantId, (tx) => asSent(tx, destinationAt(destinations, audience.destination)))
  const seen = await look({ db, feed: peers.feed(tenantId, audience.behaviorId), manifest, signal }, audience)
  refuseIfStale(planned, seen)
  return { planId, audience, seen }
}

/** Queues the run. Whatever came between the comparison and now forbids it, too. */
export async function applyPlan(tx: Tx, { planId, audience, seen }: Compared): Promise<RunRow> {
  await tx.query('SELECT FROM audience WHERE no = $1 FOR NO KEY UPDATE', [audience.no])
  const planned = await findPlan(tx, planId)
  if (planned.runId) return runOf(tx, planned.runId)
  if (!seen) throw new Error('A plan lost its run.')
  const now = await readAudience(tx, audience.no)
  await refuseToApply(tx, planned, now)
  if (now.cursor !== audience.cursor || now.fullReason !== audience.fullReason) throw stale('A run came in between.')
  const { no, id, outcome } = await requestRun(tx, { audience: now, trigger: 'plan', mode: seen.bound.mode, traceparent: traceparent() })
  if (outcome !== 'created') throw stale('Another run is queued.')
  await tx.query('UPDATE run SET bound = $2 WHERE no = $1', [no, seen.bound.below])
  await orm(tx).update(plan).set({ runId: id }).where(eq(plan.id, planned.id))
  return readRun(tx, no)
}

async function runOf(tx: Tx, id: string): Promise<RunRow> {
  const [row] = await orm(tx).select().from(run).where(eq(run.id, id))
  if (!row) throw new AppError('not_found', 'The run of this plan is gone.')
  return row
}

async function refuseToApply(tx: Tx, planned: PlanRow, audience: AudienceRow): Promise<void> {
  if (audience.deletedAt) throw new AppError('not_found', 'The audience of this plan is gone.')
  const { rows } = await tx.query('SELECT FROM plan WHERE id = $1 AND expires_at <= now()', [planned.id])
  if (rows.length > 0) throw new AppError('plan_expired', `The plan was good until ${planned.expiresAt.toISOString()}.`)
  await refuseUnlessReady(tx, audience)
  if (audience.configVersion !== planned.configVersion) throw stale('The audience’s choices have changed.')
  if (audience.generation !== planned.generation) throw stale('The audience at the destination is another one.')
  const [open] = await openRuns(tx, [audience.no])
  if (open) throw stale(`Another run is ${open.status}: what it changes is not in the plan.`)
}

function refuseIfStale({ digest, counts }: PlanRow, { tally }: Look): void {
  if (tally.digest.equals(digest)) return
  const moved = (['add', 'remove', 'replace'] as const).filter((kind) => counts[kind] !== tally.counts[kind])
  const detail =
    moved.length > 0 ? moved.map((kind) => `${kind}: ${counts[kind]}, now ${tally.counts[kind]}`).join('; ') : 'as many, but other people or other identifiers'
  throw stale(`What would be sent has changed: ${detail}.`, { planned: counts, now: tally.counts })
}

const stale = (detail: string, extra?: Record<string, unknown>) => new AppError('plan_stale', detail, extra ? { extra } : {})
