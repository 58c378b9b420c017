/**
 * How large audiences are, found out without holding a transaction open over HTTP.
 *
 * One wish's life: an audience is new, its behavior changed or its minimum was moved → `size_check` is due → a worker claims it by
 * moving `due_at` on → behavior-export counts: everyone, or up to the minimum where all were counted a moment ago → under the audience's
 * lock the answer is compared, and a crossing told once (RELIABILITY.md F31) → nothing is due, unless somebody wished again meanwhile.
 */
import type { Transformation } from '@audience-sync/contracts/transformations'
import type { Database, Tx } from '@audience-sync/db/database'
import type { Logger } from '@audience-sync/service/log'
import { requestRun } from '@audience-sync/sync-engine/requests'
import { type AudienceRow, readAudience } from '@audience-sync/sync-engine/store/rows'
import { crossMinimum, note, setStatus } from '@audience-sync/sync-engine/store/status'
import { groupsOf } from './check-new.ts'
import type { Destinations } from './destinations.ts'
import type { Peers } from './peers.ts'
import { announceAudience } from './store.ts'

const SETTLE = '1 second' // a behavior that is being loaded changes many times a second; one count is enough
/** Between two counts of everyone: a count takes some 5 µs a person, and is to take no more than a 200th of the time. */
const restMs = ({ sizeBehavior }: AudienceRow) => Math.min(sizeBehavior ?? 0, 60_000)
const CLAIM = '60 seconds' // longer than a count may take
const BATCH = 10

/** Asks for a count of each, soon. */
export async function wantSizeCheck(tx: Tx, audiences: readonly Pick<AudienceRow, 'no' | 'tenantId'>[]): Promise<void> {
  await tx.query(
    `INSERT INTO size_check AS s (audience_no, tenant_id, due_at)
     SELECT no, tenant_id, now() + interval '${SETTLE}' FROM unnest($1::int[], $2::uuid[]) AS a(no, tenant_id) ORDER BY no
     ON CONFLICT (audience_no) DO UPDATE SET wanted_at = now(), due_at = least(s.due_at, excluded.due_at)`,
    [audiences.map(({ no }) => no), audiences.map(({ tenantId }) => tenantId)],
  )
}

interface Wish {
  readonly audience_no: number
  readonly tenant_id: string
  /** As text: JavaScript's clock would lose the microseconds. */
  readonly wanted_at: string
  /** Since everyone was counted last. */
  readonly age_ms: number
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
      `UPDATE size_check SET due_at = now() + interval '${CLAIM}'
       WHERE audience_no IN (SELECT audience_no FROM size_check WHERE due_at <= now() ORDER BY due_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
       RETURNING audience_no, tenant_id, wanted_at::text, coalesce(extract(epoch FROM now() - counted_at) * 1000, 'infinity')::float8 AS age_ms`,
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

async function checkSize({ db, peers, destinations }: SizeCheckParts, { audience_no: no, tenant_id: tenantId, wanted_at, age_ms }: Wish): Promise<void> {
  const row = await db.tenant(tenantId, (tx) => readAudience(tx, no))
  const manifest = destinations.get(row.destination)?.manifest
  const atMost = age_ms >= restMs(row) ? undefined : row.minimumSize
  const counted =
    !manifest || row.deleteRequestedAt
      ? null
      : await peers.eligible(
          tenantId,
          row.behaviorId,
          manifest.purpose(row.settings),
          groupsOf(row.identifiers, row.transformations as Transformation[]),
          atMost,
        )
  // Below where it stopped, a count is the whole truth.
  const whole = counted === null || atMost === undefined || counted.members < atMost
  await db.tenant(tenantId, async (tx) => {
    const crossed = counted !== null && (await compare(tx, no, counted, whole))
    await tx.query(
      `UPDATE size_check SET counted_at = CASE WHEN $3 THEN now() WHEN $4 THEN NULL ELSE counted_at END,
         due_at = CASE WHEN wanted_at <> $2::timestamptz OR $4 THEN now() WHEN $3 THEN NULL ELSE counted_at + $5 * interval '1 millisecond' END
       WHERE audience_no = $1`,
      [no, wanted_at, whole, crossed && !whole, restMs(row)],
    )
  })
}

/** Answers whether the minimum was crossed. */
async function compare(tx: Tx, no: number, { members, eligible }: { members: number; eligible: number }, whole: boolean): Promise<boolean> {
  await tx.query('SELECT FROM audience WHERE no = $1 FOR NO KEY UPDATE', [no])
  const row = await readAudience(tx, no)
  if (row.deleteRequestedAt) return false
  if (whole && (row.sizeBehavior !== members || row.sizeEligible !== eligible)) {
    await tx.query('UPDATE audience SET size_behavior = $2, size_eligible = $3, size_as_of = now() WHERE no = $1', [no, members, eligible])
    await note(tx, row, 'size', { behavior: members, eligible })
  }
  const tooSmall = await crossMinimum(tx, row, eligible)
  if (tooSmall === row.tooSmall) return false
  if (!row.pausedAt) {
    await setStatus(tx, row, tooSmall ? 'paused' : 'syncing', tooSmall ? { code: 'audience_too_small' } : null)
    // Whatever was withheld is due now; below the minimum, removals go on by the schedule (C14).
    if (!tooSmall) await requestRun(tx, { audience: row, trigger: row.externalId ? 'realtime' : 'created' })
  }
  await announceAudience(tx, no, 'changed')
  return true
}
