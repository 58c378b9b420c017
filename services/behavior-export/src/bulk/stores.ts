/** From checked lines to ingest, one transaction a batch. */
import type { BulkError, CustomerRecord, MembershipChange } from '@audience-sync/contracts/rest/behaviors'
import type { Database } from '@audience-sync/db/database'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { ingestCustomers } from '../ingest/customers.ts'
import { ingestMemberships } from '../ingest/memberships.ts'
import { holdCountry, requireTenant } from '../tenants.ts'
import type { Timed } from './check.ts'
import type { Item, Stored } from './load.ts'

export interface StoreParts {
  readonly db: Database
  readonly vault: DekStore
  readonly tenantId: string
}

type Lines<T> = readonly Item<Timed<T>>[]

export function storeMemberships({ db, vault, tenantId }: StoreParts, behaviorNo: number, items: Lines<MembershipChange>): Promise<Stored> {
  return db.tenant(tenantId, async (tx) => {
    await holdCountry(tx, tenantId)
    const tenant = await requireTenant(tx, vault, tenantId)
    const inputs = items.map(({ value }) => ({ behaviorNo, customerId: value.customerId, member: value.member, at: value.at, eventId: null }))
    const { changed, stale, erased } = await ingestMemberships(tx, tenant, inputs)
    const errors = erasedLines(items, erased)
    return { changed, stale, rejected: errors.length, errors }
  })
}

export async function storePeople({ db, vault, tenantId }: StoreParts, items: Lines<CustomerRecord>): Promise<Stored> {
  const dek = await vault.current(tenantId, items.length)
  return db.tenant(tenantId, async (tx) => {
    await holdCountry(tx, tenantId)
    const tenant = await requireTenant(tx, vault, tenantId)
    const { changed, stale, erased, unusable } = await ingestCustomers(
      tx,
      dek,
      tenant,
      items.map(({ value }) => value),
    )
    const refused = erasedLines(items, erased)
    const remarks = items.flatMap(({ line, value }) =>
      value.identifiers
        ? (unusable.get(value.customerId) ?? []).map(({ field, code }) => ({ line, code, detail: `${field} cannot be used; the customer was stored.` }))
        : [],
    )
    return { changed, stale, rejected: refused.length, errors: [...refused, ...remarks] }
  })
}

const erasedLines = (items: Lines<{ customerId: string }>, erased: ReadonlySet<string>): BulkError[] =>
  items.flatMap(({ line, value }) => (erased.has(value.customerId) ? [{ line, code: 'erased', detail: 'The person was erased and is not taken back.' }] : []))
