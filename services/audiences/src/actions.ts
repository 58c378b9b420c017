/**
 * What a user may wish of an audience or a run. Each change locks the audience, refuses what its state forbids, and leaves a wish: a queued
 * run, or a request that the lease holder acts on (SYNC.md C15).
 */
import { uuidOf } from '@audience-sync/contracts/ids'
import type { AudiencePatch } from '@audience-sync/contracts/rest/audiences'
import { orm, type Tx } from '@audience-sync/db/database'
import type { Manifest } from '@audience-sync/destination-kit/manifest-contract'
import { AppError } from '@audience-sync/errors/app-error'
import { isCode } from '@audience-sync/errors/catalogue'
import { traceparent } from '@audience-sync/service/otel'
import { missingOf } from '@audience-sync/sync-engine/drift/missing'
import { type Mode, requestApproval, requestCancel, requestDelete, requestPause, requestResume, requestRun } from '@audience-sync/sync-engine/requests'
import { audience } from '@audience-sync/sync-engine/schema/audience'
import { run } from '@audience-sync/sync-engine/schema/run'
import { type AudienceRow, type RunRow, readAudience, readRun } from '@audience-sync/sync-engine/store/rows'
import { setStatus } from '@audience-sync/sync-engine/store/status'
import { eq } from 'drizzle-orm'
import { choiceOf } from './audience-json.ts'
import { checkChoices, chosenIdentifiers, invalid } from './check-new.ts'
import { type Destinations, destinationAt, parseSettings } from './destinations.ts'
import { clearLookalikes } from './lookalikes.ts'
import { claimName } from './name-taken.ts'
import { hasTemplate } from './names.ts'
import { wantSizeCheck } from './size-check.ts'
import { isHeld } from './status.ts'
import { announceAudience, findAudience, lockAudience, openRuns } from './store.ts'

/**
 * A new run, or the one that is queued already: a hundred callers make at most two (API.md «Refresh»). The audience is not locked:
 * a pause that comes between only ends the queued run, and callers wait for each other no longer than they must.
 */
export async function refresh(tx: Tx, audienceId: string, mode: Mode): Promise<RunRow> {
  const row = await findAudience(tx, audienceId)
  await refuseUnlessReady(tx, row)
  if (mode === 'full') await setFullReason(tx, row.no, 'requested')
  const { no } = await requestRun(tx, { audience: row, trigger: 'api', mode, traceparent: traceparent() })
  return readRun(tx, no)
}

/**
 * Whoever the platform refused in that run is tried again, in a new run or the one that is queued (SYNC.md C3). Not whoever a later call has
 * named since: a call that changes nothing is never shown as applied, and its run would wait for that (C20).
 */
export async function retryRejected(tx: Tx, publicRunId: string): Promise<RunRow> {
  const { no: runNo, audienceNo } = await findRun(tx, publicRunId)
  const row = await readAudience(tx, audienceNo)
  await refuseUnlessReady(tx, row)
  const { rowCount } = await tx.query(
    `INSERT INTO todo (customer_no, audience_no, tenant_no, destination_no, reason, run_no)
     SELECT DISTINCT r.customer_no, r.audience_no, r.tenant_no, r.destination_no, 'rejected', r.run_no FROM rejection r
     LEFT JOIN todo t ON t.audience_no = r.audience_no AND t.customer_no = r.customer_no
     LEFT JOIN ledger l ON l.audience_no = r.audience_no AND l.customer_no = r.customer_no AND l.generation = $2
     WHERE r.run_no = $1 AND (t.customer_no IS NOT NULL OR coalesce(greatest(l.add_batch, l.remove_batch) <= r.batch_no, true)) ORDER BY 1
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET attempts = 0, not_before = now()`,
    [runNo, row.generation],
  )
  if (rowCount === 0) throw new AppError('conflict', 'Nobody was refused in this run who has not been sent again since.')
  const { no } = await requestRun(tx, { audience: row, trigger: 'retry', traceparent: traceparent() })
  return readRun(tx, no)
}

