/**
 * People who were left for the time after a call: whoever had to wait for its outcome (SYNC.md C12), and whoever's rows of an earlier
 * normaliser may go when the new ones are applied. No change of the feed tells that it has ended, so a run is made.
 */
import type { Tx } from '@audience-sync/db/database'
import { requestRun } from '../requests.ts'
import type { AudienceRow } from './rows.ts'

/** Not before the addition that takes its place is applied. `t` is a row of `todo`, `l` of the ledger. */
export const SUPERSEDED_WAITS = `(t.reason = 'normaliser' AND EXISTS (SELECT FROM batch WHERE no = l.add_batch AND state = 'accepted'))`

const OPEN = `('planned', 'sending', 'unknown')`

/** Makes a run where something that people waited for has ended. */
export async function requestFollowUp(tx: Tx, audience: AudienceRow): Promise<void> {
  if (audience.pausedAt || audience.deleteRequestedAt || audience.missing !== null || audience.externalId === null) return
  const { rows } = await tx.query(
    `SELECT FROM todo t LEFT JOIN ledger l ON l.audience_no = t.audience_no AND l.customer_no = t.customer_no AND l.generation = $2
     WHERE t.audience_no = $1 AND t.reason IN ('in_flight', 'normaliser') AND t.not_before <= now() AND NOT ${SUPERSEDED_WAITS}
       AND NOT EXISTS (SELECT FROM batch WHERE no IN (l.add_batch, l.remove_batch) AND state IN ${OPEN}) LIMIT 1`,
    [audience.no, audience.generation],
  )
  if (rows.length > 0) await requestRun(tx, { audience, trigger: 'heal', announce: false })
}
