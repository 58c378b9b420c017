/** What other services ask of the scheduler. */
import { uuidOf } from '@audience-sync/contracts/ids'
import type { Database } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { App } from '@audience-sync/service/app'
import { z } from 'zod'

export function scheduleRoutes(app: App, db: Database): void {
  app.get(
    '/internal/v1/schedules/:audienceId',
    { schema: { params: z.object({ audienceId: z.string() }), response: { 200: z.object({ nextRunAt: z.iso.datetime().nullable() }) } } },
    async ({ params, auth }) => {
      const id = uuidOf('audience', params.audienceId)
      const known = id && (await db.tenant(auth.tenantId, async (tx) => (await tx.query('SELECT next_at FROM schedule WHERE audience_id = $1', [id])).rows[0]))
      if (!known) throw new AppError('not_found', 'No schedule of such an audience is known.')
      return { nextRunAt: (known.next_at as Date | null)?.toISOString() ?? null }
    },
  )
}
