/**
 * When the next run of each audience of an account is expected to begin and end, and whether that meets its schedule (R5): the same
 * line and turns by which the connector's workers take runs, played forward from now. The account is the caller's to have checked.
 */
import { publicId } from '@audience-sync/contracts/ids'
import type { Quota } from '@audience-sync/contracts/rest/audiences'
import { nextSlot, Schedule } from '@audience-sync/contracts/schedule'
import type { Tx } from '@audience-sync/db/database'
import type { Manifest } from '@audience-sync/destination-kit/manifest-contract'
import { type AccountNow, deadlineOf, forecast, type Waiting, windowMs } from '@audience-sync/sync-engine/pure/placement'
import { look } from '@audience-sync/sync-engine/store/limiter'
import { callsFor, NEW_AUDIENCE_CALLS, ROWS_LEFT } from '@audience-sync/sync-engine/store/line'
import type { z } from 'zod'
import { UNKNOWN_CALL_MS } from './plan/cost.ts'

const AT_MOST = 500 // audiences: as many as an account of the largest platform may have

export type Expected = z.output<typeof Quota>['runs'][number]

interface Row {
  readonly no: number
  readonly id: string
  readonly name: string
  readonly schedule: unknown
  readonly rests: boolean
  readonly isNew: boolean
  readonly runId: string | null
  readonly status: string | null
  readonly trigger: string | null
  readonly requestedAt: number | null
  readonly notBefore: number | null
  readonly gaveWayAt: number | null
  readonly rows: number
  readonly destinationNo: number
}

export async function runsOf(tx: Tx, manifest: Manifest, accountExternalId: string, now: Date): Promise<Expected[]> {
  const { rows } = await tx.query<Row>(
    `SELECT a.no, a.id, a.name, a.schedule, a.destination_no AS "destinationNo", a.external_id IS NULL AS "isNew",
       (a.paused_at IS NOT NULL OR a.delete_requested_at IS NOT NULL OR coalesce(r.status = 'held', false)) AS rests,
       r.id AS "runId", r.status, r.trigger, (extract(epoch FROM r.requested_at) * 1000)::float8 AS "requestedAt",
       CASE WHEN r.not_before < 'infinity' THEN (extract(epoch FROM r.not_before) * 1000)::float8 WHEN r.not_before = 'infinity' THEN -1 END AS "notBefore",
       (extract(epoch FROM r.gave_way_at) * 1000)::float8 AS "gaveWayAt", (${ROWS_LEFT})::float8 AS rows
     FROM audience a LEFT JOIN LATERAL (
       SELECT * FROM run WHERE audience_no = a.no AND trigger <> 'privacy' AND status IN ('queued', 'running', 'waiting', 'held') ORDER BY status = 'queued', no LIMIT 1
     ) r ON true
     WHERE a.destination = $1 AND a.account_external_id = $2 AND a.deleted_at IS NULL ORDER BY a.no LIMIT ${AT_MOST}`,
    [manifest.id, accountExternalId],
  )
  const [first] = rows
  if (!first) return []
  const account = (await look(tx, manifest.quotas, first.destinationNo, [accountExternalId], 0)).get(accountExternalId) ?? { points: [], waitMs: 0 }
  return expectedRuns(rows, account, manifest.limits.rowsPerCall, now)
}

/** Pure. One that runs, or waits in the line, as it is; else the next slot. Paused, held, waiting for somebody, or without a schedule: none. */
export function expectedRuns(rows: readonly Row[], account: Pick<AccountNow, 'points' | 'waitMs'>, rowsPerCall: number, now: Date): Expected[] {
  const waiting = new Map<number, Waiting>()
  for (const row of rows) {
    const next = waitingOf(row, rowsPerCall, now)
    if (next) waiting.set(row.no, next)
  }
  const times = new Map(forecast([...waiting.values()], account, UNKNOWN_CALL_MS, now.getTime()).map((one) => [one.audienceNo, one]))
  return rows.map(({ no, id, name, runId, status }) => {
    const [next, time] = [waiting.get(no), times.get(no)]
    // What somebody asked for at once is as late as it is: it misses no schedule.
    const dueBy = next && next.windowMs > 0 ? deadlineOf(next) : null
    return {
      audienceId: publicId('audience', id),
      name,
      runId: next && runId ? publicId('run', runId) : null,
      status: next && runId ? (status as Expected['status']) : null,
      calls: next?.calls ?? 0,
      startsAt: time ? new Date(time.startsAt).toISOString() : null,
      endsAt: time ? new Date(time.endsAt).toISOString() : null,
      dueBy: dueBy === null ? null : new Date(dueBy).toISOString(),
      atRisk: time !== undefined && dueBy !== null && time.endsAt > dueBy,
    }
  })
}

function waitingOf(row: Row, rowsPerCall: number, now: Date): Waiting | null {
  if (row.rests || row.notBefore === -1) return null
  const schedule = Schedule.parse(row.schedule)
  const shared = { audienceNo: row.no, account: '', first: false, calls: callsFor(row.rows, rowsPerCall) + (row.isNew ? NEW_AUDIENCE_CALLS : 0) }
  if (row.runId !== null && row.requestedAt !== null) {
    const requestedAt = Math.max(row.requestedAt, row.notBefore ?? 0)
    return { ...shared, requestedAt, gaveWayAt: row.gaveWayAt, windowMs: windowMs(row.trigger ?? '', schedule.frequency) }
  }
  const slot = nextSlot(schedule, now)
  return slot && { ...shared, requestedAt: slot.getTime(), gaveWayAt: null, windowMs: windowMs('schedule', schedule.frequency) }
}
