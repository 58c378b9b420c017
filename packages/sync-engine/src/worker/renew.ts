/**
 * Memberships that the platform forgets (`renewAfterDays`): whoever was added that long ago, and is still wanted there, is added again,
 * as a repetition of their last word. It asks for permission anew like any addition, is not counted, and comes by itself: an audience
 * that nobody syncs does not run empty.
 */
import type { IdentifierChoice } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import { type Engine, inTenant } from './engine.ts'

/** How often somebody looks: a fraction of a day, the unit of `renewAfterDays`. */
export const RENEW_LOOK_MS = 6 * 3_600_000

/** Leaves everyone of this destination whose membership is due to be said again. Answers that no more is waiting. */
export async function leaveRenewals(engine: Engine): Promise<false> {
  const { manifest } = engine.destination
  if (!manifest.renewAfterDays) return false
  const { rows } = await engine.db.pool.query<{ no: number; tenant_id: string; settings: unknown; identifiers: IdentifierChoice[] }>(
    `SELECT no, tenant_id, settings, identifiers FROM audience
     WHERE destination_no = $1 AND external_id IS NOT NULL AND deleted_at IS NULL AND delete_requested_at IS NULL AND paused_at IS NULL ORDER BY no`,
    [engine.destinationNo],
  )
  for (const { no, tenant_id, settings, identifiers } of rows) {
    const days = manifest.renewAfterDays(manifest.settings.parse(settings), identifiers)
    if (days === null) continue
    await inTenant(engine, tenant_id, (tx) => sayEveryoneAgain(tx, no, days))
  }
  return false
}

/** Everyone who was added at least so many days ago, and is still wanted there, is said again as a repetition of their last word. */
export async function sayEveryoneAgain(tx: Tx, audienceNo: number, days: number): Promise<void> {
  await tx.query(
    `INSERT INTO say_again (audience_no, tenant_no, destination_no, customer_no, due_at, times)
     SELECT l.audience_no, l.tenant_no, l.destination_no, l.customer_no, now(), 1
     FROM ledger l JOIN audience a ON a.no = l.audience_no AND a.generation = l.generation JOIN batch b ON b.no = l.add_batch
     WHERE l.audience_no = $1 AND (l.remove_batch IS NULL OR l.remove_batch < l.add_batch)
       AND b.state IN ('accepted', 'applied') AND b.accepted_at <= now() - $2 * interval '1 day'
     -- Whoever has a row is said again anyway, but for those of whom only an earlier addition is remembered.
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET due_at = now() WHERE say_again.due_at = 'infinity'`,
    [audienceNo, days],
  )
}
