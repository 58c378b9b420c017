/** What the gateway's status page asks: how the platforms answer this tenant. */
import { PlatformHealth } from '@audience-sync/contracts/rest/gateway'
import type { App } from '@audience-sync/service/app'
import { z } from 'zod'
import { platformHealth } from '../platform-health.ts'
import type { RouteParts } from './parts.ts'

export function platformRoutes(app: App, { db, destinations }: RouteParts): void {
  app.get('/internal/v1/platforms', { schema: { response: { 200: z.object({ data: z.array(PlatformHealth) }) } } }, async ({ auth }) => ({
    data: await db.tenant(auth.tenantId, (tx) => platformHealth(tx, destinations)),
  }))
}
