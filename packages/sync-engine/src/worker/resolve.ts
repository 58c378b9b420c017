/**
 * What an earlier worker left behind, before anything new is said: whatever may have been sent is sent again, byte for byte,
 * until its outcome is known; what was surely not taken is dissolved and its people are fetched anew (SYNC.md C11, C15).
 */
import { orm } from '@audience-sync/db/database'
import { and, eq, inArray } from 'drizzle-orm'
import { batch } from '../schema/batch.ts'
import { type RunRow, readRun } from '../store/rows.ts'
import { loadBatch } from './batches.ts'
import { inTenant } from './engine.ts'
import type { Job } from './job.ts'
import { ended, sendBatch } from './send.ts'

export interface OpenOf {
  /** Only what this run left open. */
  readonly run?: RunRow
  /** This run is about to end as cancelled: what was not taken of it counts so, and is left to the next one (C24). */
  readonly stopping?: RunRow | undefined
}

/** Resends or ends every open batch of the audience, or of one run, oldest first. */
export async function resolveOpen(job: Job, { run: ofRun, stopping }: OpenOf = {}): Promise<void> {
  const { lease, audience } = job
  const open = await inTenant(job.engine, lease.tenantId, (tx) =>
    orm(tx)
      .select({ no: batch.no, runNo: batch.runNo, state: batch.state, attempts: batch.attempts })
      .from(batch)
      // Of a far audience that we have left nothing is resent: `former.ts`.
      .where(
        and(
          eq(batch.audienceNo, audience.no),
          eq(batch.generation, audience.generation),
          inArray(batch.state, ['planned', 'sending', 'unknown']),
          ofRun && eq(batch.runNo, ofRun.no),
        ),
      )
      .orderBy(batch.no),
  )
  for (const { no, runNo, state, attempts } of open) {
    const stored = await loadBatch(job, no)
    if (!stored) continue
    const run = await inTenant(job.engine, lease.tenantId, (tx) => readRun(tx, runNo))
    if (state === 'planned' || attempts === 0) {
      const everyone = stored.people.map(({ customerNo }) => customerNo)
      await ended(job, run, stored, runNo === stopping?.no ? 'cancelled' : 'dissolved', null, 'dissolved', everyone)
      continue
    }
    // Whoever began to send it is gone: until the platform takes it, it is unknown, also when the next try is refused at the door.
    await sendBatch(job, run, { ...stored, row: { ...stored.row, state: 'unknown' } })
  }
}
