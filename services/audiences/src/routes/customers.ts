/** A customer with where they are exported. What is known of them is behavior-export's; what the destinations were told is known here. */
import { CustomerWithExports } from '@audience-sync/contracts/rest/behaviors'
import type { App } from '@audience-sync/service/app'
import { z } from 'zod'
import { exportsOf } from '../exported.ts'
import type { RouteParts } from './parts.ts'

export function customerRoutes(app: App, { db, peers }: RouteParts): void {
  app.get(
    '/v1/customers/:customerId',
    {
      config: { scope: 'customers:read' },
      schema: {
        tags: ['customers'],
        summary: 'What is known of a customer, and where they are exported; never the identifiers themselves',
        params: z.object({ customerId: z.string() }),
        response: { 200: CustomerWithExports },
      },
    },
    async ({ auth: { tenantId }, params: { customerId } }) => {
      const { no, customer } = await peers.customer(tenantId, customerId)
      return { ...customer, exported: await db.tenant(tenantId, (tx) => exportsOf(tx, no)) }
    },
  )
}
