/**
 * Whether the audit log and the proofs of erasures that it names still hold, a page at a time. First the log, line by line: each
 * hash is computed anew, and the proof that a line names is fetched and compared. Then the other way: where each proof is said to
 * be named, is that line there? (A log that was cut off at its end shows only so.) A page goes on behind a fault, so all are found.
 *
 * What remains unseen: somebody who takes a proof away and computes the whole log behind it anew. Whoever keeps the `head` of an
 * earlier answer sees that too.
 */
import { ChainedProofs, Proofs } from '@audience-sync/contracts/internal/erasures'
import type { ProofFault, ProofVerification } from '@audience-sync/contracts/rest/proofs'
import type { Database } from '@audience-sync/db/database'
import { catalogue } from '@audience-sync/errors/catalogue'
import type { ServiceClient } from '@audience-sync/service/client'
import { decodeCursor, encodeCursor } from '@audience-sync/service/page'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import { z } from 'zod'
import { type AuditRow, faultOf, GENESIS, type Link } from './audit-chain.ts'
import { digestOf, PROVEN, readTarget, signatureOf } from './proof-chain.ts'

const LINES = 2_000 // a page: some 600 KB from the database and 10 ms of hashing
const PROOFS = 100 // a page: each is some KB of an answer between services, and one signature to check
const TIMEOUT_MS = 5_000 // half of the time that the route has

export interface VerifyParts {
  readonly db: Database
  readonly tokens: ServiceTokens
  readonly behaviorExport: ServiceClient
}

/** Where the next page begins: behind a line of the log, or behind a proof. */
const Cursor = z.union([z.strictObject({ seq: z.int(), hash: z.string() }), z.strictObject({ proofsAfter: z.string().nullable() })])

const fault = (code: ProofFault['code'], seq: number, erasureId: string | null): ProofFault => ({
  code,
  title: catalogue[code].title,
  solution: catalogue[code].solution,
  seq,
  erasureId,
})

const shown = ({ seq, hash }: Link) => ({ seq, hash: hash.toString('hex') })

/** @throws AppError validation_failed for a cursor that is not of this list */
export function verifyProofs(parts: VerifyParts, tenantId: string, cursor: string | undefined): Promise<ProofVerification> {
  const from = cursor === undefined ? shown({ seq: 0, hash: GENESIS }) : decodeCursor(cursor, Cursor)
  return 'seq' in from ? verifyLines(parts, tenantId, { seq: from.seq, hash: Buffer.from(from.hash, 'hex') }) : verifyLinks(parts, tenantId, from.proofsAfter)
}

async function verifyLines({ db, tokens, behaviorExport }: VerifyParts, tenantId: string, from: Link): Promise<ProofVerification> {
  const { rows } = await db.tenant(tenantId, (tx) =>
    tx.query<AuditRow>(
      `SELECT seq, at, actor, action, target, result, status, request_id AS "requestId", previous_hash AS "previousHash", hash
       FROM audit_log WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
      [tenantId, from.seq, LINES],
    ),
  )
  const broken: ProofFault[] = []
  const named: { seq: number; id: string; sha256: string }[] = []
  let last = from
  for (const row of rows) {
    if (row.action === PROVEN && named.length === PROOFS) break
    const wrong = faultOf(tenantId, row, last)
    if (wrong) broken.push(fault(`audit_line_${wrong}`, row.seq, null))
    if (row.action === PROVEN) named.push({ seq: row.seq, ...readTarget(row.target) })
    last = row
  }
  if (named.length > 0) {
    const wanted = { ids: named.map(({ id }) => id) }
    const { proofs } = await behaviorExport.post('/internal/v1/erasures/proofs', wanted, { tenantId, schema: Proofs, timeoutMs: TIMEOUT_MS })
    const kept = new Map(proofs.map(({ id, jws }) => [id, jws]))
    for (const { seq, id, sha256 } of named) {
      const code = await proofFault(tokens, kept.get(id), sha256)
      if (code) broken.push(fault(code, seq, id))
    }
  }
  const read = rows.findIndex(({ seq }) => seq === last.seq) + 1
  const ended = read === rows.length && rows.length < LINES
  return {
    intact: broken.length === 0,
    lines: read,
    proofs: named.length,
    waiting: null,
    head: last.seq === 0 ? null : shown(last),
    broken: broken.sort((a, b) => a.seq - b.seq),
    nextCursor: encodeCursor(ended ? { proofsAfter: null } : shown(last)),
  }
}

async function proofFault(tokens: ServiceTokens, jws: string | undefined, sha256: string): Promise<ProofFault['code'] | undefined> {
  if (jws === undefined) return 'proof_missing'
  if (digestOf(jws) !== sha256) return 'proof_altered'
  // Where somebody computed the log anew to fit another proof, the signature is what they cannot make.
  return (await signatureOf(tokens, jws)) === 'bad' ? 'proof_signature_invalid' : undefined
}

async function verifyLinks({ db, behaviorExport }: VerifyParts, tenantId: string, after: string | null): Promise<ProofVerification> {
  const { links, waiting, done } = await behaviorExport.get('/internal/v1/chained-proofs', {
    tenantId,
    schema: ChainedProofs,
    query: { after: after ?? undefined },
    timeoutMs: TIMEOUT_MS,
  })
  const { rows } = await db.tenant(tenantId, (tx) =>
    tx.query<{ seq: number; id: string; hash: string }>(
      `SELECT seq, split_part(target, '#', 1) AS id, encode(hash, 'hex') AS hash FROM audit_log WHERE tenant_id = $1 AND seq = ANY($2)`,
      [tenantId, links.map(({ seq }) => seq)],
    ),
  )
  const bySeq = new Map(rows.map((row) => [row.seq, row]))
  const broken = links
    .filter(({ seq, id, hash }) => bySeq.get(seq)?.id !== id || bySeq.get(seq)?.hash !== hash)
    .map(({ seq, id }) => fault('proof_unchained', seq, id))
  return {
    intact: broken.length === 0,
    lines: 0,
    proofs: links.length,
    waiting: done ? waiting : null,
    head: null,
    broken,
    nextCursor: done ? null : encodeCursor({ proofsAfter: links.at(-1)?.id ?? null }),
  }
}
