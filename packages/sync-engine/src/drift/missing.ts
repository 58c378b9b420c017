/**
 * A far audience that is not there, or not shown to us. It is a question before it is anything else: until it is answered nothing is
 * sent but removals for privacy. Its owner answers beforehand (`driftPolicy.missing`), by `heal`, or by deleting it here; and it is
 * over by itself when the audience is seen again.
 */
import type { DriftPolicy } from '@audience-sync/contracts/rest/drift'
import type { Tx } from '@audience-sync/db/database'
import { requestHeal, requestRun } from '../requests.ts'
import { type AudienceRow, readAudience } from '../store/rows.ts'
import { note, type StatusReason, setStatus } from '../store/status.ts'
import { restStatus } from '../worker/close.ts'

export interface Missing extends StatusReason {
  readonly code: string
  /** The account's audiences could be listed, or the platform said it: it is deleted. Else access may be lost, and it lives (C19). */
  readonly proven: boolean
  readonly since: string
}

export const missingOf = ({ missing }: Pick<AudienceRow, 'missing'>): Missing | null => missing as Missing | null

/** Nothing is sent while the question is open. */
export const isHeldBack = ({ missing, healRequestedAt }: Pick<AudienceRow, 'missing' | 'healRequestedAt'>): boolean =>
  missing !== null && healRequestedAt === null

/** A second deletion within this time is no accident: whoever deletes it, or whatever makes it vanish, would win a race against us. */
const RECREATED_AT_MOST = '24 hours'

/** Records it, and follows the policy: a run that makes a new one, or the question. In a transaction that holds the audience's row. */
export async function foundMissing(tx: Tx, no: number, found: Omit<Missing, 'since'>): Promise<void> {
  const audience = await readAudience(tx, no)
  const before = missingOf(audience)
  const missing: Missing = { ...found, since: before?.code === found.code ? before.since : new Date().toISOString() }
  await tx.query('UPDATE audience SET missing = $2, updated_at = now() WHERE no = $1', [no, JSON.stringify(missing)])
  if (before?.code !== found.code) await note(tx, audience, 'drift', { code: found.code, over: false })
  if (audience.healRequestedAt !== null || audience.deleteRequestedAt !== null) return
  if (await healsItself(tx, audience, missing)) {
    await requestHeal(tx, audience, false)
    return
  }
  const { proven: _, since: __, ...reason } = missing
  await setStatus(tx, audience, 'held', reason)
}

/** Only what is ours and surely gone is made anew without asking. */
async function healsItself(tx: Tx, { no, adopted, driftPolicy, pausedAt }: AudienceRow, { proven }: Missing): Promise<boolean> {
  if ((driftPolicy as DriftPolicy).missing !== 'recreate' || adopted || !proven || pausedAt !== null) return false
  const { rows } = await tx.query(`SELECT FROM far_audience WHERE audience_no = $1 AND since > now() - interval '${RECREATED_AT_MOST}' LIMIT 1`, [no])
  return rows.length === 0
}

/** It is there after all: whatever waited is said. */
export async function seenAgain(tx: Tx, no: number): Promise<void> {
  const audience = await readAudience(tx, no)
  const missing = missingOf(audience)
  if (!missing) return
  await tx.query('UPDATE audience SET missing = NULL, heal_requested_at = NULL, updated_at = now() WHERE no = $1', [no])
  await note(tx, audience, 'drift', { code: missing.code, over: true })
  await restStatus(tx, no)
  await tx.query(`UPDATE run SET not_before = NULL WHERE audience_no = $1 AND trigger = 'privacy' AND status IN ('queued', 'waiting')`, [no])
  if (!audience.pausedAt && !audience.deleteRequestedAt) await requestRun(tx, { audience, trigger: 'heal', announce: false })
}
