/**
 * The brake (R6, SYNC.md C17): how many people may go before somebody has to look. Removals for privacy never count. Small steps
 * do: what went in the last 24 hours counts too, and so do those whose identifiers are found lost only at the fetch. All of them
 * count against everybody who was there at some time of those 24 hours: at the window's start there was nobody yet in an
 * audience that is a day old.
 */
import type { Tx } from '@audience-sync/db/database'
import { type Sample, shareOfOthers } from '../pure/sample.ts'
import { RunHolds } from './endings.ts'
import type { Job } from './job.ts'

export interface Brake {
  readonly sharePercent: number
  readonly minimum: number
}

/** Figures of a hold, and what an approval approved. */
export interface Hold extends Brake {
  readonly removals: number
  readonly size: number
  /** Removed in the 24 hours before, by runs that nobody approved. */
  readonly before: number
  readonly sample: Sample
}

export interface PlannedRemovals {
  readonly removals: number
  readonly sample: Sample
}

const APPROVED_GROWTH = 1.1 // R6: an approved run holds again if the removals grew by more than a tenth …
const APPROVED_OTHERS = 0.1 // … or if a tenth of them are other people
const NO_LIMIT = Number.POSITIVE_INFINITY

export interface Allowance {
  /** Removals that this run may make in all, privacy apart. */
  readonly atMost: number
  /** What the share is a share of, as far as it was counted. */
  readonly size: number
  /** Removed in the 24 hours before. */
  readonly before: number
}

/**
 * How many removals this run may make in all; throws `RunHolds` when the plan has more. Costs no more than the removals do: people
 * are counted only as far as it takes to know that the share is not passed.
 */
export async function checkBrake(tx: Tx, { scope }: Pick<Job, 'scope'>, planned: PlannedRemovals, brake: Brake, approved: Hold | null): Promise<Allowance> {
  if (approved) {
    const atMost = Math.floor(approved.removals * APPROVED_GROWTH)
    if (planned.removals <= atMost && shareOfOthers(approved.sample, planned.sample) <= APPROVED_OTHERS)
      return { atMost, size: approved.size, before: approved.before }
  }
  const { braked, gone } = await lastDay(tx, scope)
  const total = planned.removals + braked
  // At least so many may go, and whatever the share of as many people as it takes to allow this plan.
  const enough = Math.floor((total * 100) / brake.sharePercent) + 1
  const { rows } = await tx.query<{ size: number }>(
    `SELECT count(*)::int AS size FROM (SELECT FROM ledger WHERE audience_no = $1 AND generation = $2
       AND (remove_batch IS NULL OR remove_batch < add_batch) LIMIT $3) AS held`,
    [scope.audienceNo, scope.generation, Math.max(enough, brake.minimum)],
  )
  const size = (rows[0]?.size ?? 0) + gone
  if (total < Math.max(1, brake.minimum) || total * 100 <= brake.sharePercent * size) return { atMost: most(size, brake, braked), size, before: braked }
  throw new RunHolds({ ...brake, removals: planned.removals, size, before: braked, sample: planned.sample })
}

const most = (size: number, { sharePercent, minimum }: Brake, before: number): number =>
  sharePercent >= 100 ? NO_LIMIT : Math.max(minimum - 1, Math.floor((sharePercent * size) / 100)) - before

/** Who went in the last 24 hours: those that the brake counts, and all. */
async function lastDay(tx: Tx, { audienceNo, generation }: Job['scope']): Promise<{ braked: number; gone: number }> {
  const { rows } = await tx.query<{ braked: number; gone: number }>(
    `SELECT coalesce(sum(b.braked) FILTER (WHERE r.approval IS NULL), 0)::int AS braked, coalesce(sum(b.removed - b.rejected_removed), 0)::int AS gone
     FROM batch b JOIN run r ON r.no = b.run_no
     WHERE b.audience_no = $1 AND b.generation = $2 AND b.state IN ('accepted', 'applied') AND b.accepted_at > now() - interval '24 hours'`,
    [audienceNo, generation],
  )
  return rows[0] ?? { braked: 0, gone: 0 }
}
