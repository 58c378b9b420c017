/**
 * Removals for privacy: opt-out and erasure pass pauses, schedules, minimum sizes and the brake (R7). They are a run of their
 * own under the audience's lease, done before anything else and between the batches of another run. Everything that may be
 * there is removed, even while a call that adds the person is still unknown (SYNC.md C12).
 */

import { AppError } from '@audience-sync/errors/app-error'
import { missingOf } from '../drift/missing.ts'
import { PAGE, REFUSED_AGAIN_MS } from '../options.ts'
import type { HeldSet } from '../pure/held.ts'
import { Packer } from '../pure/packer.ts'
import { leaveToFormer } from '../store/far-audience.ts'
import { clearTodo, leaveToOthers, readTodo } from '../store/ledger.ts'
import { replacingOf } from '../store/replacing.ts'
import { type RunRow, readRun } from '../store/rows.ts'
import { newSessionId, storeBatch } from './batches.ts'
import { begin, finish } from './close.ts'
import { RunWaits } from './endings.ts'
import { inTenant } from './engine.ts'
import { removeFromFormer } from './former.ts'
import { grantOf, type Job, takeQuota } from './job.ts'
import { removeFromAccount } from './opt-out.ts'
import { heldOfPeople, privacyRemoval } from './people.ts'
import { repeatLastWords } from './repeat.ts'
import { resolveOpen } from './resolve.ts'
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
  // Its worker may have died: what was sent is sent again, what was not is left to do once more, before the run ends without it.
  await resolveOpen(job, { run: open })
  const run = await begin(job, open)
  const { manifest, lane } = job.engine.destination
  const packer = new Packer(manifest.limits.rowsPerCall, lane)
  // Beside a replacement nothing is said to the audience itself (C21).
  const replacing = replacingOf(job.audience) !== null
  const stuck: number[] = []
  for (let after = 0; ; ) {
    const customers = await inTenant(job.engine, lease.tenantId, (tx) => readTodo(tx, audience.no, after, true, run.no, PAGE))
    if (customers.length === 0) break
    after = customers.at(-1) ?? after
    const allowed = await allowedAgain(job, customers)
    const leaving = customers.filter((no) => !allowed.has(no))
    await lease.fenced(run.no, (tx) => leaveToFormer(tx, audience, leaving))
    // From the whole account where that works; the others from this audience.
    const apart = new Set(await removeFromAccount(job, run, leaving, { force: replacing }))
    if (replacing) stuck.push(...apart)
    if (allowed.size > 0) await lease.fenced(run.no, (tx) => leaveToOthers(tx, audience.no, [...allowed]))
    const here = customers.filter((no) => !replacing && apart.has(no))
    const held = await heldHere(job, run, here)
    const people = here.map((customerNo) => privacyRemoval(customerNo, held.get(customerNo) ?? []))
    const quiet = people.filter(({ parts }) => parts.length === 0).map(({ customerNo }) => customerNo)
    if (quiet.length > 0) await lease.fenced(run.no, (tx) => clearTodo(tx, audience.no, quiet, 0, true))
    for (const { parts } of people) for (const packed of packer.add(parts)) await say(job, run, packed)
  }
  for (const packed of packer.flush()) await say(job, run, packed)
  stuck.push(...(await removeFromAccount(job, run, job.tooSmall?.splice(0) ?? [], { force: true })))
  await removeFromFormer(job, run)
  if (!replacing) await repeatLastWords(job, run, null)
  if (stuck.length > 0 || (await isLeft(job, run)))
    throw new RunWaits(REFUSED_AGAIN_MS, { code: 'platform_rejected_row', detail: 'The platform refused removals for privacy; they are tried again.' })
  await finish(job, run)
}

/** What may be there of these people. Nothing is in an audience whose deletion is proven (C19): the ledger forgets them. */
async function heldHere(job: Job, run: RunRow, customers: readonly number[]): Promise<Map<number, HeldSet[]>> {
  const { engine, lease, audience } = job
  if (!missingOf(audience)?.proven) return inTenant(engine, lease.tenantId, (tx) => heldOfPeople(tx, job, customers))
  return lease.fenced(run.no, async (tx) => {
    await tx.query('DELETE FROM ledger WHERE audience_no = $1 AND generation = $2 AND customer_no = ANY($3)', [audience.no, audience.generation, customers])
    return new Map()
  })
}

/**
 * Who consented again since: the feed said so already, maybe to an earlier run, and would not say it again after a removal (C10). They are
 * left to an ordinary run, because more may have been left of them: taken out of a batch, or refused.
 * Nobody of an audience that is let go of.
 */
async function allowedAgain({ engine, lease, audience, choice }: Job, customers: readonly number[]): Promise<ReadonlySet<number>> {
  if (audience.deleteRequestedAt) return new Set()
  const rows = await engine
    .feed(audience.tenantId, audience.behaviorId)
    .rows(customers, lease.signal)
    .catch((error: unknown) => {
      if (error instanceof AppError) return [] // a removal waits for nobody: neither for a service that is away nor for a behavior that is gone
      throw error
    })
  return new Set(rows.filter(([, , purposes]) => (purposes & choice.purpose) !== 0).map(([no]) => no))
}

/** Whether this run left somebody to remove. */
const isLeft = (job: Job, run: RunRow): Promise<boolean> =>
  inTenant(job.engine, job.lease.tenantId, async (tx) => {
    const { rows } = await tx.query(`SELECT FROM todo WHERE audience_no = $1 AND reason = 'privacy' AND run_no = $2 LIMIT 1`, [job.audience.no, run.no])
    return rows.length > 0
  })

async function say(job: Job, run: RunRow, packed: Parameters<typeof storeBatch>[2]): Promise<void> {
  const grant = await grantOf(job)
  await takeQuota(job, grant.tier, 'write')
  const session = job.engine.destination.manifest.sessions === 'none' ? null : { id: newSessionId(), seq: 1, last: true }
  const batch = await storeBatch(job, run, packed, { session, privacy: true, alongside: async () => {} })
  await sendBatch(job, run, batch, true)
}

/** The open privacy run is tried again after a while. */
export const waitWithPrivacy = ({ lease, audience }: Job, forMs: number): Promise<unknown> =>
  lease.fenced(null, (tx) =>
    tx.query(
      `UPDATE run SET not_before = now() + $2 * interval '1 millisecond', status = 'waiting' WHERE audience_no = $1 AND trigger = 'privacy' AND status IN ('queued', 'running', 'waiting')`,
      [audience.no, forMs],
    ),
  )
