/**
 * Wishes: what `audiences` and the consumers may write. Only the lease holder of an audience moves its runs on (SYNC.md C15);
 * these functions queue a run or leave a request for it to find.
 */

import { topics } from '@audience-sync/contracts/events/topics'
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import type { Tx } from '@audience-sync/db/database'
import { publish } from '@audience-sync/events/outbox'

export type Trigger = 'created' | 'api' | 'schedule' | 'realtime' | 'retry' | 'plan' | 'heal' | 'privacy'
export type Mode = 'incremental' | 'full'

export interface AudienceRef {
  readonly no: number
  readonly id: string
  readonly tenantId: string
  readonly destination: string
  readonly destinationNo: number
}

export interface RunRequest {
  readonly audience: AudienceRef
  readonly trigger: Trigger
  readonly mode?: Mode
  /** Debounce: not claimed before this many milliseconds have passed on the database's clock. */
  readonly delayMs?: number
  /** Bare UUID for the new run; one is made if it is missing. */
  readonly runId?: string
  readonly traceparent?: string | undefined
  /** Tell the connector over the bus; false where the caller is the connector. */
  readonly announce?: boolean
}

export interface RequestedRun {
  readonly no: number
  readonly id: string
  /** `created`: a new run. `existing`: one was queued already, and will see everything committed before now (C5). */
  readonly outcome: 'created' | 'existing'
}

const QUEUED = `status = 'queued' AND trigger <> 'privacy'`

/**
 * Makes sure that a run will begin after this transaction commits. The queued run, if there is one, is locked, so no worker
 * has read its bound yet: what the caller committed, or commits with this, is in it. A cancellation that nobody has acted on yet
 * gives way: the newer wish counts, and there is room for one queued run only. A queued run that applies a plan does no more than
 * the plan: it is marked, and another follows it.
 */
export async function requestRun(tx: Tx, request: RunRequest): Promise<RequestedRun> {
  const { audience, trigger, mode = 'incremental', delayMs = 0, traceparent = null, announce = true } = request
  for (;;) {
    const { rows: queued } = await tx.query<{ no: number; id: string }>(
      `UPDATE run SET mode = CASE WHEN $2 = 'full' THEN 'full' ELSE mode END,
         not_before = CASE WHEN $3::int > 0 AND not_before IS NOT NULL THEN least(not_before, now() + $3 * interval '1 millisecond') END,
         follow_up = follow_up OR (trigger = 'plan' AND $4 <> 'plan'), cancel_requested_at = NULL
       WHERE audience_no = $1 AND ${QUEUED} RETURNING no, id`,
      [audience.no, mode, delayMs, trigger],
    )
    if (queued[0]) return { ...queued[0], outcome: 'existing' }
    const { rows: made } = await tx.query<{ no: number; id: string }>(
      `INSERT INTO run (id, tenant_id, audience_no, destination, destination_no, trigger, mode, not_before, traceparent)
       VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $8::int > 0 THEN now() + $8 * interval '1 millisecond' END, $9)
       ON CONFLICT (audience_no) WHERE ${QUEUED} DO NOTHING RETURNING no, id`,
      [request.runId ?? newUuid(), audience.tenantId, audience.no, audience.destination, audience.destinationNo, trigger, mode, delayMs, traceparent],
    )
    if (made[0]) {
      if (announce) await announceRun(tx, audience, made[0].id, trigger, mode)
      return { ...made[0], outcome: 'created' }
    }
    // Another transaction queued one between the two statements: lock that one.
  }
}

function announceRun(tx: Tx, audience: AudienceRef, runId: string, trigger: Trigger, mode: Mode): Promise<unknown> {
  return publish(tx, {
    topic: topics.audienceSyncRequested,
    tenantId: audience.tenantId,
    key: audience.id,
    headers: { destination: audience.destination },
    message: { audienceId: publicId('audience', audience.id), runId: publicId('run', runId), trigger, mode },
  })
}

/**
 * A run that only removes, beside the others and before them (R7). One that is open already is locked and made due: it cannot end
 * before this transaction commits, so whoever the caller left to remove is in it, or gets a run of their own. `delayMs`: there is no
 * hurry, because the platform refused it a moment ago; a run that is open already is left as it is.
 */
