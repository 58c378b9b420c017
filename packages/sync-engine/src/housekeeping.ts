/** What a connector forgets by itself, a little at a time (RELIABILITY.md §4.10): row detail after 90 days, the history after 400, tags that nobody holds
 * any more and no opt-out may still take from the account, the ledger of far audiences that are proven deleted. */

import { UNCONFIRMED_AFTER } from './options.ts'
import { purgeDeleted } from './store/far-audience.ts'
import { FORGET_LATER } from './store/forget.ts'
import { FORGET_EARLIER } from './store/say-again.ts'
import type { Engine } from './worker/engine.ts'

const DETAIL_KEPT = '90 days' // counts stay for ever, they are sums over the batches
const HISTORY_KEPT = '400 days' // a year can be compared with the one before it, with a month to do so
const ROWS = 5_000 // of one table at once: some hundred milliseconds, so that nobody waits for it
export const HOUSEKEEPING_EVERY_MS = 3_600_000

const STATEMENTS = [
  `DELETE FROM call WHERE no IN (SELECT no FROM call WHERE started_at < now() - interval '${DETAIL_KEPT}' LIMIT ${ROWS})`,
  `DELETE FROM rejection WHERE ctid IN (SELECT ctid FROM rejection WHERE last_at < now() - interval '${DETAIL_KEPT}' LIMIT ${ROWS})`,
  `DELETE FROM removed_member WHERE ctid IN (SELECT ctid FROM removed_member WHERE removed_at < now() - interval '${DETAIL_KEPT}' LIMIT ${ROWS})`,
  `DELETE FROM normaliser_report WHERE no IN (SELECT no FROM normaliser_report WHERE requested_at < now() - interval '${DETAIL_KEPT}' LIMIT ${ROWS})`,
  `DELETE FROM history WHERE no IN (SELECT no FROM history WHERE at < now() - interval '${HISTORY_KEPT}' LIMIT ${ROWS})`,
  `DELETE FROM ledger_tag WHERE ctid IN (SELECT t.ctid FROM ledger_tag t LEFT JOIN ledger l ON l.audience_no = t.audience_no AND l.customer_no = t.customer_no
     WHERE l.customer_no IS NULL AND NOT EXISTS (SELECT FROM privacy_removal p JOIN batch b ON b.no = p.batch_no
       WHERE p.customer_no = t.customer_no AND b.manner = 'account' AND b.accepted_at > now() - interval '${UNCONFIRMED_AFTER}') LIMIT ${ROWS})`,
  FORGET_LATER(ROWS),
  FORGET_EARLIER(ROWS),
]

/** Answers whether there is more of something. Row-level security keeps it to the connector's own destination. */
export async function housekeep({ db }: Pick<Engine, 'db'>): Promise<boolean> {
  await purgeDeleted(db)
  let more = false
  for (const statement of STATEMENTS) {
    const { rowCount } = await db.pool.query(statement)
    more ||= rowCount === ROWS
  }
  return more
}
