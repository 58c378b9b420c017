/**
 * Proofs of erasures and the lines of the audit log that name them. The audit log is the gateway's: it asks here which proofs it
 * does not name yet, says where it names them, and compares the two when somebody wants to know (`gateway/src/proof-chain.ts`).
 */
import { publicId, uuidOf } from '@audience-sync/contracts/ids'
import type { ChainedErasures, ChainedProofs, Proofs, UnchainedProofs } from '@audience-sync/contracts/internal/erasures'
import type { Tx } from '@audience-sync/db/database'

const uuidsOf = (ids: readonly string[]) => ids.map((id) => uuidOf('erasure', id) ?? null)
const uuidAfter = (after: string | undefined) => (after && uuidOf('erasure', after)) ?? null

/** Of all tenants: in a transaction without one. `after`: the public id of the last that was seen. */
export async function unchainedProofs(tx: Tx, after: string | undefined, limit: number): Promise<UnchainedProofs> {
  const { rows } = await tx.query<{ id: string; tenant_id: string; proof: string }>(
    `SELECT e.id, t.id AS tenant_id, e.proof FROM erasure e JOIN tenant t ON t.no = e.tenant_no
     WHERE e.proof IS NOT NULL AND e.chain_seq IS NULL AND ($1::uuid IS NULL OR e.id > $1) ORDER BY e.id LIMIT $2`,
    [uuidAfter(after), limit],
  )
  return { proofs: rows.map(({ id, tenant_id, proof }) => ({ id: publicId('erasure', id), tenantId: tenant_id, jws: proof })), done: rows.length < limit }
}

/** Harmless twice: the first stands. */
export async function linkProofs(tx: Tx, { links }: ChainedErasures): Promise<void> {
  await tx.query(
    `UPDATE erasure e SET chain_seq = l.seq, chain_hash = decode(l.hash, 'hex') FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS l (id, seq, hash)
     WHERE e.id = l.id AND e.chain_seq IS NULL`,
    [uuidsOf(links.map(({ id }) => id)), links.map(({ seq }) => seq), links.map(({ hash }) => hash)],
  )
}

/** Of the transaction's tenant, one page in the order of their ids. */
export async function chainedProofs(tx: Tx, after: string | undefined, limit: number): Promise<ChainedProofs> {
  const { rows } = await tx.query<{ id: string; seq: number; hash: string }>(
    `SELECT id, chain_seq AS seq, encode(chain_hash, 'hex') AS hash FROM erasure
     WHERE chain_seq IS NOT NULL AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2`,
    [uuidAfter(after), limit],
  )
  const { rows: counted } = await tx.query<{ waiting: number }>('SELECT count(*) AS waiting FROM erasure WHERE proof IS NOT NULL AND chain_seq IS NULL')
  return {
    links: rows.map(({ id, ...link }) => ({ id: publicId('erasure', id), ...link })),
    waiting: counted[0]?.waiting ?? 0,
    done: rows.length < limit,
  }
}

export async function readProofs(tx: Tx, ids: readonly string[]): Promise<Proofs> {
  const { rows } = await tx.query<{ id: string; proof: string }>('SELECT id, proof FROM erasure WHERE id = ANY($1::uuid[]) AND proof IS NOT NULL', [
    uuidsOf(ids),
  ])
  return { proofs: rows.map(({ id, proof }) => ({ id: publicId('erasure', id), jws: proof })) }
}
