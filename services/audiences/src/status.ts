/**
 * What an audience's status is, and why: one pure rule over its row and its open runs. The engine writes a status of its own as it
 * works; a wish (pause, delete, a refresh just asked for) shows at once, before the engine has looked.
 */
import type { Audience } from '@audience-sync/contracts/rest/audiences'
import type { Reason } from '@audience-sync/contracts/rest/runs'
import type { AudienceRow, RunRow } from '@audience-sync/sync-engine/store/rows'
import { reasonOf } from './reasons.ts'

export interface Standing {
  readonly status: Audience['status']
  readonly reason: Reason | null
}

/** The brake holds it and nobody has answered yet: an approval, or a cancellation, counts from the moment that it was given. */
export const isHeld = ({ status, approval, cancelRequestedAt }: Pick<RunRow, 'status' | 'approval' | 'cancelRequestedAt'>): boolean =>
  status === 'held' && approval == null && cancelRequestedAt == null

/** `open`: its queued, running, waiting and held runs, those for privacy left out. */
export function standingOf(audience: AudienceRow, open: readonly RunRow[]): Standing {
  const { statusSince, pausedAt } = audience
  const of = (status: RunRow['status']) => open.find((run) => run.status === status)
  // Why it is not gone yet, where somebody has to do something.
  if (audience.deleteRequestedAt) return { status: 'deleting', reason: audience.status === 'deleting' ? reasonOf(audience.statusReason, statusSince) : null }
  if (pausedAt) return { status: 'paused', reason: reasonOf(audience.pauseReason, pausedAt) ?? reasonOf({ code: 'audience_paused' }, pausedAt) }
  if (audience.missing && !audience.healRequestedAt) return { status: 'held', reason: reasonOf(audience.missing, statusSince) }
  const held = open.find(isHeld)
  if (held) return { status: 'held', reason: reasonOf({ code: 'audience_held' }, held.startedAt ?? held.requestedAt) }
  if (audience.tooSmall) return { status: 'paused', reason: reasonOf({ code: 'audience_too_small' }, statusSince) }
  const stored = { status: audience.status as Standing['status'], reason: reasonOf(audience.statusReason, statusSince) }
  // Somebody has to mend the connection first: a run that was asked for meanwhile changes nothing.
  if (stored.status === 'error' && MENDABLE.has(stored.reason?.code ?? '')) return stored
  const waiting = of('waiting')
  if (waiting) return waitingFor(waiting)
  // The platform refuses to make it any smaller: nobody asked for a run, though one of ours may be due later.
  const ours = (run: RunRow) => run.status === 'queued' && run.trigger === 'heal'
  if (stored.status === 'held' && audience.shrinkRefused && open.every(ours)) return stored
  if (open.length > 0) return { status: 'syncing', reason: null }
  // Written while a run was open that has ended since.
  if (OF_A_RUN.has(stored.status)) return { status: audience.settleAt || !audience.externalId ? 'pending' : 'active', reason: null }
  return stored
}

/** What only somebody at the platform, or a new consent, can mend. */
export const MENDABLE: ReadonlySet<string> = new Set([
  'connection_expired',
  'connection_revoked',
  'terms_not_signed',
  'platform_terms_not_signed',
  'permission_denied',
  'account_not_selected',
])
const OF_A_RUN: ReadonlySet<string> = new Set(['syncing', 'held', 'paused', 'rate_limited'])

/** Waiting for the quota, or for the platform to open the account again, is a state with a time (R5); waiting without end is an error; any other wait is part of the work. */
function waitingFor(run: RunRow): Standing {
  const reason = reasonOf(run.waitReason, run.startedAt ?? run.requestedAt, run.notBefore)
  if (reason?.code === 'platform_throttled' || (reason?.code === 'platform_blocked' && reason.until)) return { status: 'rate_limited', reason }
  return reason && !reason.until ? { status: 'error', reason } : { status: 'syncing', reason: null }
}
