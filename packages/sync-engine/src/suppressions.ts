/**
 * Who may not be sent any more. `customer.suppressed` only wakes this reader; it reads behavior-export's log by cursor, so nothing
 * depends on how long the topic keeps (SYNC.md C10). For each page: a tombstone for everyone, and that is committed; then, in a second
 * transaction, whoever the ledger may hold is left to remove, a run for it is made, and the cursor moves. Workers do the reverse: they
 * commit the ledger row and read the tombstones afterwards, so one of the two sees the other. In one transaction each could
 * overlook the other: the ledger would be read before the worker's commit, and the tombstone committed after the worker's look.
 */

import { publicId } from '@audience-sync/contracts/ids'
import type { SuppressionRow } from '@audience-sync/contracts/internal/feed'
import { readPosition } from '@audience-sync/contracts/internal/position'
import { purposeBit } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import { requestPrivacyRun } from './requests.ts'
import { leave } from './store/ledger.ts'
import { type AudienceRow, readAudience } from './store/rows.ts'
import type { Engine } from './worker/engine.ts'

/**
 * In place of a tombstone's sequence when the feed was restored. Transaction numbers may begin anew then, so whatever the log says of the
 * person counts as newer; of whom it says nothing, the objection was lost with the data, and the tombstone is all that remembers it.
 */
const OF_ANOTHER_HISTORY = -1

/** Reads one page. Answers true when there is more. One reader per destination: the cursor's row is locked while it reads. */
export async function readSuppressions(engine: Engine): Promise<boolean> {
  const { db, destinationNo, suppressions } = engine
  const { rows } = await db.pool.query<{ epoch: string | null; position: string }>('SELECT epoch, position FROM suppression_cursor WHERE destination_no = $1', [
    destinationNo,
  ])
  const from = rows[0] ?? { epoch: null, position: '0:0' }
  const page = await suppressions.after(from.position)
  // After a restore the positions are another history's: read it all again (C8).
  const restarted = from.epoch !== null && from.epoch !== page.horizon.epoch
  const next = restarted ? '0:0' : page.next
  if (!restarted && page.rows.length === 0 && next === from.position && from.epoch !== null) return false
  // Twice, after a crash or by two pods, is harmless.
  if (!restarted && page.rows.length > 0) await db.tx((tx) => bury(tx, engine, latestOf(page.rows)))
  await db.tx(async (tx) => {
    const { rowCount } = await tx.query(
      `INSERT INTO suppression_cursor AS c (destination_no, epoch, position) VALUES ($1, $2, $3)
       ON CONFLICT (destination_no) DO UPDATE SET epoch = excluded.epoch, position = excluded.position WHERE c.position = $4`,
      [destinationNo, page.horizon.epoch, next, from.position],
    )
    if (rowCount === 0) return // another pod has read this page
    if (restarted) {
      await tx.query('UPDATE tombstone SET seq = $2 WHERE destination_no = $1', [destinationNo, OF_ANOTHER_HISTORY])
      return
    }
    await leaveToRemove(tx, engine, latestOf(page.rows))
  })
  return restarted || !page.done
}

type Latest = ReadonlyMap<number, SuppressionRow>

/** Each row names the purposes lost by it: ads yesterday and the CRM today are both lost (C13). */
function latestOf(rows: readonly SuppressionRow[]): Latest {
  const latest = new Map<number, SuppressionRow>()
  for (const row of rows) latest.set(row.customerNo, { ...row, purposes: row.purposes | (latest.get(row.customerNo)?.purposes ?? 0) })
  return latest
}

async function bury(tx: Tx, engine: Engine, latest: Latest): Promise<void> {
  const entries = [...latest.values()].toSorted((a, b) => a.customerNo - b.customerNo)
  const places = entries.map(({ at }) => readPosition(at))
  await tx.query(
    `INSERT INTO tombstone AS t (destination_no, customer_no, purposes, xid, seq) SELECT $1::smallint, * FROM unnest($2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[])
     ON CONFLICT (destination_no, customer_no) DO UPDATE SET purposes = t.purposes | excluded.purposes, xid = excluded.xid, seq = excluded.seq
       WHERE t.seq = ${OF_ANOTHER_HISTORY} OR (t.xid, t.seq) < (excluded.xid, excluded.seq)`,
    [
      engine.destinationNo,
      entries.map(({ customerNo }) => customerNo),
      entries.map(({ purposes }) => purposes),
      places.map(({ xid }) => xid),
      places.map(({ seq }) => seq),
    ],
  )
}

/** After the tombstones: whoever the ledger may hold. */
async function leaveToRemove(tx: Tx, engine: Engine, latest: Latest): Promise<void> {
  if (latest.size === 0) return
  const { rows: held } = await tx.query<{ audience_no: number; tenant_id: string; customers: number[] }>(
    `SELECT l.audience_no, a.tenant_id, array_agg(DISTINCT l.customer_no) AS customers FROM ledger l JOIN audience a ON a.no = l.audience_no
     WHERE l.destination_no = $1 AND l.customer_no = ANY($2) AND a.deleted_at IS NULL GROUP BY 1, 2 ORDER BY 1`,
    [engine.destinationNo, [...latest.keys()]],
  )
  for (const { audience_no, tenant_id, customers } of held) {
    await tx.query(`SELECT set_config('app.tenant_id', $1, true)`, [tenant_id])
    const audience = await readAudience(tx, audience_no)
    const purpose = purposeOf(engine, audience)
    const concerned = customers.map(Number).filter((no) => ((latest.get(no)?.purposes ?? 0) & purpose) !== 0)
    if (concerned.length === 0) continue
    const { tenantNo, destinationNo, generation } = audience
    await leave(tx, { audienceNo: audience.no, tenantNo, destinationNo, generation }, null, 'privacy', concerned)
    await requestPrivacyRun(tx, audience)
    engine.log.info({ audienceId: publicId('audience', audience.id), people: concerned.length }, 'removals for privacy are due')
  }
}

function purposeOf({ destination: { manifest } }: Engine, { settings }: AudienceRow): number {
  return purposeBit(manifest.purpose(manifest.settings.parse(settings)))
}
