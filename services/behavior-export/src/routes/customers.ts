/** A customer's consent over REST, and what is known of them for audiences, which shows it; the bulk door is beside. */
import { Consent } from '@audience-sync/contracts/people'
import { Customer, KnownCustomer } from '@audience-sync/contracts/rest/behaviors'
import type { Database } from '@audience-sync/db/database'
import type { App } from '@audience-sync/service/app'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { z } from 'zod'
import { findCustomer, readCustomer } from '../customers.ts'
import { ingestCustomers } from '../ingest/customers.ts'
import { holdCountry, requireTenant } from '../tenants.ts'

const tags = ['customers']
const params = z.object({ customerId: z.string() })

interface Parts {
  readonly db: Database
  readonly vault: DekStore
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export function customerRoutes(app: App, { db, vault, now }: Parts): void {
  app.get('/internal/v1/customers/:customerId', { schema: { params, response: { 200: KnownCustomer } } }, (request) =>
    db.tenant(request.auth.tenantId, (tx) => findCustomer(tx, request.params.customerId)),
  )

  app.put(
    '/v1/customers/:customerId/consent',
    {
      config: { scope: 'customers:write' },
      schema: { tags, summary: 'What a customer allows from now on', params, body: Consent, response: { 200: Customer } },
    },
    async (request) => {
      const { tenantId } = request.auth
      const { customerId } = request.params
      const dek = await vault.current(tenantId)
      return db.tenant(tenantId, async (tx) => {
        await readCustomer(tx, customerId)
        await holdCountry(tx, tenantId)
        await ingestCustomers(tx, dek, await requireTenant(tx, vault, tenantId), [{ customerId, consent: request.body, at: now() }])
        return readCustomer(tx, customerId)
      })
    },
  )
}
