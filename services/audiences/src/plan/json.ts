import { publicId } from '@audience-sync/contracts/ids'
import type { Plan } from '@audience-sync/contracts/rest/plans'
import type { Tx } from '@audience-sync/db/database'
import { readAudience } from '@audience-sync/sync-engine/store/rows'
import type { PlanRow } from './make.ts'

/** A row as the API shows it. */
export async function planJson(tx: Tx, { id, audienceNo, createdAt, expiresAt, mode, hold, counts, shown, runId }: PlanRow): Promise<Plan> {
  const audience = await readAudience(tx, audienceNo)
  return {
    id: publicId('plan', id),
    audienceId: publicId('audience', audience.id),
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    mode: mode as Plan['mode'],
    held: hold !== null,
    hold,
    counts,
    ...shown,
    runId: runId && publicId('run', runId),
  }
}
