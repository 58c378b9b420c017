/**
 * Erasures between behavior-export, which keeps them, audiences, which can prove them, and the gateway, whose audit log vouches for the proofs.
 * GET /internal/v1/erasures/{erasureId}: whom a proof is about, by the number that is left of them. 404 for a foreign one.
 * GET /internal/v1/pending-erasures?after=…: those of all tenants that have no proof, oldest first.
 * POST /internal/v1/erasures/complete: of the caller's tenant, one with its proof; one that has a proof keeps it.
 * GET /internal/v1/unchained-proofs?after=…: those of all tenants that the audit log does not name yet, oldest first.
 * POST /internal/v1/erasures/chained: of the caller's tenant; where the audit log names them.
 * GET /internal/v1/chained-proofs?after=…: of the caller's tenant, where the audit log is said to name them.
 * POST /internal/v1/erasures/proofs: of the caller's tenant, the proofs of these; those that have none are left out.
 */
import { z } from 'zod'
import { Position } from './position.ts'

/** The line of the tenant's audit log that names a proof; `hash` in hexadecimal digits. */
export const ChainLink = z.object({ seq: z.int(), hash: z.string().length(64) })
export type ChainLink = z.infer<typeof ChainLink>

export const ErasureSubject = z.object({
  id: z.string(),
  /** null: nobody was ever known by that id, so nobody can have been sent. */
  customerNo: z.int().nullable(),
  requestedAt: z.iso.datetime(),
  purged: z.record(z.string(), z.int()),
  /** Where the suppression log says so, and of which epoch that position is: a connector that has not read so far may be sending. */
  suppressedAt: z.object({ epoch: z.string(), position: Position }).nullable(),
  /** The proof that was made when it was complete (compact JWS), and where the audit log names it. */
  proof: z.object({ jws: z.string(), link: ChainLink.nullable() }).nullable(),
})
export type ErasureSubject = z.infer<typeof ErasureSubject>

export const PendingErasures = z.object({ erasures: z.array(ErasureSubject.extend({ tenantId: z.uuid() })), done: z.boolean() })
export type PendingErasures = z.infer<typeof PendingErasures>

export const CompletedErasure = z.strictObject({ id: z.string(), jws: z.string() })

export const UnchainedProofs = z.object({ proofs: z.array(z.object({ id: z.string(), tenantId: z.uuid(), jws: z.string() })), done: z.boolean() })
export type UnchainedProofs = z.infer<typeof UnchainedProofs>

export const ChainedErasures = z.strictObject({
  links: z
    .array(ChainLink.extend({ id: z.string() }))
    .min(1)
    .max(1_000),
})
export type ChainedErasures = z.infer<typeof ChainedErasures>

export const ChainedProofs = z.object({
  links: z.array(ChainLink.extend({ id: z.string() })),
  /** Of all of the tenant's proofs: those that the audit log does not name yet. */
  waiting: z.int(),
  done: z.boolean(),
})
export type ChainedProofs = z.infer<typeof ChainedProofs>

export const WantedProofs = z.strictObject({ ids: z.array(z.string()).min(1).max(1_000) })
export const Proofs = z.object({ proofs: z.array(z.object({ id: z.string(), jws: z.string() })) })
export type Proofs = z.infer<typeof Proofs>
