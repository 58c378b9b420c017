/**
 * A batch whose outcome is unknown when its run has ended is sent again by the next run (`resolve.ts`). Where nobody asks for one, as for
 * a manual audience, this does, after a while.
 */
import { requestRun } from '../requests.ts'
import { readAudience } from '../store/rows.ts'
import { type Engine, inTenant } from './engine.ts'

export const OPEN_ENDS_MS = 60_000
const AGAIN = '1 hour' // its run has tried for as long as the audience's retry policy allows: what failed then is not over in minutes
const AT_ONCE = 32

export async function requestOpenEnds(engine: Engine): Promise<false> {
  const { rows } = await engine.db.tx((tx) =>
    tx.query<{ no: number; tenantId: string }>(
      `SELECT a.no, a.tenant_id AS "tenantId" FROM audience a
       WHERE a.destination_no = $1 AND a.paused_at IS NULL AND a.deleted_at IS NULL AND a.delete_requested_at IS NULL AND a.missing IS NULL
         AND EXISTS (SELECT FROM batch b WHERE b.audience_no = a.no AND b.state = 'unknown')
         AND NOT EXISTS (SELECT FROM run r WHERE r.audience_no = a.no AND r.trigger <> 'privacy'
           AND (r.status IN ('queued', 'running', 'waiting', 'held') OR r.finished_at > now() - interval '${AGAIN}'))
       ORDER BY a.no LIMIT ${AT_ONCE}`,
      [engine.destinationNo],
    ),
  )
  for (const { no, tenantId } of rows)
    await inTenant(engine, tenantId, async (tx) => requestRun(tx, { audience: await readAudience(tx, no), trigger: 'heal', announce: false }))
  return false
}