export async function requestPrivacyRun(tx: Tx, audience: AudienceRef, delayMs = 0): Promise<void> {
  await tx.query(
    `INSERT INTO run AS r (id, tenant_id, audience_no, destination, destination_no, trigger, mode, not_before)
     VALUES ($1, $2, $3, $4, $5, 'privacy', 'incremental', CASE WHEN $6::int > 0 THEN now() + $6 * interval '1 millisecond' END)
     ON CONFLICT (audience_no) WHERE status IN ('queued', 'running', 'waiting') AND trigger = 'privacy'
     DO UPDATE SET not_before = CASE WHEN $6::int > 0 THEN r.not_before END`,
    [newUuid(), audience.tenantId, audience.no, audience.destination, audience.destinationNo, delayMs],
  )
}

/** Answers false when the run has ended already. A queued run is cancelled by the lease holder too. */
export async function requestCancel(tx: Tx, runNo: number): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE run SET cancel_requested_at = coalesce(cancel_requested_at, now()), not_before = NULL WHERE no = $1 AND status IN ('queued', 'running', 'waiting', 'held')`,
    [runNo],
  )
  return rowCount === 1
}

export async function requestPause(tx: Tx, audienceNo: number, reason: unknown): Promise<void> {
  await tx.query('UPDATE audience SET paused_at = coalesce(paused_at, now()), pause_reason = $2, updated_at = now() WHERE no = $1', [audienceNo, reason])
  await makeDue(tx, audienceNo)
}

/** Resuming makes one run; what the caller passes says why. */
export async function requestResume(tx: Tx, audience: AudienceRef, trigger: Trigger = 'api'): Promise<RequestedRun> {
  await tx.query('UPDATE audience SET paused_at = NULL, pause_reason = NULL, updated_at = now() WHERE no = $1', [audience.no])
  return requestRun(tx, { audience, trigger })
}

/**
 * The answer yes to a far audience that is missing: a new one is made, and everyone said to it. A run that is queued becomes the one
 * that does it; one that the brake holds has nothing left to remove.
 */
export async function requestHeal(tx: Tx, audience: AudienceRef, announce = true): Promise<RequestedRun> {
  await tx.query('UPDATE audience SET heal_requested_at = now(), updated_at = now() WHERE no = $1', [audience.no])
  await tx.query(`UPDATE run SET cancel_requested_at = now() WHERE audience_no = $1 AND status = 'held' AND trigger <> 'privacy'`, [audience.no])
  const run = await requestRun(tx, { audience, trigger: 'heal', mode: 'full', announce })
  await tx.query(`UPDATE run SET trigger = 'heal', bound = NULL WHERE no = $1 AND status = 'queued'`, [run.no])
  return run
}

/** The far side is looked at as soon as somebody can. */
export async function requestCheck(tx: Tx, audienceNo: number): Promise<void> {
  await tx.query(`UPDATE audience SET check_at = '-infinity' WHERE no = $1`, [audienceNo])
}

/** Asked again, it is tried again at once: what kept the platform from it may be gone, or everything there shall be kept after all. */
export async function requestDelete(tx: Tx, audienceNo: number, keepRemote: boolean): Promise<void> {
  await tx.query(
    'UPDATE audience SET delete_requested_at = coalesce(delete_requested_at, now()), keep_remote = $2, next_run_at = NULL, updated_at = now() WHERE no = $1',
    [audienceNo, keepRemote],
  )
  await makeDue(tx, audienceNo)
}

/** The lease holder looks at once at what has to stop, whatever it was waiting for. */
const makeDue = (tx: Tx, audienceNo: number): Promise<unknown> =>
  tx.query(`UPDATE run SET not_before = NULL WHERE audience_no = $1 AND trigger <> 'privacy' AND status IN ('queued', 'waiting')`, [audienceNo])

/** Answers false when the run is not held. The worker plans it anew and compares with what was approved (R6). */
export async function requestApproval(tx: Tx, runNo: number): Promise<boolean> {
  const { rowCount } = await tx.query(`UPDATE run SET approval = hold WHERE no = $1 AND status = 'held' AND approval IS NULL`, [runNo])
  return rowCount === 1
}
