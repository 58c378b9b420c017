/** Rows of runs → what the API shows of them, counts included. */
import { publicId } from '@audience-sync/contracts/ids'
import type { Run } from '@audience-sync/contracts/rest/runs'
import type { Tx } from '@audience-sync/db/database'
import { runCounts } from '@audience-sync/sync-engine/counts'
import { type PlatformWords, platformWords } from '@audience-sync/sync-engine/platform-words'
import type { RunRow } from '@audience-sync/sync-engine/store/rows'
import type { Destinations } from './destinations.ts'
import { type Queued, queuedRuns } from './queue.ts'
import { reasonOf, wordsOf } from './reasons.ts'

/** In the order given. `audienceIds`: bare UUIDs by number. */
export async function runsJson(tx: Tx, rows: readonly RunRow[], audienceIds: ReadonlyMap<number, string>, destinations: Destinations): Promise<Run[]> {
  if (rows.length === 0) return []
  const counts = await runCounts(
    tx,
    rows.map(({ no }) => no),
  )
  const words = await platformWords(
    tx,
    rows.map(({ no }) => no),
  )
  const queued = await queuedRuns(tx, rows, destinations)
  return rows.map((row) => runJson(row, audienceIds.get(row.audienceNo) ?? '', counts.get(row.no) as Run['counts'], words.get(row.no), queued.get(row.no)))
}

function runJson(row: RunRow, audienceId: string, counts: Run['counts'], words: PlatformWords | undefined, queued: Queued | undefined): Run {
  const { status, startedAt, requestedAt, finishedAt } = row
  return {
    id: publicId('run', row.id),
    audienceId: publicId('audience', audienceId),
    trigger: row.trigger,
    mode: row.mode as Run['mode'],
    // Approved, it is to be planned anew.
    status: (status === 'held' && row.approval != null ? 'queued' : status) as Run['status'],
    // While the plan grows the total is what is known; it never runs ahead of what is planned.
    progress: { done: counts.planned - counts.waiting, total: Math.max(row.expected ?? 0, counts.planned) },
    counts,
    suppressedBy: row.suppressedBy as Run['suppressedBy'],
    waitingFor: queued ? queued.waitingFor : status === 'waiting' ? reasonOf(row.waitReason, startedAt ?? requestedAt, row.notBefore) : null,
    startsAt: queued?.startsAt ?? null,
    hold: status === 'held' && row.approval == null ? shownHold(row.hold) : null,
    platform: words?.progress ? { ...words.progress, stages: [...words.progress.stages] } : null,
    warnings: (words?.remarks ?? []).map(({ code, detail }) => ({ ...wordsOf(code), detail })),
    apiCalls: row.apiCalls,
    traceId: row.traceparent?.split('-')[1] ?? null,
    requestedAt: requestedAt.toISOString(),
    startedAt: startedAt?.toISOString() ?? null,
    finishedAt: finishedAt?.toISOString() ?? null,
    error: reasonOf(row.error, finishedAt ?? startedAt ?? requestedAt),
  }
}

/** The figures that the brake saw, without the sample of people by which an approval is compared. */
function shownHold(hold: unknown): Run['hold'] {
  const { sample: _people, ...figures } = (hold ?? {}) as Record<string, unknown>
  return figures
}
