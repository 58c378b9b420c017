/**
 * A removal that the platform refuses because of the size that it would leave (`too_small`). Nobody is given up: people stay to be
 * removed, the audience says so (`removal_refused`), and they are tried again when an addition has made it larger, with every full run,
 * and by a replacement of the whole list where that is allowed. Removals for privacy go to the whole account instead (R7).
 */
import type { Tx } from '@audience-sync/db/database'
import { REFUSED_AGAIN_MS } from '../options.ts'
import { requestRun } from '../requests.ts'
import { leave } from '../store/ledger.ts'
import { type AudienceRow, type RunRow, readAudience } from '../store/rows.ts'
import { type StatusReason, setStatus } from '../store/status.ts'
import type { Job } from './job.ts'

/** In the transaction that closes the refused batch. */
export async function holdUntilLarger(
  tx: Tx,
  { engine, audience, scope, config }: Job,
  run: RunRow,
  customers: readonly number[],
  reason: StatusReason,
): Promise<void> {
  await tx.query('UPDATE audience SET shrink_refused = $2 WHERE no = $1', [audience.no, JSON.stringify(reason)])
  if (run.trigger === 'privacy') {
    // That run says nothing of the audience's status otherwise.
    await setStatus(tx, audience, 'held', reason)
    return
  }
  // A full run says the whole list anew, where that is allowed.
  const { replaceList } = engine.destination
  if (replaceList && !audience.adopted && replaceList.wish(config.settings) !== 'never' && replaceList.refusal(config) === null)
    await requestRun(tx, { audience, trigger: 'heal', mode: 'full', delayMs: REFUSED_AGAIN_MS, announce: false })
  await leave(tx, scope, run.no, 'too_small', customers)
  await tx.query(`UPDATE todo SET not_before = 'infinity' WHERE audience_no = $1 AND customer_no = ANY($2) AND reason = 'too_small'`, [audience.no, customers])
}

/** Additions were applied: the audience is larger than when it was refused. */
export async function tryShrinkingAgain(tx: Tx, { no }: Pick<AudienceRow, 'no'>): Promise<void> {
  const audience = await readAudience(tx, no)
  if (audience.shrinkRefused === null || audience.pausedAt || audience.deleteRequestedAt) return
  const { rowCount } = await tx.query(`UPDATE todo SET not_before = now() WHERE audience_no = $1 AND reason = 'too_small' AND not_before = 'infinity'`, [no])
  if (rowCount) await requestRun(tx, { audience, trigger: 'heal', announce: false })
}

/** Why the audience is held between its runs; null: nobody waits for it to grow any more. */
export async function stillRefused(tx: Tx, audience: AudienceRow): Promise<StatusReason | null> {
  if (audience.shrinkRefused === null) return null
  const { rows } = await tx.query(`SELECT FROM todo WHERE audience_no = $1 AND reason IN ('too_small', 'privacy') LIMIT 1`, [audience.no])
  if (rows.length > 0) return audience.shrinkRefused as StatusReason
  await tx.query('UPDATE audience SET shrink_refused = NULL WHERE no = $1', [audience.no])
  return null
}
