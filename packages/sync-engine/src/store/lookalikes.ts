/** Lookalikes as rows: wished for and given up by `audiences`, moved on under the seed's lease (SYNC.md C15). */
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { orm, type Tx } from '@audience-sync/db/database'
import type { LookalikeSpec } from '@audience-sync/destination-kit/lookalike-contract'
import { and, asc, eq, isNull, sql } from 'drizzle-orm'
import { lookalike } from '../schema/lookalike.ts'
import type { AudienceRow } from './rows.ts'
import { note, type StatusReason } from './status.ts'

export type LookalikeRow = typeof lookalike.$inferSelect
export type LookalikeStatus = 'pending' | 'creating' | 'active' | 'error' | 'deleting'

/** Wishes for one; undefined: the seed has one of the same choice already. The caller holds the seed's row. */
export async function wishLookalike(tx: Tx, seed: AudienceRow, name: string, spec: LookalikeSpec): Promise<LookalikeRow | undefined> {
  const { no: audienceNo, tenantId, destinationNo } = seed
  const [row] = await orm(tx)
    .insert(lookalike)
    .values({ id: newUuid(), tenantId, destinationNo, audienceNo, name, spec, statusReason: unreadyReason(seed) })
    .onConflictDoNothing({ target: [lookalike.audienceNo, lookalike.spec], where: sql`deleted_at IS NULL` })
    .returning()
  const code = unreadyReason(seed)?.code ?? null
  if (row) await note(tx, seed, 'lookalike', { lookalikeId: publicId('lookalike', row.id), name, from: null, to: row.status, code })
  return row
}

/** What keeps a seed from being one, as far as its row tells; null: nothing. */
export function unreadyReason({ pausedAt, tooSmall, minimumSize, externalId }: AudienceRow): StatusReason | null {
  if (pausedAt) return { code: 'seed_paused' }
  if (tooSmall) return { code: 'seed_too_small', detail: `The seed has fewer than the ${minimumSize} people that it is exported with.` }
  return externalId === null ? { code: 'seed_not_exported' } : null
}

/** Gives one up. The lease holder deletes it, whatever it was waiting for. */
export async function giveUpLookalike(tx: Tx, seed: AudienceRow, row: LookalikeRow): Promise<void> {
  if (row.deleteRequestedAt) return
  await move(tx, seed, row, { status: 'deleting', reason: null, afterMs: 0 })
  await tx.query('UPDATE lookalike SET delete_requested_at = now() WHERE no = $1', [row.no])
}

/** Those that are not gone, oldest first; `due`: only those to be looked at now. */
export function lookalikesOf(tx: Tx, audienceNo: number, due = false): Promise<LookalikeRow[]> {
  return orm(tx)
    .select()
    .from(lookalike)
    .where(and(eq(lookalike.audienceNo, audienceNo), isNull(lookalike.deletedAt), due ? sql`due_at <= now()` : undefined))
    .orderBy(asc(lookalike.no))
}

/** What exists at the platform, or may: a wish that was never sent leaves nothing there. */
export const mayExist = ({ externalId, attempts }: LookalikeRow): boolean => externalId !== null || attempts > 0

export interface Move {
  readonly status: LookalikeStatus
  readonly reason: StatusReason | null
  /** Until it is looked at again. */
  readonly afterMs: number
}

/** Records what became of one; each change of status or reason is a line in the seed's history. One that is given up stays `deleting`. */
export async function move(tx: Tx, seed: AudienceRow, { no, id, name }: LookalikeRow, { status, reason, afterMs }: Move): Promise<void> {
  const { rows } = await tx.query<{ from: string; code: string | null; to: string }>(
    `WITH before AS (SELECT no, status, status_reason FROM lookalike WHERE no = $1 FOR NO KEY UPDATE)
     UPDATE lookalike l SET status = CASE WHEN l.delete_requested_at IS NULL THEN $2 ELSE 'deleting' END, status_reason = $3,
       status_since = CASE WHEN l.status = $2 AND l.status_reason->>'code' IS NOT DISTINCT FROM $3::jsonb->>'code' THEN l.status_since ELSE now() END,
       due_at = now() + $4 * interval '1 millisecond', updated_at = now()
     FROM before WHERE l.no = before.no
     RETURNING before.status AS from, before.status_reason->>'code' AS code, l.status AS to`,
    [no, status, reason && JSON.stringify(reason), afterMs],
  )
  const [change] = rows
  const code = reason?.code ?? null
  if (change && (change.from !== change.to || change.code !== code))
    await note(tx, seed, 'lookalike', { lookalikeId: publicId('lookalike', id), name, from: change.from, to: change.to, code })
}

/** Gone, here and, unless it was kept, there. */
export async function forgetLookalike(tx: Tx, seed: AudienceRow, { no, id, name, status }: LookalikeRow, kept: boolean): Promise<void> {
  await tx.query('UPDATE lookalike SET deleted_at = now(), updated_at = now() WHERE no = $1', [no])
  await note(tx, seed, 'lookalike', { lookalikeId: publicId('lookalike', id), name, from: status, to: kept ? 'kept' : 'deleted', code: null })
}
