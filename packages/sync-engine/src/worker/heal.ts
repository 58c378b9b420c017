/**
 * A new far audience in place of one that is gone (SYNC.md C19). One transaction under the lease raises the generation and resets
 * whatever was known of the far side, so that a crash leaves either the old audience or a new one that nobody was said to yet; the
 * run goes on as a full one, and finds or makes the audience like any first run. The ledger's older rows stay: absent for the diff,
 * present for privacy until the deletion of the old audience is proven.
 */
import type { Tx } from '@audience-sync/db/database'
import { missingOf, seenAgain } from '../drift/missing.ts'
import { see } from '../drift/see.ts'
import { requestPrivacyRun } from '../requests.ts'
import { leaveFarAudience } from '../store/far-audience.ts'
import { readExceptions } from '../store/ledger.ts'
import { type AudienceRow, type RunRow, readAudience } from '../store/rows.ts'
import { note } from '../store/status.ts'
import { complete } from './close.ts'
import { inTenant } from './engine.ts'
import { type Job, openJob, storeCalls } from './job.ts'

export const wantsHeal = ({ healRequestedAt, deleteRequestedAt, pausedAt }: AudienceRow, { cancelRequestedAt }: RunRow): boolean =>
  healRequestedAt !== null && deleteRequestedAt === null && pausedAt === null && cancelRequestedAt === null

/** Looks once more, because days may have passed since the question; then makes room for a new one. Answers the job as it goes on. */
export async function heal(job: Job, run: RunRow): Promise<Job> {
  const { audience, lease, engine } = job
  const { externalId } = audience
  const seen = externalId === null ? null : await see(job, externalId)
  const disabled = missingOf(audience)?.code === 'audience_disabled' && seen?.far?.state === 'disabled'
  await lease.fenced(run.no, async (tx) => {
    await storeCalls(tx, job, run.no)
    if (seen?.far && !disabled) await seenAgain(tx, audience.no)
    else await startAnew(tx, audience, seen?.missing?.proven === true)
  })
  return inTenant(engine, lease.tenantId, async (tx) =>
    Object.assign(openJob(engine, lease, await readAudience(tx, audience.no), await readExceptions(tx, audience.no)), { calls: job.calls, usages: job.usages }),
  )
}

async function startAnew(tx: Tx, audience: AudienceRow, proven: boolean): Promise<void> {
  const { no, generation, externalId } = audience
  if (externalId !== null) await leaveFarAudience(tx, audience, proven ? 'deleted' : 'present')
  await closeBatches(tx, audience)
  // Everyone is said anew; whoever may not be there is still to be removed, from the old one.
  await tx.query(`DELETE FROM todo WHERE audience_no = $1 AND reason <> 'privacy'`, [no])
  await tx.query('DELETE FROM say_again WHERE audience_no = $1', [no])
  await tx.query(
    `UPDATE audience SET generation = generation + 1, external_id = NULL, adopted = false, cursor = '0:0', cursor_epoch = NULL, full_reason = 'recreated',
       missing = NULL, heal_requested_at = NULL, drift = NULL, check_at = NULL, far_stale = false, settle_at = NULL, size_destination = NULL, far_state = NULL, shrink_refused = NULL, replacing = NULL, normaliser = NULL, updated_at = now() WHERE no = $1`,
    [no],
  )
  // Those that were made of the old one are told apart from it, once the new one is there.
  await tx.query('UPDATE lookalike SET due_at = now() WHERE audience_no = $1 AND deleted_at IS NULL', [no])
  await note(tx, audience, 'drift', { code: 'recreated', generation: generation + 1, instead: externalId })
}

/** Nothing more is heard of what the old one was told. */
async function closeBatches(tx: Tx, audience: AudienceRow): Promise<void> {
  const { no } = audience
  const { rowCount } = await tx.query(
    `INSERT INTO todo (audience_no, tenant_no, destination_no, customer_no, reason)
     SELECT DISTINCT l.audience_no, l.tenant_no, l.destination_no, l.customer_no, 'privacy'
     FROM batch b JOIN run r ON r.no = b.run_no AND r.trigger = 'privacy' JOIN ledger l ON l.remove_batch = b.no
     WHERE b.audience_no = $1 AND b.state IN ('planned', 'sending', 'unknown', 'accepted') ORDER BY 4
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET reason = 'privacy', not_before = now()`,
    [no],
  )
  if (rowCount) await requestPrivacyRun(tx, audience)
  await tx.query(
    `DELETE FROM batch_payload WHERE batch_no IN (SELECT no FROM batch WHERE audience_no = $1 AND state IN ('planned', 'sending', 'unknown', 'accepted'))`,
    [no],
  )
  await tx.query(
    `UPDATE batch SET confirmed = false, applied_at = CASE WHEN state = 'accepted' THEN now() END,
       state = CASE WHEN state = 'accepted' THEN 'applied' WHEN attempts = 0 THEN 'dissolved' ELSE 'abandoned' END
     WHERE audience_no = $1 AND state IN ('planned', 'sending', 'unknown', 'accepted')`,
    [no],
  )
  const { rows } = await tx.query<{ no: number }>(`SELECT no FROM run WHERE audience_no = $1 AND status = 'applying' ORDER BY no`, [no])
  for (const run of rows) await complete(tx, no, run.no)
}
