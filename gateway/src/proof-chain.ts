/**
 * Proofs of erasures in the audit log: a line names each by its digest, so a proof that is deleted or altered later shows
 * (RELIABILITY.md §4.8; `verify-proofs.ts` looks).
 *
 * One proof's way: audiences signs it → behavior-export keeps it → this loop asks which are not named yet, checks the signature,
 * appends the line unless it is there, and says where it stands. Nothing is remembered in between: whoever dies, or does the same
 * beside another pod, changes nothing.
 */
import { createHash } from 'node:crypto'
import { type UnchainedProofs, UnchainedProofs as UnchainedProofsAnswer } from '@audience-sync/contracts/internal/erasures'
import { PROOF_TYPE } from '@audience-sync/contracts/rest/proofs'
import type { Database, Tx } from '@audience-sync/db/database'
import type { ServiceClient } from '@audience-sync/service/client'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { AuditEvent } from './audit-chain.ts'
import { append, INSTALLATION, lockChain } from './audit-log.ts'

const TIMEOUT_MS = 5_000 // a page of proofs is at most some MB, in the same data centre
const PROVER = 'audiences'

export const PROVEN = 'erasure.proven'
export const digestOf = (jws: string): string => createHash('sha256').update(jws).digest('hex')

/** `era_…#<sha256 of the proof, in hexadecimal digits>`: the index `audit_log_proven` goes by what stands before the `#`. */
export const targetOf = (id: string, jws: string): string => `${id}#${digestOf(jws)}`
export function readTarget(target: string): { id: string; sha256: string } {
  const [id = '', sha256 = ''] = target.split('#')
  return { id, sha256 }
}

/** Whether the proof is one of audiences' own. `key_unknown`: it was, as far as its digest says; its key has been taken out since. */
export const signatureOf = (tokens: ServiceTokens, jws: string) => tokens.attested(PROVER, PROOF_TYPE, jws)

export interface ChainParts {
  readonly db: Database
  readonly tokens: ServiceTokens
  readonly behaviorExport: ServiceClient
  readonly log: Logger
}

type Proof = UnchainedProofs['proofs'][number]

/** One page a round; after the last it begins again. */
export function proofChain({ db, tokens, behaviorExport, log }: ChainParts): (signal: AbortSignal) => Promise<boolean> {
  let after: string | undefined

  async function signed(proofs: readonly Proof[]): Promise<Proof[]> {
    const good: Proof[] = []
    for (const proof of proofs) {
      if ((await signatureOf(tokens, proof.jws)) === 'good') good.push(proof)
      else log.error({ tenantId: proof.tenantId, erasureId: proof.id }, 'a proof without a good signature is not named in the audit log')
    }
    return good
  }

  return async (signal) => {
    const asked = { tenantId: INSTALLATION, schema: UnchainedProofsAnswer, query: { after }, signal, timeoutMs: TIMEOUT_MS }
    const { proofs, done } = await behaviorExport.get('/internal/v1/unchained-proofs', asked)
    for (const [tenantId, ofTenant] of Map.groupBy(await signed(proofs), (proof) => proof.tenantId)) {
      const links = await db.tenant(tenantId, (tx) => nameProofs(tx, tenantId, ofTenant, new Date()))
      await behaviorExport.post('/internal/v1/erasures/chained', { links }, { tenantId, schema: z.object({}), signal, timeoutMs: TIMEOUT_MS })
      log.info({ tenantId, proofs: links.length }, 'the audit log names proofs of erasures')
    }
    after = done ? undefined : proofs.at(-1)?.id
    return !done
  }
}

/** Appends a line for each that has none yet; answers where all of them stand. */
async function nameProofs(tx: Tx, tenantId: string, proofs: readonly Proof[], at: Date): Promise<{ id: string; seq: number; hash: string }[]> {
  await lockChain(tx, tenantId) // before looking: another pod may be about to write the same
  const ids = proofs.map(({ id }) => id)
  const named = new Set((await linesOf(tx, tenantId, ids)).map(({ id }) => id))
  const missing = proofs.filter(({ id }) => !named.has(id))
  const line = ({ id, jws }: Proof): AuditEvent => ({
    at,
    actor: `service:${PROVER}`,
    action: PROVEN,
    target: targetOf(id, jws),
    result: 'ok',
    status: 200,
    requestId: '', // nobody's request: it came to be when the last destination was done
  })
  if (missing.length > 0) await append(tx, tenantId, missing.map(line))
  return linesOf(tx, tenantId, ids)
}

async function linesOf(tx: Tx, tenantId: string, ids: readonly string[]) {
  const { rows } = await tx.query<{ id: string; seq: number; hash: string }>(
    `SELECT split_part(target, '#', 1) AS id, min(seq) AS seq, (array_agg(encode(hash, 'hex') ORDER BY seq))[1] AS hash FROM audit_log
     WHERE tenant_id = $1 AND action = '${PROVEN}' AND split_part(target, '#', 1) = ANY($2) GROUP BY 1`,
    [tenantId, ids],
  )
  return rows
}
