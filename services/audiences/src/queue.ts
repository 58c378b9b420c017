/**
 * Why a run has not begun, and when it is expected to: the same rules by which a worker takes one (`sync-engine/store/line.ts`), in
 * the words of the API. What keeps the whole audience back comes first, then an earlier run of it, then its own time, then the
 * line of its account, whose forecast is that of the account's quota (`placement.ts`).
 */
import { publicId } from '@audience-sync/contracts/ids'
import type { Reason } from '@audience-sync/contracts/rest/runs'
import { orm, type Tx } from '@audience-sync/db/database'
import { audience } from '@audience-sync/sync-engine/schema/audience'
import type { AudienceRow, RunRow } from '@audience-sync/sync-engine/store/rows'
import { inArray } from 'drizzle-orm'
import type { Destinations } from './destinations.ts'
import { type Expected, runsOf } from './placement.ts'
import { reasonOf } from './reasons.ts'
import { isHeld } from './status.ts'
import { openRuns } from './store.ts'

export interface Queued {
  readonly waitingFor: Reason | null
  /** null: in a moment, or nobody can say. */
  readonly startsAt: string | null
}

const AT_ONCE_MS = 2_000 // a free worker looks as often; who begins so soon waits for nothing
const ROUNDED_MS = 10_000 // a forecast is no more exact, and a stream of the run is not told of each second

/** By the numbers of the runs that are queued, or made room for others. */
export async function queuedRuns(tx: Tx, runs: readonly RunRow[], destinations: Destinations): Promise<ReadonlyMap<number, Queued>> {
  const asked = runs.filter(isInLine)
  if (asked.length === 0) return new Map()
  const nos = [...new Set(asked.map(({ audienceNo }) => audienceNo))]
  const audiences = new Map((await orm(tx).select().from(audience).where(inArray(audience.no, nos))).map((row) => [row.no, row]))
  const open = await openRuns(tx, nos)
  const { rows: clock } = await tx.query<{ now: Date }>('SELECT now() AS now')
  const now = clock[0]?.now ?? new Date()
  const forecasts = new Map<string, Expected[]>()
  const shown = new Map<number, Queued>()
  for (const run of asked) {
    const owner = audiences.get(run.audienceNo)
    if (!owner) continue
    const account = `${owner.destination} ${owner.accountExternalId}`
    const manifest = destinations.get(owner.destination)?.manifest
    if (manifest && !forecasts.has(account)) forecasts.set(account, await runsOf(tx, manifest, owner.accountExternalId, now))
    const earlier = open.find(({ audienceNo, no, status }) => audienceNo === owner.no && no !== run.no && status !== 'queued')
    shown.set(run.no, queuedFor(run, owner, earlier, forecasts.get(account) ?? [], now))
  }
  return shown
}

/** Removals for privacy stand in no line. */
const isInLine = ({ status, trigger, waitReason }: RunRow): boolean =>
  trigger !== 'privacy' && (status === 'queued' || (status === 'waiting' && (waitReason as { code?: unknown } | null)?.code === 'gave_way'))

/** Pure. `earlier`: a run of the same audience that runs, waits or is held; `expected`: the runs of its account. */
export function queuedFor(run: RunRow, owner: AudienceRow, earlier: RunRow | undefined, expected: readonly Expected[], now: Date): Queued {
  const { requestedAt, notBefore } = run
  const stays = (waitingFor: Reason | null): Queued => ({ waitingFor, startsAt: null })
  if (owner.deleteRequestedAt) return stays(reasonOf({ code: 'audience_deleting' }, owner.deleteRequestedAt))
  if (owner.pausedAt) return stays(reasonOf(owner.pauseReason, owner.pausedAt) ?? reasonOf({ code: 'audience_paused' }, owner.pausedAt))
  if (owner.missing && !owner.healRequestedAt) return stays(reasonOf(owner.missing, owner.statusSince))
  if (earlier && isHeld(earlier)) return stays(reasonOf({ code: 'audience_held' }, earlier.startedAt ?? earlier.requestedAt))
  const mine = expected.find(({ audienceId }) => audienceId === publicId('audience', owner.id))
  if (earlier) {
    // What keeps the earlier one keeps this one.
    const kept = earlier.status === 'waiting' ? reasonOf(earlier.waitReason, earlier.startedAt ?? earlier.requestedAt, earlier.notBefore) : null
    return { waitingFor: kept ?? reasonOf({ code: 'earlier_run' }, requestedAt), startsAt: rounded(mine?.endsAt ?? null) }
  }
  const expectedAt = mine?.runId === publicId('run', run.id) ? mine.startsAt : null
  const startsAt = rounded(expectedAt)
  if (notBefore && notBefore > now) return { waitingFor: reasonOf({ code: 'changes_gathering' }, requestedAt, notBefore), startsAt }
  if (expectedAt === null || startsAt === null || Date.parse(expectedAt) - now.getTime() <= AT_ONCE_MS) return stays(null)
  const before = expected.some((one) => one !== mine && one.runId !== null && one.startsAt !== null && one.startsAt < expectedAt)
  const code = before || run.gaveWayAt ? 'gave_way' : 'platform_throttled'
  return { waitingFor: reasonOf({ code }, run.gaveWayAt ?? requestedAt, new Date(startsAt)), startsAt }
}

const rounded = (time: string | null): string | null => time && new Date(Math.ceil(Date.parse(time) / ROUNDED_MS) * ROUNDED_MS).toISOString()
