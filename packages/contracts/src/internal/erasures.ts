/** GET /internal/v1/erasures/{erasureId} of behavior-export: whom a proof is about, by the number that is left of them. 404 for a foreign one. */
import { z } from 'zod'

export const ErasureSubject = z.object({
  id: z.string(),
  /** null: nobody was ever known by that id, so nobody can have been sent. */
  customerNo: z.int().nullable(),
  requestedAt: z.iso.datetime(),
  purged: z.record(z.string(), z.int()),
})
export type ErasureSubject = z.infer<typeof ErasureSubject>
