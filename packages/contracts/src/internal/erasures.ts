/**
 * Erasures between behavior-export, which keeps them, and audiences, which can prove them.
 * GET /internal/v1/erasures/{erasureId}: whom a proof is about, by the number that is left of them. 404 for a foreign one.
 * GET /internal/v1/pending-erasures?after=…: those of all tenants that are not complete, oldest first.
 * POST /internal/v1/erasures/complete: of the caller's tenant; those that are complete already stay as they are.
 */
import { z } from 'zod'
import { Position } from './position.ts'

export const ErasureSubject = z.object({
  id: z.string(),
  /** null: nobody was ever known by that id, so nobody can have been sent. */
  customerNo: z.int().nullable(),
  requestedAt: z.iso.datetime(),
  purged: z.record(z.string(), z.int()),
  /** Where the suppression log says so, and of which epoch that position is: a connector that has not read so far may be sending. */
  suppressedAt: z.object({ epoch: z.string(), position: Position }).nullable(),
})
export type ErasureSubject = z.infer<typeof ErasureSubject>

export const PendingErasures = z.object({ erasures: z.array(ErasureSubject.extend({ tenantId: z.uuid() })), done: z.boolean() })
export type PendingErasures = z.infer<typeof PendingErasures>

export const CompletedErasures = z.strictObject({ ids: z.array(z.string()).min(1).max(1_000) })
