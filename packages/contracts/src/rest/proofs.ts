/** What proves that a person was removed at the destinations. No identifiers anywhere: a digest is of a whole body with its other rows. */
import { z } from 'zod'
import { zId } from '../ids.ts'

/** `typ` in the header of a proof's signature: keeps it apart from whatever else the key signs. */
export const PROOF_TYPE = 'erasure-proof+jws'

const time = z.iso.datetime()

export const RemovalCall = z
  .object({
    batchId: zId('batch'),
    scope: z.enum(['audience', 'account']).meta({ description: 'removed from the audience, or from all audiences of the account with one call' }),
    sentAt: time.nullable(),
    acceptedAt: time.nullable().meta({ description: 'by the platform’s own clock' }),
    appliedAt: time.nullable(),
    confirmed: z.boolean().meta({ description: 'false: nothing showed that it had an effect, so it was said more than once' }),
    rows: z.int().meta({ description: 'of the call, other people’s among them' }),
    sha256: z.string().nullable().meta({ description: 'of the body that was sent' }),
    receipt: z.record(z.string(), z.unknown()).nullable().meta({ description: 'the platform’s: session, request or trace id' }),
  })
  .meta({ id: 'RemovalCall' })
export type RemovalCall = z.infer<typeof RemovalCall>

export const ErasureProof = z
  .object({
    erasureId: zId('erasure'),
    requestedAt: time,
    issuedAt: time,
    complete: z.boolean().meta({ description: 'nobody holds anything of the person any more, as far as we were told' }),
    purged: z.record(z.string(), z.int()).meta({ description: 'rows removed here, by kind' }),
    waitingFor: z.array(z.string()).meta({ description: 'destinations whose connector has not heard of it yet' }),
    audiences: z.array(
      z.object({
        audienceId: zId('audience'),
        destination: z.string(),
        externalId: z.string().nullable(),
        state: z.enum(['removed', 'pending']).meta({ description: 'pending: the platform has not finished with it' }),
        calls: z.array(RemovalCall),
      }),
    ),
    jws: z.string().meta({ description: 'all of the above, signed (compact JWS, EdDSA)' }),
    key: z.record(z.string(), z.unknown()).meta({ description: 'the public key that it was signed with (JWK); its id is in the header of the signature' }),
    kept: z
      .object({
        jws: z.string(),
        sha256: z.string().meta({ description: 'of the characters of `jws`: the audit log has it' }),
        audit: z
          .object({ seq: z.int(), hash: z.string() })
          .nullable()
          .meta({ description: 'the line of GET /v1/audit-log that names it; null for some seconds' }),
      })
      .nullable()
      .meta({ description: 'the proof as it was when the erasure became complete; what was told to a platform again later is only in the one above' }),
  })
  .meta({ id: 'ErasureProof' })
export type ErasureProof = z.infer<typeof ErasureProof>

/** RFC 7517. Whoever has a proof can check it without a credential. */
export const ProofKeys = z
  .object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().meta({ description: 'as in the header of a signature' }) })) })
  .meta({ id: 'ProofKeys' })
export type ProofKeys = z.infer<typeof ProofKeys>

/** What of the proofs and of the audit log that names them does not hold. */
export const ProofFault = z.object({
  code: z.enum(['audit_line_missing', 'audit_line_altered', 'proof_missing', 'proof_altered', 'proof_signature_invalid', 'proof_unchained']),
  title: z.string(),
  solution: z.string(),
  seq: z.int().meta({ description: 'of the line of the audit log; of a missing one: of the next that is there' }),
  erasureId: zId('erasure').nullable(),
})
export type ProofFault = z.infer<typeof ProofFault>

export const ProofVerification = z
  .object({
    intact: z.boolean().meta({ description: 'nothing is broken in what this answer covers; go on with `nextCursor`' }),
    lines: z.int().meta({ description: 'lines of the audit log whose hashes were computed anew' }),
    proofs: z.int().meta({ description: 'proofs that were compared with the audit log' }),
    waiting: z.int().nullable().meta({ description: 'proofs that the audit log does not name yet; counted at the end' }),
    head: z.object({ seq: z.int(), hash: z.string() }).nullable().meta({
      description: 'the last line that was read. Keep that of the end elsewhere: a log cut off there, or computed anew as a whole, shows by it alone',
    }),
    broken: z.array(ProofFault),
    nextCursor: z.string().nullable(),
  })
  .meta({ id: 'ProofVerification' })
export type ProofVerification = z.infer<typeof ProofVerification>
