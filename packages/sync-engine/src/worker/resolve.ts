/**
 * What an earlier worker left behind, before anything new is said: whatever may have been sent is sent again, byte for byte,
 * until its outcome is known; what was surely not taken is dissolved and its people are fetched anew (SYNC.md C11, C15).
 */
import { orm } from '@audience-sync/db/database'
import { and, eq, inArray } from 'drizzle-orm'
import { batch } from '../schema/batch.ts'
import { type RunRow, readRun } from '../store/rows.ts'
import { loadBatch, tombstoned } from './batches.ts'
import { ReplaceFails } from './endings.ts'
import { inTenant } from './engine.ts'
import type { Job } from './job.ts'
import { ended, sendBatch } from './send.ts'

/** Resends or ends every open batch of the audience, or of one run, oldest first. */
export async function resolveOpen(job: Job, ofRun?: RunRow): Promise<void> {
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
    const everyone = stored.people.map(({ customerNo }) => customerNo)
    if (state === 'planned' || attempts === 0) {
      await ended(job, run, stored, 'dissolved', null, 'dissolved', everyone)
      continue
    }
    const gone = await inTenant(job.engine, lease.tenantId, (tx) => tombstoned(tx, job, stored))
    // Somebody in it may not be sent again: their removal is on its way, the others are said anew (C11).
    // A place in a session cannot be left out: the whole of it is given up.
    if (gone.size > 0 && stored.row.manner === 'replace')
      throw new ReplaceFails({ code: 'replacement_failed', detail: 'Somebody opted out of a part whose outcome is unknown.' }, true)
    if (gone.size > 0) await ended(job, run, stored, 'abandoned', null, 'unknown', everyone)
    else await sendBatch(job, run, stored)
  }
}
