/**
 * What an audience's status is, and why: one pure rule over its row and its open runs. The engine writes a status of its own as it
 * works; a wish (pause, delete, a refresh just asked for) shows at once, before the engine has looked.
 */
import type { Audience, Reason } from '@audience-sync/contracts/rest/audiences'
import type { AudienceRow, RunRow } from '@audience-sync/sync-engine/store/rows'
import { reasonOf } from './reasons.ts'

export interface Standing {
  readonly status: Audience['status']
  readonly reason: Reason | null
}

/** `open`: its queued, running, waiting and held runs, those for privacy left out. */
export function standingOf(audience: AudienceRow, open: readonly RunRow[]): Standing {
  const { statusSince, pausedAt } = audience
  const of = (status: RunRow['status']) => open.find((run) => run.status === status)
  if (audience.deleteRequestedAt) return { status: 'deleting', reason: null }
  if (pausedAt) return { status: 'paused', reason: reasonOf(audience.pauseReason, pausedAt) ?? reasonOf({ code: 'audience_paused' }, pausedAt) }
  const held = of('held')
  if (held) return { status: 'held', reason: reasonOf({ code: 'audience_held' }, held.startedAt ?? held.requestedAt) }
  if (audience.tooSmall) return { status: 'paused', reason: reasonOf({ code: 'audience_too_small' }, statusSince) }
  const waiting = of('waiting')
  if (waiting) return waitingFor(waiting)
  if (open.length > 0) return { status: 'syncing', reason: null }
  // Written by the engine while a run was open that has ended since.
  const stale = audience.status === 'syncing' || audience.status === 'held' || audience.status === 'paused'
  if (stale) return { status: audience.settleAt || !audience.externalId ? 'pending' : 'active', reason: null }
  return { status: audience.status as Standing['status'], reason: reasonOf(audience.statusReason, statusSince) }
}

/** A run that waits for the quota or for the platform is being slow; one that waits for a person is an error. */
const PASSING = new Set(['platform_throttled', 'destination_unavailable', 'platform_bad_reply', 'platform_blocked'])

function waitingFor(run: RunRow): Standing {
  const reason = reasonOf(run.waitReason, run.startedAt ?? run.requestedAt, run.notBefore)
  if (!reason) return { status: 'syncing', reason: null }
  return { status: PASSING.has(reason.code) ? 'rate_limited' : 'error', reason }
}
