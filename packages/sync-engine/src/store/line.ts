/**
 * Who has something to do now, and how their accounts stand: what `pure/placement.ts` decides from. Only looks; whoever is chosen is
 * claimed by `worker/lease.ts`.
 */
import { type AccountNow, givesWay, placed, TURN_CALLS, type Waiting, windowMs } from '../pure/placement.ts'
import type { Engine } from '../worker/engine.ts'
import { look } from './limiter.ts'

/** Looked up, then made, before the first upload. */
export const NEW_AUDIENCE_CALLS = 2
const DUE_AT_MOST = 500 // of thousands that are due at once those who wait longest are enough to choose from

/** Of an audience that is missing at the platform only removals for privacy go on, and stops, until somebody has answered (C19). */
const ASKED = '(a.missing IS NOT NULL AND a.heal_requested_at IS NULL)'
const STOPS = `(r.cancel_requested_at IS NOT NULL OR (r.trigger <> 'privacy' AND (a.paused_at IS NOT NULL OR a.delete_requested_at IS NOT NULL)))`

/**
 * People that a run `r` of audience `a` still has to say something about: what it counted, less what is said; before it has counted,
 * everybody where it looks at everybody, else as many as the last run said.
 */
export const ROWS_LEFT = `CASE
  WHEN r.expected IS NOT NULL THEN greatest(0, r.expected - (SELECT coalesce(sum(b.added + b.removed + b.replaced), 0) FROM batch b WHERE b.run_no = r.no))
  WHEN a.full_reason IS NOT NULL OR r.mode = 'full' THEN coalesce(a.size_eligible, a.size_behavior, 0)
  ELSE coalesce((SELECT sum(b.rows) FROM batch b WHERE b.run_no =
    (SELECT max(p.no) FROM run p WHERE p.audience_no = a.no AND p.trigger <> 'privacy' AND p.status IN ('applying', 'completed', 'completed_with_rejections'))), 0) END`

export const callsFor = (rows: number, rowsPerCall: number): number => Math.max(1, Math.ceil(rows / rowsPerCall))

/**
 * Work of one destination that somebody may do now: a removal for privacy at any time; a live run that is due, was abandoned, was
 * approved, or has to stop; a queued run when none is live and the audience is neither paused nor deleting; a lookalike whose time
 * has come. Whoever wishes a stop makes the run due once; if it then has to wait for the platform, it waits like any other (C15).
 * `first`: it stands in no line.
 */
const DUE = `
  SELECT a.no, r.no AS run_no, (r.trigger = 'privacy' OR ${STOPS}) AS first FROM run r JOIN audience a ON a.no = r.audience_no
  WHERE r.destination_no = $1 AND r.status IN ('queued', 'running', 'waiting', 'held') AND a.deleted_at IS NULL
    AND (a.lease_until IS NULL OR a.lease_until < now())
    AND (r.not_before IS NULL OR r.not_before <= now())
    AND (
      (r.status IN ('running', 'waiting') AND (r.trigger = 'privacy' OR NOT ${ASKED}))
      OR ${STOPS}
      OR (r.status = 'held' AND r.approval IS NOT NULL AND NOT ${ASKED})
      OR (r.status = 'queued' AND (r.trigger = 'privacy'
        OR NOT ${ASKED} AND NOT EXISTS (SELECT FROM run l WHERE l.audience_no = a.no AND l.status IN ('running', 'waiting', 'held') AND l.trigger <> 'privacy')))
    )
  UNION ALL
  SELECT no, NULL, true FROM audience WHERE destination_no = $1 AND delete_requested_at IS NOT NULL AND deleted_at IS NULL AND (lease_until IS NULL OR lease_until < now())
    AND (next_run_at IS NULL OR next_run_at <= now())
  UNION ALL
  SELECT a.no, NULL, true FROM lookalike k JOIN audience a ON a.no = k.audience_no
  WHERE k.destination_no = $1 AND k.deleted_at IS NULL AND k.due_at <= now() AND a.deleted_at IS NULL AND (a.lease_until IS NULL OR a.lease_until < now())`

interface DueRow {
  readonly no: number
  readonly account: string
  readonly first: boolean
  readonly trigger: string | null
  readonly frequency: string | null
  readonly requestedAt: number
  readonly gaveWayAt: number | null
  readonly rows: number
  readonly isNew: boolean
  readonly now: number
}

