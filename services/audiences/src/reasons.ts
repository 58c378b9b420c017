/** A code, with whatever was stored beside it → what the API shows: the catalogue's words first, the platform's beside them (R8). */
import type { Reason } from '@audience-sync/contracts/rest/runs'
import { catalogue, isCode } from '@audience-sync/errors/catalogue'
import { z } from 'zod'

/** Of `status_reason`, `wait_reason` and `error` as the engine and audiences store them. */
const Stored = z.looseObject({
  code: z.string(),
  detail: z.string().optional().catch(undefined),
  message: z.string().optional().catch(undefined),
  link: z.string().optional().catch(undefined),
  until: z.iso.datetime().optional().catch(undefined),
  platform: z.object({ code: z.string().optional(), message: z.string().optional(), requestId: z.string().optional() }).optional().catch(undefined),
})

/** Title and solution of a code. One that the catalogue lacks is shown as it is. */
export const wordsOf = (code: string) => {
  const { title, solution } = isCode(code) ? catalogue[code] : { title: code, solution: catalogue.internal.solution }
  return { code, title, solution }
}

/** null: nothing was stored. `until` in the row wins over one in the stored document. */
export function reasonOf(stored: unknown, since: Date, until?: Date | null): Reason | null {
  const parsed = Stored.safeParse(stored)
  if (!parsed.success) return null
  const { code, detail = parsed.data.message, link, platform } = parsed.data
  // Postgres's `infinity`, which no Date can hold, stands for a wait without end.
  const ends = until && Number.isFinite(until.getTime()) ? until.toISOString() : parsed.data.until
  return {
    ...wordsOf(code),
    ...(detail && { detail }),
    ...(link && { link }),
    since: since.toISOString(),
    ...(ends && { until: ends }),
    ...(platform && { platform: platform as NonNullable<Reason['platform']> }),
  }
}
