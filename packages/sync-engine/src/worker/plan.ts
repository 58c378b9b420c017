/**
 * Before anything is said: how much would be, counted from the feed and the ledger alone, no personal data read. What the
 * brake looks at, and what the progress is measured against.
 */
import { type Sample, Sampler } from '../pure/sample.ts'
import { Seen } from '../pure/seen.ts'
import { decidePage } from './decisions.ts'
import { inTenant } from './engine.ts'
import type { Job } from './job.ts'
import type { PageReader } from './source.ts'

export interface Plan {
  readonly add: number
  readonly replace: number
  readonly remove: number
  readonly unchanged: number
  /** Of `remove`: may not be there any more; never held back. */
  readonly privacy: number
  /** Of whom the others are. */
  readonly sample: Sample
}

export async function countPlan(job: Job, pages: PageReader): Promise<Plan> {
  const plan = { add: 0, replace: 0, remove: 0, unchanged: 0, privacy: 0 }
  const leaving = new Sampler()
  // Somebody who changed twice, or changed and was left to do, is on two pages and said once.
  const seen = new Seen()
  for await (const page of pages()) {
    const decided = await inTenant(job.engine, job.lease.tenantId, (tx) => decidePage(tx, job, page))
    for (const { customerNo, decision } of decided) {
      if (!seen.add(customerNo)) continue
      if (decision.kind === 'add' || decision.kind === 'replace' || decision.kind === 'remove' || decision.kind === 'unchanged') plan[decision.kind] += 1
      if (decision.kind !== 'remove') continue
      if (decision.privacy) plan.privacy += 1
      else leaving.add(customerNo)
    }
  }
  return { ...plan, sample: leaving.sample }
}
