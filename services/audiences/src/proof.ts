/**
 * Which calls removed somebody for privacy, per audience, and the proof of an erasure that is made of them: assembled from what the
 * connectors recorded (`privacy_removal`, which outlives the ledger's memory of the person), without identifiers, and signed.
 */
import { createHash } from 'node:crypto'
import { publicId } from '@audience-sync/contracts/ids'
import type { ErasureSubject } from '@audience-sync/contracts/internal/erasures'
import { type ErasureProof, PROOF_TYPE, type RemovalCall } from '@audience-sync/contracts/rest/proofs'
import type { Tx } from '@audience-sync/db/database'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import { readersOf, unheard } from './erasures.ts'

interface Row {
  readonly audience_no: number
  readonly audience_id: string
  readonly destination: string
  readonly external_id: string | null
  readonly batch_id: string
  readonly manner: string
  readonly sent_at: Date | null
  readonly platform_accepted_at: Date | null
  readonly applied_at: Date | null
  readonly confirmed: boolean
  readonly rows: number
  readonly sha256: Buffer | null
  readonly receipt: Record<string, unknown> | null
}

const CALLS = `SELECT a.no AS audience_no, a.id AS audience_id, a.destination, a.external_id, b.id AS batch_id, b.manner, b.sent_at, b.platform_accepted_at, b.applied_at, b.confirmed, b.rows, b.sha256, b.receipt
  FROM privacy_removal p JOIN batch b ON b.no = p.batch_no AND b.audience_no = p.audience_no JOIN audience a ON a.no = p.audience_no
  WHERE p.customer_no = $1 AND b.state IN ('accepted', 'applied')`

/** Of one person in one audience, oldest first. */
export async function removalsOf(tx: Tx, audienceNo: number, customerNo: number): Promise<RemovalCall[]> {
  const { rows } = await tx.query<Row>(`${CALLS} AND a.no = $2 ORDER BY b.no`, [customerNo, audienceNo])
  return rows.map(callOf)
}

const callOf = (row: Row): RemovalCall => ({
  batchId: publicId('batch', row.batch_id),
  scope: row.manner === 'account' ? 'account' : 'audience',
  sentAt: row.sent_at?.toISOString() ?? null,
  acceptedAt: row.platform_accepted_at?.toISOString() ?? null,
  appliedAt: row.applied_at?.toISOString() ?? null,
  confirmed: row.confirmed,
  rows: row.rows,
  sha256: row.sha256?.toString('hex') ?? null,
  receipt: row.receipt,
})

export async function proofOf(tx: Tx, tokens: Pick<ServiceTokens, 'attest'>, subject: ErasureSubject, now: Date): Promise<ErasureProof> {
  const { id, customerNo, requestedAt, purged } = subject
  // First: whoever has heard of it by now, has noted by now whom the ledger held.
  const waitingFor = unheard(await readersOf(tx), subject)
  const audiences = customerNo === null ? [] : await audiencesOf(tx, customerNo)
  const said = {
    erasureId: id,
    requestedAt,
    issuedAt: now.toISOString(),
    complete: waitingFor.length === 0 && audiences.every(({ state }) => state === 'removed'),
    purged,
    waitingFor,
    audiences,
  } satisfies Omit<ErasureProof, 'jws' | 'key' | 'kept'>
  const { jws, key } = await tokens.attest(PROOF_TYPE, said)
  return { ...said, jws, key, kept: keptOf(subject) }
}

/** The proof to keep, once the erasure is complete; undefined as long as it is not. */
export async function finalProof(tx: Tx, tokens: Pick<ServiceTokens, 'attest'>, subject: ErasureSubject, now: Date): Promise<string | undefined> {
  const { complete, jws } = await proofOf(tx, tokens, subject, now)
  return complete ? jws : undefined
}

const keptOf = ({ proof }: ErasureSubject): ErasureProof['kept'] =>
  proof && { jws: proof.jws, sha256: createHash('sha256').update(proof.jws).digest('hex'), audit: proof.link }

async function audiencesOf(tx: Tx, customerNo: number): Promise<ErasureProof['audiences']> {
  const { rows } = await tx.query<Row>(`${CALLS} ORDER BY a.no, b.no`, [customerNo])
  const { rows: held } = await tx.query<{ no: number; id: string; destination: string; external_id: string | null }>(
    `SELECT DISTINCT a.no, a.id, a.destination, a.external_id FROM ledger l JOIN audience a ON a.no = l.audience_no WHERE l.customer_no = $1`,
    [customerNo],
  )
  const found = new Map<number, ErasureProof['audiences'][number]>()
  const put = (no: number, audience: Pick<Row, 'destination' | 'external_id'>, audienceId: string, calls: RemovalCall[]) =>
    found.set(no, {
      audienceId: publicId('audience', audienceId),
      destination: audience.destination,
      externalId: audience.external_id,
      state: held.some((one) => one.no === no) ? 'pending' : 'removed',
      calls,
    })
  for (const [no, calls] of Map.groupBy(rows, ({ audience_no }) => audience_no)) {
    const [first] = calls
    if (first) put(no, first, first.audience_id, calls.map(callOf))
  }
  // Not removed yet, by any call that was taken.
  for (const audience of held) if (!found.has(audience.no)) put(audience.no, audience, audience.id, [])
  return [...found.values()]
}
