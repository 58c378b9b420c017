/** What the platform said of runs beyond counts: sums over their sessions, and remarks, from the receipts of their batches. */
import type { Tx } from '@audience-sync/db/database'
import type { Remark, SessionProgress } from '@audience-sync/destination-kit/progress-contract'

export interface PlatformWords {
  /** null: the platform told nothing. */
  readonly progress: {
    readonly stages: readonly string[]
    readonly received: number | null
    readonly matched: number | null
    readonly invalid: number | null
  } | null
  readonly remarks: readonly Remark[]
}

/** Of each run by its number; one statement. A session's figures are running totals, so its last word counts once. */
export async function platformWords(tx: Tx, runNos: readonly number[]): Promise<ReadonlyMap<number, PlatformWords>> {
  const { rows } = await tx.query<{ run_no: number; progress: SessionProgress | null; remarks: Remark[] | null }>(
    `SELECT DISTINCT ON (run_no, coalesce(session_id, no)) run_no, receipt->'progress' AS progress, receipt->'remarks' AS remarks
     FROM batch WHERE run_no = ANY($1) AND receipt ?| ARRAY['progress', 'remarks'] ORDER BY run_no, coalesce(session_id, no), no DESC`,
    [runNos],
  )
  const words = new Map<number, PlatformWords>()
  for (const no of new Set(rows.map(({ run_no }) => run_no))) {
    const own = rows.filter(({ run_no }) => run_no === no)
    const sessions = own.flatMap(({ progress }) => progress ?? [])
    const remarks = new Map(own.flatMap(({ remarks }) => remarks ?? []).map((remark) => [remark.code, remark]))
    words.set(no, { progress: sessions.length === 0 ? null : summed(sessions), remarks: [...remarks.values()] })
  }
  return words
}

/** A sum of what is known; null where nothing is. */
function summed(sessions: readonly SessionProgress[]): NonNullable<PlatformWords['progress']> {
  const sum = (values: readonly (number | null)[]): number | null => {
    const known = values.filter((value) => value !== null)
    return known.length === 0 ? null : known.reduce((total, value) => total + value, 0)
  }
  return {
    stages: [...new Set(sessions.flatMap(({ stage }) => stage ?? []))],
    received: sum(sessions.map(({ received }) => received)),
    matched: sum(sessions.map(({ matched }) => matched)),
    invalid: sum(sessions.map(({ invalid }) => invalid)),
  }
}
