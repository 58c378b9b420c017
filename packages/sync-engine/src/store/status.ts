/** The audience's status and the run's announcements: each change is a row, a line of history and an event, in one transaction. */
import type { AudienceStatusChangedSchema } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/audience_pb'
import { topics } from '@audience-sync/contracts/events/topics'
import { publicId } from '@audience-sync/contracts/ids'
import type { Schedule } from '@audience-sync/contracts/schedule'
import type { Tx } from '@audience-sync/db/database'
import { publish } from '@audience-sync/events/outbox'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'
import { runCounts } from '../counts.ts'
import type { AudienceRow, RunRow } from './rows.ts'

export type AudienceStatus = 'active' | 'syncing' | 'pending' | 'error' | 'paused' | 'rate_limited' | 'held' | 'deleting'

/** `code` is of the error catalogue, which has its title and solution. */
export interface StatusReason {
  readonly code: string
  readonly detail?: string | undefined
  readonly link?: string | undefined
  readonly until?: string | undefined
  readonly platform?: unknown
}

type Named = Pick<AudienceRow, 'no' | 'id' | 'tenantId' | 'destinationNo'>

/** What a receiver of the event needs to decide, beside the code. */
export type StatusFigures = Pick<MessageInitShape<typeof AudienceStatusChangedSchema>, 'runId' | 'hold'>

/** Sets the status where it differs, and says so. A paused or deleting audience keeps its status, whatever a run does. */
export async function setStatus(
  tx: Tx,
  audience: Named,
  status: AudienceStatus,
  reason: StatusReason | null = null,
  figures: StatusFigures = {},
): Promise<void> {
  const { rows } = await tx.query<{ before: string }>(
    `WITH before AS (SELECT no, status, status_reason FROM audience WHERE no = $1 FOR NO KEY UPDATE)
     UPDATE audience a SET status = $2, status_reason = $3, status_since = CASE WHEN before.status = $2 THEN a.status_since ELSE now() END, updated_at = now()
     FROM before WHERE a.no = before.no AND (before.status <> $2 OR before.status_reason IS DISTINCT FROM $3::jsonb)
       AND (before.status <> 'deleting' OR $2 = 'deleting') AND (a.paused_at IS NULL OR $2 IN ('paused', 'deleting'))
     RETURNING before.status AS before`,
    [audience.no, status, reason === null ? null : JSON.stringify(reason)],
  )
  const [change] = rows
  if (!change || change.before === status) return
  await note(tx, audience, 'status', { from: change.before, to: status, code: reason?.code ?? null })
  await publish(tx, {
    topic: topics.audienceStatusChanged,
    tenantId: audience.tenantId,
    key: audience.id,
    message: { audienceId: publicId('audience', audience.id), from: change.before, to: status, code: reason?.code ?? '', ...figures },
  })
}

/** Tells everyone of the audience as it is now; who raises its `version` says so, and the newest wins. */
export async function tellChanged(tx: Tx, audience: AudienceRow, deleted = false): Promise<void> {
  await publish(tx, {
    topic: topics.audienceChanged,
    tenantId: audience.tenantId,
    key: audience.id,
    message: {
      audienceId: publicId('audience', audience.id),
      behaviorId: publicId('behavior', audience.behaviorId),
      destination: audience.destination,
      status: audience.status,
      schedule: audience.schedule as Schedule,
      version: BigInt(audience.version),
      deleted,
    },
  })
}

/** A line of the audience's history. */
export async function note(tx: Tx, audience: Named, kind: string, data: Readonly<Record<string, unknown>>): Promise<void> {
  await tx.query('INSERT INTO history (tenant_id, destination_no, audience_no, kind, data) VALUES ($1, $2, $3, $4, $5)', [
    audience.tenantId,
    audience.destinationNo,
    audience.no,
    kind,
    JSON.stringify(data),
  ])
}

const RUN_TOPICS = {
  started: topics.syncStarted,
  accepted: topics.syncAccepted,
  completed: topics.syncCompleted,
  failed: topics.syncFailed,
  cancelled: topics.syncCancelled,
} as const

/** Tells what became of a run, with its counts as they are in this transaction; one that has ended is a line of the sync log, too. */
export async function announce(tx: Tx, kind: keyof typeof RUN_TOPICS, audience: AudienceRow, run: RunRow, code = ''): Promise<void> {
  const counts = (await runCounts(tx, [run.no])).get(run.no)
  if (run.finishedAt && counts) {
    const { added, removed, replaced, rejected } = counts
    const { id, trigger, mode, status, apiCalls, startedAt } = run
    const { sizeDestination: size, sizeEligible: eligible, farState } = audience
    const line = { runId: publicId('run', id), trigger, mode, status, startedAt, added, removed, replaced, rejected, apiCalls, error: code || null }
    await note(tx, audience, 'sync', { ...line, size, eligible, destination: farState })
  }
  await publish(tx, {
    topic: RUN_TOPICS[kind] as typeof topics.syncCompleted, // one shape, five names
    tenantId: audience.tenantId,
    key: audience.id,
    message: {
      audienceId: publicId('audience', audience.id),
      runId: publicId('run', run.id),
      behaviorId: publicId('behavior', audience.behaviorId),
      destination: audience.destination,
      trigger: run.trigger,
      mode: run.mode,
      status: run.status,
      ...(counts && { counts }),
      ...(run.startedAt && { startedAt: timestampFromDate(run.startedAt) }),
      ...(run.finishedAt && { finishedAt: timestampFromDate(run.finishedAt) }),
      ...(code && { code }),
    },
  })
}

/** API.md «Creation»: below 90 % of the minimum it is too small, at the minimum no longer; between the two it stays what it is. */
export function isTooSmall({ minimumSize, tooSmall }: Pick<AudienceRow, 'minimumSize' | 'tooSmall'>, eligible: number): boolean {
  if (tooSmall) return eligible < minimumSize
  return eligible < Math.ceil(minimumSize * 0.9)
}

/**
 * Whether the audience is too small, with one event per crossing (F31): additions stop, and resume. `eligible` may be counted up to the minimum only. Answers whether it is too small now.
 */
export async function crossMinimum(
  tx: Tx,
  audience: Pick<AudienceRow, 'no' | 'id' | 'tenantId' | 'destinationNo' | 'minimumSize' | 'tooSmall'>,
  eligible: number,
): Promise<boolean> {
  const below = isTooSmall(audience, eligible)
  if (below === audience.tooSmall) return below
  const direction = below ? 'below' : 'above'
  const { rowCount } = await tx.query(
    `UPDATE audience SET too_small = $2, full_reason = coalesce(full_reason, 'was_too_small'), updated_at = now() WHERE no = $1 AND too_small <> $2`,
    [audience.no, below],
  )
  if (rowCount === 1) {
    await note(tx, audience, 'size', { direction, eligible, minimum: audience.minimumSize })
    await publish(tx, {
      topic: topics.audienceSizeThresholdCrossed,
      tenantId: audience.tenantId,
      key: audience.id,
      message: { audienceId: publicId('audience', audience.id), direction, eligible, minimum: audience.minimumSize },
    })
  }
  return below
}
