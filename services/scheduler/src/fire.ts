/**
 * The clock. Takes schedules whose time has come by the database's clock, several schedulers side by side (RELIABILITY.md F18,
 * F33), and asks for one sync each. Row lock, unique slot, request and next time are one transaction: a slot is fired once,
 * whoever crashes, and however clocks jump. Slots missed while nobody looked become one request, not many.
 */
import { topics } from '@audience-sync/contracts/events/topics'
import { publicId } from '@audience-sync/contracts/ids'
import { nextSlot, Schedule } from '@audience-sync/contracts/schedule'
import type { Database, Tx } from '@audience-sync/db/database'
import { setTenant } from '@audience-sync/events/consumer'
import { publish } from '@audience-sync/events/outbox'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'

const BATCH = 100 // schedules in one transaction: a tenth of a second of locks
const SLOTS_KEPT = '30 days' // to look things up; the key protects from repeats only around now

interface Due {
  readonly audience_id: string
  readonly tenant_id: string
  readonly destination: string
  readonly schedule: unknown
  readonly next_at: Date
  readonly now: Date
}

/** Fires what is due, up to a batch. Answers whether more may be waiting. */
export async function fireDue(db: Database): Promise<boolean> {
  return db.tx(async (tx) => {
    const { rows } = await tx.query<Due>(
      `SELECT audience_id, tenant_id, destination, schedule, next_at, now() AS now FROM schedule
       WHERE next_at <= now() ORDER BY next_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`,
    )
    for (const due of rows) await fire(tx, due)
    return rows.length === BATCH
  })
}

async function fire(tx: Tx, due: Due): Promise<void> {
  await setTenant(tx, due.tenant_id)
  const { rowCount } = await tx.query(`INSERT INTO slot (audience_id, slot_utc, tenant_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, [
    due.audience_id,
    due.next_at,
    due.tenant_id,
  ])
  if (rowCount === 1) {
    await publish(tx, {
      topic: topics.audienceSyncRequested,
      tenantId: due.tenant_id,
      key: due.audience_id,
      headers: { destination: due.destination },
      message: { audienceId: publicId('audience', due.audience_id), trigger: 'schedule', mode: 'incremental', slot: timestampFromDate(due.next_at) },
    })
    await tx.query(`DELETE FROM slot WHERE audience_id = $1 AND slot_utc < now() - interval '${SLOTS_KEPT}'`, [due.audience_id])
  }
  // From now, not from the slot: that is what makes many missed slots one.
  await tx.query('UPDATE schedule SET next_at = $2 WHERE audience_id = $1', [due.audience_id, nextSlot(Schedule.parse(due.schedule), due.now)])
}
