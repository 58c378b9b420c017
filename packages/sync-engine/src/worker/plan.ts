/**
 * Before anything is said: how much would be, counted from the feed and the ledger alone, no personal data read. Here the
 * brake is decided (R6), and what the progress is measured against.
 */
import type { Tx } from '@audience-sync/db/database'
import { decidePage } from './decisions.ts'
import { RunHolds } from './endings.ts'
import { inTenant } from './engine.ts'
import type { Job } from './job.ts'
import type { PageReader } from './source.ts'

export interface Plan {
  readonly add: number
  readonly replace: number
  readonly remove: number
  /** Of `remove`: may not be there any more; never held back. */
  readonly privacy: number
}

export async function countPlan(job: Job, pages: PageReader): Promise<Plan> {
  const plan = { add: 0, replace: 0, remove: 0, privacy: 0 }
  for await (const page of pages()) {
    const decided = await inTenant(job.engine, job.lease.tenantId, (tx) => decidePage(tx, job, page))
    for (const { decision } of decided) {
      if (decision.kind === 'add' || decision.kind === 'replace' || decision.kind === 'remove') plan[decision.kind] += 1
      if (decision.kind === 'remove' && decision.privacy) plan.privacy += 1
    }
  }
  return plan
}

export interface Brake {
  readonly sharePercent: number
  readonly minimum: number
}

const APPROVED_GROWTH = 1.1 // R6: an approved run holds again if the removals grew by more than a tenth

/** Throws `RunHolds` when the plan would remove more than the brake allows. Costs no more than the removals themselves. */
export async function checkBrake(tx: Tx, job: Job, plan: Plan, brake: Brake, approved: { readonly removals: number } | null): Promise<void> {
  const removals = plan.remove - plan.privacy
  if (removals < Math.max(1, brake.minimum)) return
  // Enough to know whether the share is passed: more people than that would make the removals a smaller share.
  const enough = Math.floor((removals * 100) / brake.sharePercent) + 1
  const { rows } = await tx.query<{ size: number }>(
    `SELECT count(*)::int AS size FROM (SELECT FROM ledger WHERE audience_no = $1 AND generation = $2
       AND (remove_batch IS NULL OR remove_batch < add_batch) LIMIT $3) AS held`,
    [job.scope.audienceNo, job.scope.generation, enough],
  )
  const size = rows[0]?.size ?? 0
  if (removals * 100 <= brake.sharePercent * size) return
  if (approved && removals <= approved.removals * APPROVED_GROWTH) return
  throw new RunHolds({ removals, size, sharePercent: brake.sharePercent, minimum: brake.minimum })
}
