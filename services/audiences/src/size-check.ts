/**
 * Whether audiences are large enough, found out without holding a transaction open over HTTP.
 *
 * One wish's life: a behavior changed or a minimum was moved → a row in `size_check` → a worker claims it by moving `not_before`
 * on → behavior-export counts, up to the minimum → under the audience's lock the answer is compared, and a crossing told once
 * (RELIABILITY.md F31) → the row goes, unless somebody wished again meanwhile.
 */
import type { Database, Tx } from '@audience-sync/db/database'
import type { Logger } from '@audience-sync/service/log'
import { requestRun } from '@audience-sync/sync-engine/requests'
import { type AudienceRow, readAudience } from '@audience-sync/sync-engine/store/rows'
import { crossMinimum, setStatus } from '@audience-sync/sync-engine/store/status'
import { groupsOf } from './check-new.ts'
import type { Destinations } from './destinations.ts'
import type { Peers } from './peers.ts'
import { announceAudience } from './store.ts'

const SETTLE_MS = 1_000 // a behavior that is being loaded changes many times a second; one count is enough
const CLAIM_MS = 30_000 // longer than a count may take
const BATCH = 10

/** Asks for a count of each, soon. */
export async function wantSizeCheck(tx: Tx, audiences: readonly Pick<AudienceRow, 'no' | 'tenantId'>[]): Promise<void> {
  await tx.query(
    `INSERT INTO size_check (audience_no, tenant_id, not_before)
     SELECT no, tenant_id, now() + interval '${SETTLE_MS} milliseconds' FROM unnest($1::int[], $2::uuid[]) AS a(no, tenant_id) ORDER BY no
     ON CONFLICT (audience_no) DO UPDATE SET wanted_at = now()`,
    [audiences.map(({ no }) => no), audiences.map(({ tenantId }) => tenantId)],
  )
}

interface Wish {
  readonly audience_no: number
  readonly tenant_id: string
  /** As text: JavaScript's clock would lose the microseconds. */
  readonly wanted_at: string
}

export interface SizeCheckParts {
  readonly db: Database
  readonly peers: Peers
  readonly destinations: Destinations
  readonly log: Logger
}

/** Counts for some of those whose time has come. Answers whether more may be waiting. */
export async function checkSizes(parts: SizeCheckParts): Promise<boolean> {
  const { rows } = await parts.db.tx((tx) =>
    tx.query<Wish>(
      `UPDATE size_check SET not_before = now() + interval '${CLAIM_MS} milliseconds'
       WHERE audience_no IN (SELECT audience_no FROM size_check WHERE not_before <= now() ORDER BY not_before LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
       RETURNING audience_no, tenant_id, wanted_at::text`,
    ),
  )
  for (const wish of rows) {
    try {
      await checkSize(parts, wish)
    } catch (error) {
      parts.log.warn({ err: error, what: 'size check', tenantId: wish.tenant_id }, 'a count failed; it is tried again')
    }
  }
  return rows.length === BATCH
}

async function checkSize({ db, peers, destinations }: SizeCheckParts, { audience_no: no, tenant_id: tenantId, wanted_at }: Wish): Promise<void> {
  const row = await db.tenant(tenantId, (tx) => readAudience(tx, no))
  const manifest = destinations.get(row.destination)?.manifest
  const over = row.deletedAt || row.deleteRequestedAt || !manifest
  const eligible = over ? null : await peers.eligible(tenantId, row.behaviorId, manifest.purpose(row.settings), groupsOf(row.identifiers), row.minimumSize)
  await db.tenant(tenantId, async (tx) => {
    if (eligible !== null) await compare(tx, no, eligible)
    await tx.query(`UPDATE size_check SET not_before = now() WHERE audience_no = $1 AND wanted_at <> $2::timestamptz`, [no, wanted_at])
    await tx.query('DELETE FROM size_check WHERE audience_no = $1 AND wanted_at = $2::timestamptz', [no, wanted_at])
  })
}

async function compare(tx: Tx, no: number, eligible: number): Promise<void> {
  await tx.query('SELECT FROM audience WHERE no = $1 FOR NO KEY UPDATE', [no])
  const row = await readAudience(tx, no)
  if (row.deleteRequestedAt) return
  const tooSmall = await crossMinimum(tx, row, eligible)
  if (eligible < row.minimumSize) await tx.query('UPDATE audience SET size_eligible = $2, size_as_of = now() WHERE no = $1', [no, eligible])
  if (tooSmall === row.tooSmall) return
  if (!row.pausedAt) {
    await setStatus(tx, row, tooSmall ? 'paused' : 'syncing', tooSmall ? { code: 'audience_too_small' } : null)
    // Whatever was withheld is due now; below the minimum, removals go on by the schedule (C14).
    if (!tooSmall) await requestRun(tx, { audience: row, trigger: row.externalId ? 'realtime' : 'created' })
  }
  await announceAudience(tx, no, 'changed')
}
