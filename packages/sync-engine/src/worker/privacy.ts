/**
 * Removals for privacy: opt-out and erasure pass pauses, schedules, minimum sizes and the brake (R7). They are a run of their
 * own under the audience's lease, done before anything else and between the batches of another run. Everything that may be
 * there is removed, even while a call that adds the person is still unknown (SYNC.md C12).
 */

import { PAGE } from '../options.ts'
import { Packer } from '../pure/packer.ts'
import { clearTodo, readTodo } from '../store/ledger.ts'
import { type RunRow, readRun } from '../store/rows.ts'
import { newSessionId, storeBatch } from './batches.ts'
import { begin, finish } from './close.ts'
import { inTenant } from './engine.ts'
import { grantOf, type Job, takeQuota } from './job.ts'
import { heldOfPeople, privacyRemoval } from './people.ts'
import { sendBatch } from './send.ts'

/** Does the open privacy run of the audience, if there is one. */
export async function removeForPrivacy(job: Job): Promise<void> {
  const { lease, audience } = job
  const open = await inTenant(job.engine, lease.tenantId, async (tx) => {
    const { rows } = await tx.query<{ no: number }>(
      `SELECT no FROM run WHERE audience_no = $1 AND trigger = 'privacy' AND status IN ('queued', 'running', 'waiting')`,
      [audience.no],
    )
    return rows[0] && readRun(tx, rows[0].no)
  })
  if (!open) return
  const run = await begin(job, open)
  const { manifest, lane } = job.engine.destination
  const packer = new Packer(manifest.limits.rowsPerCall, lane)
  for (let after = 0; ; ) {
    const customers = await inTenant(job.engine, lease.tenantId, (tx) => readTodo(tx, audience.no, after, true, run.no, PAGE))
    if (customers.length === 0) break
    after = customers.at(-1) ?? after
    const held = await inTenant(job.engine, lease.tenantId, (tx) => heldOfPeople(tx, job, customers))
    for (const customerNo of customers) {
      const { parts } = privacyRemoval(customerNo, held.get(customerNo) ?? [])
      if (parts.length === 0) await lease.fenced(run.no, (tx) => clearTodo(tx, audience.no, [customerNo], 0, true))
      for (const packed of packer.add(parts)) await say(job, run, packed)
    }
  }
  for (const packed of packer.flush()) await say(job, run, packed)
  await finish(job, run)
}

async function say(job: Job, run: RunRow, packed: Parameters<typeof storeBatch>[2]): Promise<void> {
  const grant = await grantOf(job)
  await takeQuota(job, grant.tier, 'write')
  const session = job.engine.destination.manifest.sessions === 'none' ? null : { id: newSessionId(), seq: 1, last: true }
  const batch = await storeBatch(job, run, packed, { session, privacy: true, alongside: async () => {} })
  await sendBatch(job, run, batch, true)
}