/** API.md «Statuses»: what forbids a run, the user's own wishes first. */
export async function refuseUnlessReady(tx: Tx, row: AudienceRow): Promise<void> {
  refuseDeleting(row)
  if (row.pausedAt) throw new AppError('audience_paused', 'The audience is paused.')
  const missing = missingOf(row)
  if (missing && !row.healRequestedAt)
    throw new AppError(isCode(missing.code) ? missing.code : 'audience_missing', missing.detail ?? 'The audience is not there.')
  if (await heldRun(tx, row.no)) throw new AppError('audience_held', 'A run of this audience is held by the brake.')
  // Of one that is there already removals go on (C14), so that a run has its use.
  if (row.tooSmall && row.externalId === null) throw new AppError('audience_too_small', `Fewer than ${row.minimumSize} people may be sent.`)
}

/** Ends the live run; nothing begins until the audience is resumed. Removals for privacy go on (R7). */
export async function pause(tx: Tx, audienceId: string, reason: string): Promise<AudienceRow> {
  const row = await lockAudience(tx, audienceId)
  refuseDeleting(row)
  const why = { code: 'audience_paused', ...(reason && { detail: reason }) }
  await requestPause(tx, row.no, why)
  await setStatus(tx, row, 'paused', why)
  await announceAudience(tx, row.no, 'changed')
  return readAudience(tx, row.no)
}

/** Makes one run. An audience that is not paused stays as it is. */
export async function resume(tx: Tx, audienceId: string): Promise<AudienceRow> {
  const row = await lockAudience(tx, audienceId)
  refuseDeleting(row)
  if (!row.pausedAt) return row
  await requestResume(tx, row)
  const missing = missingOf(row)
  if (missing && !row.healRequestedAt) await setStatus(tx, row, 'held', { code: missing.code, detail: missing.detail })
  else await setStatus(tx, row, row.tooSmall ? 'paused' : 'syncing', row.tooSmall ? { code: 'audience_too_small' } : null)
  await announceAudience(tx, row.no, 'changed')
  return readAudience(tx, row.no)
}

/** Lets the held run go on, planned anew. Said twice, it is said once. */
export async function approve(tx: Tx, audienceId: string): Promise<RunRow> {
  const row = await lockAudience(tx, audienceId)
  refuseDeleting(row)
  const live = (await openRuns(tx, [row.no])).filter(({ status }) => status !== 'queued')
  const held = live.find((one) => one.approval !== null || isHeld(one))
  if (!held) throw new AppError('run_not_held', 'No run of this audience is held.')
  await requestApproval(tx, held.no)
  return readRun(tx, held.no)
}

/**
 * Members are removed and the audience that we made is deleted, by the connector; with `keepRemote` it is only let go of. Asked again, a
 * deletion that the platform refused is tried again at once.
 */
export async function deleteAudience(tx: Tx, audienceId: string, { keepRemote, deleteLookalikes }: Deletion): Promise<AudienceRow> {
  const row = await lockAudience(tx, audienceId)
  if (!keepRemote && !row.keepRemote) await clearLookalikes(tx, row, deleteLookalikes)
  await requestDelete(tx, row.no, keepRemote || row.keepRemote)
  if (!row.deleteRequestedAt) {
    await setStatus(tx, row, 'deleting')
    await announceAudience(tx, row.no, 'changed')
  } else if (keepRemote) await requestDelete(tx, row.no, true) // what cannot be deleted there is let go of
  return readAudience(tx, row.no)
}

export interface Deletion {
  readonly keepRemote: boolean
  /** Those that we made of it go first. */
  readonly deleteLookalikes: boolean
}

