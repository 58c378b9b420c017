/** A tenant with a behavior in behavior-export, and its data put there through the service's own ingest. */
import { randomBytes } from 'node:crypto'
import { createBehavior } from '@audience-sync/behavior-export/behaviors'
import { storeMemberships, storePeople } from '@audience-sync/behavior-export/bulk/stores'
import { requireTenant, storeTenant, type Tenant } from '@audience-sync/behavior-export/tenants'
import { newUuid } from '@audience-sync/contracts/ids'
import type { Database } from '@audience-sync/db/database'
import { createDekStore, type DekStore } from '@audience-sync/vault/dek-store'
import { parseKeks } from '@audience-sync/vault/keks'
import type { BenchDatabase } from './cluster.ts'
import { customerIdOf, personOf } from './people.ts'

export const START = Date.parse('2026-11-01T10:00:00Z') // of what is generated; changes come after it
const PAGE = 10_000 // rows a transaction

export interface TenantHere {
  readonly db: Database
  readonly vault: DekStore
  readonly tenantId: string
  readonly tenant: Tenant
  /** For a process that has to open the same identifiers. */
  readonly kek: string
  /** Of a new behavior: its number and its UUID. */
  behavior(key: string): Promise<{ no: number; id: string }>
  /** Customers with these numbers as ids, with six identifiers each, as of `at`. */
  people(numbers: readonly number[], at: number, variant?: string): Promise<void>
  members(behaviorNo: number, numbers: readonly number[], member: boolean, at: number): Promise<void>
}

export async function makeTenant(database: BenchDatabase): Promise<TenantHere> {
  const db = database.as('behavior_export')
  const kek = `kek_bench:${randomBytes(32).toString('base64url')}`
  const vault = createDekStore({ db, keks: parseKeks(kek) })
  const tenantId = newUuid()
  await db.tx((tx) => tx.query('SELECT renew_epoch()')) // as the service does before its first write
  await db.tenant(tenantId, (tx) =>
    storeTenant(tx, vault, { id: tenantId, slug: 'bench', defaultCountry: undefined, status: 'active', occurredAt: new Date() }),
  )
  const tenant = await db.tenant(tenantId, (tx) => requireTenant(tx, vault, tenantId))
  const consent = { adUserData: 'granted', adPersonalization: 'granted', crm: 'granted', saleShareOptOut: false } as const
  const parts = { db, vault, tenantId }
  const inPages = async (numbers: readonly number[], store: (page: readonly number[]) => Promise<unknown>) => {
    for (let from = 0; from < numbers.length; from += PAGE) await store(numbers.slice(from, from + PAGE))
  }
  return {
    ...parts,
    tenant,
    kek,
    behavior: (key) => db.tenant(tenantId, (tx) => createBehavior(tx, tenant, { key, name: key, kind: 'custom', description: '' })),
    people: (numbers, at, variant) =>
      inPages(numbers, (page) =>
        storePeople(
          parts,
          page.map((no, line) => ({
            line,
            value: { customerId: customerIdOf(no), identifiers: personOf(no, variant), consent, occurredAt: new Date(at).toISOString(), at },
          })),
        ),
      ),
    members: (behaviorNo, numbers, member, at) =>
      inPages(numbers, (page) =>
        storeMemberships(
          parts,
          behaviorNo,
          page.map((no, line) => ({ line, value: { customerId: customerIdOf(no), member, occurredAt: new Date(at).toISOString(), at } })),
        ),
      ),
  }
}
