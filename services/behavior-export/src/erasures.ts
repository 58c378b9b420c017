/**
 * Erasures as they are asked for: shown, listed until there is a proof, and kept with it. Who knows whether every destination is
 * done is audiences: it asks for what is pending, and says what it could prove (`services/audiences/src/erasures.ts`).
 */
import { topics } from '@audience-sync/contracts/events/topics'
import { publicId, uuidOf } from '@audience-sync/contracts/ids'
import type { ErasureSubject, PendingErasures } from '@audience-sync/contracts/internal/erasures'
import type { Erasure } from '@audience-sync/contracts/rest/behaviors'
import type { Tx } from '@audience-sync/db/database'
import { publish } from '@audience-sync/events/outbox'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'

export interface ErasureRow {
  readonly id: string
  readonly status: 'pending_destination' | 'completed'
  readonly requested_at: Date
  readonly completed_at: Date | null
  readonly purged: Record<string, number>
}

export const ERASURE_COLUMNS = 'id, status, requested_at, completed_at, purged'

export const showErasure = ({ id, status, requested_at, completed_at, purged }: ErasureRow): Erasure => ({
  id: publicId('erasure', id),
  status,
  requestedAt: requested_at.toISOString(),
  completedAt: completed_at?.toISOString() ?? null,
  purged,
})

export async function readErasure(tx: Tx, id: string): Promise<Erasure | undefined> {
  const uuid = uuidOf('erasure', id)
  if (!uuid) return undefined
  const { rows } = await tx.query<ErasureRow>(`SELECT ${ERASURE_COLUMNS} FROM erasure WHERE id = $1`, [uuid])
  return rows[0] && showErasure(rows[0])
}

interface SubjectRow extends Pick<ErasureRow, 'id' | 'requested_at' | 'purged'> {
  readonly tenant_id: string
  readonly customer_no: number | null
  readonly epoch: string
  readonly position: string | null
  readonly proof: string | null
  readonly chain_seq: number | null
  readonly chain_hash: Buffer | null
}

/** One statement, so that position and epoch are of one snapshot. */
const SUBJECT = `SELECT e.id, e.requested_at, e.purged, e.customer_no, e.proof, e.chain_seq, e.chain_hash, t.id AS tenant_id, (SELECT id FROM feed_epoch)::text AS epoch,
    (SELECT xid || ':' || seq FROM suppression_log WHERE customer_no = e.customer_no AND reason = 'erased' ORDER BY xid DESC, seq DESC LIMIT 1) AS position
  FROM erasure e JOIN tenant t ON t.no = e.tenant_no`

const subjectOf = ({ id, customer_no, requested_at, purged, epoch, position, proof, chain_seq, chain_hash }: SubjectRow): ErasureSubject => ({
  id: publicId('erasure', id),
  customerNo: customer_no === null ? null : Number(customer_no),
  requestedAt: requested_at.toISOString(),
  purged,
  suppressedAt: position === null ? null : { epoch, position },
  proof: proof === null ? null : { jws: proof, link: chain_seq === null || !chain_hash ? null : { seq: chain_seq, hash: chain_hash.toString('hex') } },
})

export async function readSubject(tx: Tx, id: string): Promise<ErasureSubject | undefined> {
  const uuid = uuidOf('erasure', id)
  if (!uuid) return undefined
  const { rows } = await tx.query<SubjectRow>(`${SUBJECT} WHERE e.id = $1`, [uuid])
  return rows[0] && subjectOf(rows[0])
}

/** Without a proof, of all tenants: in a transaction without one. `after`: the public id of the last that was seen. */
export async function pendingErasures(tx: Tx, after: string | undefined, limit: number): Promise<PendingErasures> {
  const { rows } = await tx.query<SubjectRow>(`${SUBJECT} WHERE e.proof IS NULL AND ($1::uuid IS NULL OR e.id > $1) ORDER BY e.id LIMIT $2`, [
    (after && uuidOf('erasure', after)) ?? null,
    limit,
  ])
  return { erasures: rows.map((row) => ({ ...subjectOf(row), tenantId: row.tenant_id })), done: rows.length < limit }
}

/** Harmless twice: the first proof stands, and is told once. That of somebody nobody knew was complete when it was asked for. */
export async function completeErasure(tx: Tx, tenantId: string, { id, jws }: { id: string; jws: string }, at: Date): Promise<void> {
  const { rows } = await tx.query<{ requested_at: Date; completed_at: Date }>(
    `UPDATE erasure SET status = 'completed', completed_at = coalesce(completed_at, $2), proof = $3 WHERE id = $1 AND proof IS NULL RETURNING requested_at, completed_at`,
    [uuidOf('erasure', id) ?? null, at, jws],
  )
  const [done] = rows
  if (!done) return
  await publish(tx, {
    topic: topics.customerErasureCompleted,
    tenantId,
    key: id,
    message: { erasureId: id, requestedAt: timestampFromDate(done.requested_at), completedAt: timestampFromDate(done.completed_at) },
  })
}
