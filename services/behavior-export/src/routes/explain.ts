/** One customer in one behavior, explained to `audiences` (contracts/internal/feed.ts); no identifiers leave. */
import { Explained, ExplainRequest } from '@audience-sync/contracts/internal/feed'
import type { Database } from '@audience-sync/db/database'
import type { App } from '@audience-sync/service/app'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { z } from 'zod'
import { requireBehavior } from '../behaviors.ts'
import { explainMember } from '../explain.ts'
import { requireTenant } from '../tenants.ts'

const params = z.object({ behaviorId: z.string(), customerId: z.string().max(256) })

export function explainRoutes(app: App, { db, vault }: { readonly db: Database; readonly vault: DekStore }): void {
  app.post(
    '/internal/v1/behaviors/:behaviorId/members/:customerId/explain',
    { schema: { params, body: ExplainRequest, response: { 200: Explained } } },
    ({ auth: { tenantId }, params: { behaviorId, customerId }, body }) =>
      db.tenant(tenantId, async (tx) => {
        const { no } = await requireBehavior(tx, behaviorId)
        return explainMember(tx, vault, await requireTenant(tx, vault, tenantId), no, customerId, body.transformations)
      }),
  )
}