/** All who are due, or those of one account. */
async function dueNow({ db, destinationNo, destination }: Engine, account: string | null = null): Promise<{ due: Waiting[]; now: number }> {
  const { rows } = await db.pool.query<DueRow>(
    `WITH due AS MATERIALIZED (${DUE}), joined AS (
       SELECT due.no, due.run_no, due.first, a.account_external_id AS account FROM due JOIN audience a ON a.no = due.no LEFT JOIN run r ON r.no = due.run_no
       WHERE $2::text IS NULL OR a.account_external_id = $2
       ORDER BY due.first DESC, coalesce(r.gave_way_at, r.requested_at) LIMIT ${DUE_AT_MOST}
     )
     SELECT a.no, j.account, j.first, r.trigger, a.schedule ->> 'frequency' AS frequency,
       coalesce(extract(epoch FROM r.requested_at) * 1000, 0)::float8 AS "requestedAt", (extract(epoch FROM r.gave_way_at) * 1000)::float8 AS "gaveWayAt",
       (extract(epoch FROM now()) * 1000)::float8 AS now, (CASE WHEN j.first THEN 0 ELSE ${ROWS_LEFT} END)::float8 AS rows, a.external_id IS NULL AS "isNew"
     FROM joined j JOIN audience a ON a.no = j.no LEFT JOIN run r ON r.no = j.run_no`,
    [destinationNo, account],
  )
  const due = rows.map(({ no, account, first, trigger, frequency, requestedAt, gaveWayAt, rows: left, isNew }) => ({
    audienceNo: no,
    account,
    first,
    requestedAt,
    gaveWayAt,
    windowMs: windowMs(trigger ?? '', frequency ?? ''),
    calls: callsFor(left, destination.manifest.limits.rowsPerCall) + (isNew ? NEW_AUDIENCE_CALLS : 0),
  }))
  return { due, now: rows[0]?.now ?? 0 }
}

/** These accounts: their points, and what the runs at work still expect of them. */
async function accountsNow({ db, destinationNo, destination, clock }: Engine, accounts: readonly string[]): Promise<Map<string, AccountNow>> {
  const { manifest } = destination
  const points = await look(db.pool, manifest.quotas, destinationNo, accounts, clock.aheadMs())
  const { rows } = await db.pool.query<{ account: string; atWork: number; rows: number }>(
    `SELECT a.account_external_id AS account, count(DISTINCT a.no)::int AS "atWork", coalesce(sum(${ROWS_LEFT}), 0)::float8 AS rows
     FROM audience a LEFT JOIN run r ON r.audience_no = a.no AND r.status = 'running' AND r.trigger <> 'privacy'
     WHERE a.destination_no = $1 AND a.account_external_id = ANY($2) AND a.lease_until >= now() GROUP BY 1`,
    [destinationNo, accounts],
  )
  const working = new Map(rows.map((row) => [row.account, row]))
  return new Map(
    accounts.map((account) => {
      const { atWork = 0, rows: left = 0 } = working.get(account) ?? {}
      return [account, { atWork, callsPromised: Math.ceil(left / manifest.limits.rowsPerCall), points: [], waitMs: 0, ...points.get(account) }]
    }),
  )
}

/** Numbers of the audiences that may be worked on now, the first in line first. */
export async function nextInLine(engine: Engine): Promise<number[]> {
  const { due, now } = await dueNow(engine)
  if (due.length === 0) return []
  const accounts = await accountsNow(engine, [...new Set(due.map(({ account }) => account))])
  return placed(due, accounts, engine.options.patienceMs, now).map(({ audienceNo }) => audienceNo)
}

/** Whether others of the account wait for a turn. */
export const othersWait = async (engine: Engine, { no, accountExternalId }: { readonly no: number; readonly accountExternalId: string }): Promise<boolean> =>
  (await dueNow(engine, accountExternalId)).due.some(({ audienceNo, first }) => audienceNo !== no && !first)

/** Calls that a run has made in this turn. */
const CALLS_OF_TURN = `(SELECT count(*)::int FROM batch WHERE run_no = $1 AND sent_at > coalesce((SELECT gave_way_at FROM run WHERE no = $1), '-infinity'))`

/** Whether a run has had its turn, and makes room. */
export async function isTurnOver(engine: Engine, runNo: number, audience: { readonly no: number; readonly accountExternalId: string }): Promise<boolean> {
  const { rows } = await engine.db.pool.query<{ calls: number }>(`SELECT ${CALLS_OF_TURN} AS calls`, [runNo])
  const calls = rows[0]?.calls ?? 0
  if (calls < TURN_CALLS) return false
  const account = audience.accountExternalId
  const now = (await accountsNow(engine, [account])).get(account)
  return givesWay(calls, now?.points ?? []) && (await othersWait(engine, audience))
}
