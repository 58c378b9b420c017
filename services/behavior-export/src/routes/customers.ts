/** Customers and their consent over REST; the bulk door is beside. */
import { Consent } from '@audience-sync/contracts/people'
import { Customer } from '@audience-sync/contracts/rest/behaviors'
import type { Database } from '@audience-sync/db/database'
import type { App } from '@audience-sync/service/app'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { z } from 'zod'
import { readCustomer } from '../customers.ts'
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
  app.get(
    '/v1/customers/:customerId',
    {
      config: { scope: 'customers:read' },
      schema: { tags, summary: 'What is known of a customer; never the identifiers themselves', params, response: { 200: Customer } },
    },
    (request) => db.tenant(request.auth.tenantId, (tx) => readCustomer(tx, request.params.customerId)),
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
