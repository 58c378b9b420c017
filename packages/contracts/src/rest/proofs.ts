/** What proves that a person was removed at the destinations. No identifiers anywhere: a digest is of a whole body with its other rows. */
import { z } from 'zod'
import { zId } from '../ids.ts'

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
  })
  .meta({ id: 'ErasureProof' })
export type ErasureProof = z.infer<typeof ErasureProof>

/** RFC 7517. Whoever has a proof can check it without a credential. */
export const ProofKeys = z
  .object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().meta({ description: 'as in the header of a signature' }) })) })
  .meta({ id: 'ProofKeys' })
export type ProofKeys = z.infer<typeof ProofKeys>