/** Changes what was chosen. What alters the content that is sent makes the next run full (C9). */
export async function patch(tx: Tx, audienceId: string, asked: AudiencePatch, destinations: Destinations): Promise<AudienceRow> {
  const row = await lockAudience(tx, audienceId)
  refuseDeleting(row)
  const { manifest } = destinationAt(destinations, row.destination)
  const { identifierPreset: _, drift, ...plain } = { ...asked, identifiers: chosenIdentifiers(manifest, asked) }
  const changes = Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined)) as Partial<typeof audience.$inferInsert>
  if (asked.settings) changes.settings = parseSettings(manifest, { ...(row.settings as object), ...asked.settings })
  if (drift) changes.driftPolicy = { ...(row.driftPolicy as object), ...drift }
  const next = { ...row, ...changes }
  await refuseFixed(tx, manifest, row, next)
  checkChoices({ manifest, name: next.name, description: next.description ?? '', identifiers: next.identifiers })
  if (next.name !== row.name) {
    if (hasTemplate(next.name)) throw invalid('name', 'templates are filled in when an audience is made')
    await claimName(tx, row.accountId, next.name, manifest.limits.nameLength, row.no)
  }
  if (Object.keys(changes).length === 0) return row
  await orm(tx).update(audience).set(changes).where(eq(audience.no, row.no))
  const settingsChanged = !same(next.settings, row.settings)
  const contentChanged =
    (settingsChanged && !manifest.sameRows?.(row.settings, next.settings)) ||
    !same([...next.identifiers].sort(), [...row.identifiers].sort()) ||
    !same(next.transformations, row.transformations)
  if (contentChanged) {
    await tx.query('UPDATE audience SET config_version = config_version + 1 WHERE no = $1', [row.no])
    await setFullReason(tx, row.no, 'config_changed')
  }
  const toldThere = contentChanged || settingsChanged || next.name !== row.name || next.description !== row.description
  if (toldThere && row.externalId !== null) {
    await tx.query('UPDATE audience SET far_stale = true WHERE no = $1', [row.no])
    // Soon, where nothing forbids a run; else with the next one.
    if (!row.pausedAt && !row.tooSmall && !(await heldRun(tx, row.no))) await requestRun(tx, { audience: row, trigger: 'api', traceparent: traceparent() })
  }
  if (contentChanged || next.minimumSize !== row.minimumSize) await wantSizeCheck(tx, [row])
  await announceAudience(tx, row.no, 'changed')
  return readAudience(tx, row.no)
}

/** What the platform takes once is refused as soon as the audience exists there, or is being made. */
async function refuseFixed(tx: Tx, manifest: Manifest, row: AudienceRow, next: Pick<AudienceRow, 'purpose' | 'settings'>): Promise<void> {
  // An adopted audience was made by somebody else: until the first run has met it, our choice is only a guess at theirs.
  const exists = row.adopted ? row.cursorEpoch !== null : row.externalId !== null || (await openRuns(tx, [row.no])).some(({ status }) => status !== 'queued')
  const fixed = exists ? (manifest.fixedChoices?.(choiceOf(row), choiceOf({ ...row, ...next })) ?? []) : []
  if (fixed.length === 0) return
  const errors = fixed.map(({ path, message }) => ({ in: 'body', path, message }))
  throw new AppError('setting_fixed', errors.map(({ message }) => message).join(' '), { extra: { errors } })
}

/** By its public id; `not_found` for unknown and foreign ones. */
export async function findRun(tx: Tx, publicRunId: string): Promise<RunRow> {
  const id = uuidOf('run', publicRunId)
  const [row] = id ? await orm(tx).select().from(run).where(eq(run.id, id)) : []
  if (!row) throw new AppError('not_found', 'There is no such run.')
  return row
}

/** What is under way ends with the outcome it has; the rest is left to do (C3). */
export async function cancelRun(tx: Tx, publicRunId: string): Promise<RunRow> {
  const row = await findRun(tx, publicRunId)
  if (!(await requestCancel(tx, row.no))) throw new AppError('run_finished', `The run is ${row.status}.`)
  return readRun(tx, row.no)
}

const setFullReason = (tx: Tx, audienceNo: number, reason: string) =>
  tx.query('UPDATE audience SET full_reason = coalesce(full_reason, $2) WHERE no = $1', [audienceNo, reason])

export function refuseDeleting(row: AudienceRow): void {
  if (row.deleteRequestedAt) throw new AppError('audience_deleting', 'The audience is being deleted.')
}

async function heldRun(tx: Tx, audienceNo: number): Promise<RunRow | undefined> {
  return (await openRuns(tx, [audienceNo])).find(isHeld)
}

/** Both are JSON; Postgres may have ordered the members of the stored one. */
const same = (a: unknown, b: unknown) => JSON.stringify(a, sorted) === JSON.stringify(b, sorted)
const sorted = (_key: string, value: unknown) =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    : value
