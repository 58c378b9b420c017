/** What need not be kept: events with their deliveries and attempts after 30 days (RELIABILITY.md §4.10), secrets whose time is over. */
import type { Database } from '@audience-sync/db/database'

const KEPT = '30 days'
const ROWS = 5_000 // events in one statement; their deliveries and attempts go with them

/** Of all tenants. Answers how many events went. */
export async function forget(db: Database): Promise<number> {
  await db.tx((tx) => tx.query('UPDATE endpoint SET old_secret = NULL, old_secret_until = NULL WHERE old_secret_until < now()'))
  for (let count = 0; ; ) {
    const { rowCount } = await db.tx((tx) =>
      tx.query(`DELETE FROM event WHERE ctid IN (SELECT ctid FROM event WHERE created_at < now() - interval '${KEPT}' LIMIT ${ROWS})`),
    )
    count += rowCount ?? 0
    if (rowCount !== ROWS) return count
  }
}
