/** A tenant with keys on a database of its own, and the verbs of ingest and feed as one would call them. */
import { randomBytes, randomUUID } from 'node:crypto'
import { ChangesPage, type FetchAnswer, Horizon, MembersPage } from '@audience-sync/contracts/internal/feed'
import { readPosition } from '@audience-sync/contracts/internal/position'
import type { Consent, Purpose } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { until } from '@audience-sync/testing/until'
import { createDekStore } from '@audience-sync/vault/dek-store'
import { parseKeks } from '@audience-sync/vault/keks'
import { createBehavior } from '../src/behaviors.ts'
import { fetchCustomers } from '../src/feed/fetch.ts'
import { readHorizon } from '../src/feed/horizon.ts'
import { changesPage, membersPage } from '../src/feed/pages.ts'
import { type CustomerInput, ingestCustomers } from '../src/ingest/customers.ts'
import { ingestMemberships } from '../src/ingest/memberships.ts'
import { requireTenant, storeTenant } from '../src/tenants.ts'

export const T0 = Date.parse('2026-11-01T10:00:00Z')
export const GRANTED: Consent = { adUserData: 'granted', adPersonalization: 'granted', crm: 'granted', saleShareOptOut: false }
export const DENIED: Consent = { ...GRANTED, adUserData: 'denied' }

export type Fixture = Awaited<ReturnType<typeof fixture>>

export async function fixture(options: { database?: TestDatabase; tenantId?: string; defaultCountry?: string } = {}) {
  const database = options.database ?? (await testDatabase())
  const db = database.as('behavior_export', 6)
  const vault = createDekStore({ db, keks: parseKeks(`kek_test:${randomBytes(32).toString('base64url')}`) })
  const tenantId = options.tenantId ?? randomUUID()
  const inTenant = <T>(fn: (tx: Tx) => Promise<T>) => db.tenant(tenantId, fn)
  await inTenant((tx) =>
    storeTenant(tx, vault, { id: tenantId, slug: 'demo', defaultCountry: options.defaultCountry, status: 'active', occurredAt: new Date(T0) }),
  )
  const tenant = await inTenant((tx) => requireTenant(tx, vault, tenantId))
  const behaviorOf = (key: string) => inTenant((tx) => createBehavior(tx, tenant, { key, name: key, kind: 'custom', description: '' }))
  const behavior = await behaviorOf('comfort')
  const members =
    (changes: [customerId: string, member: boolean, at?: number][], behaviorNo = behavior.no) =>
    (tx: Tx) =>
      ingestMemberships(
        tx,
        tenant,
        changes.map(([customerId, member, at = T0]) => ({ behaviorNo, customerId, member, at, eventId: null })),
      )
  const people = (inputs: CustomerInput[]) => async (tx: Tx) => ingestCustomers(tx, await vault.current(tenantId), tenant, inputs)
  const person = (customerId: string, at = T0, more: Partial<CustomerInput> = {}): CustomerInput => ({
    customerId,
    at,
    identifiers: { email: `${customerId}@example.com` },
    consent: GRANTED,
    ...more,
  })
  const horizon = async () => Horizon.parse(await inTenant(readHorizon))
  const changesNow = async (after = '0:0', { below, limit = 10_000, behaviorNo = behavior.no }: { below?: string; limit?: number; behaviorNo?: number } = {}) =>
    ChangesPage.parse(JSON.parse(await inTenant((tx) => changesPage(tx, behaviorNo, { after: readPosition(after), below, limit }))))
  return {
    database,
    db,
    vault,
    tenant,
    behavior,
    behaviorOf,
    inTenant,
    members,
    people,
    person,
    joins: (changes: [string, boolean, number?][], behaviorNo?: number) => inTenant(members(changes, behaviorNo)),
    stores: (inputs: CustomerInput[]) => inTenant(people(inputs)),
    horizon,
    /** What a reader gets at this moment. */
    changesNow,
    /** The same once every transaction of the cluster that ran a moment ago has ended: other test files share its horizon. */
    changes: async (...query: Parameters<typeof changesNow>) => {
      const { xmax } = await horizon()
      await until('older transactions to end', async () => BigInt((await horizon()).xmin) >= BigInt(xmax))
      return changesNow(...query)
    },
    membersPage: async (after = 0, limit = 10_000) => MembersPage.parse(JSON.parse(await inTenant((tx) => membersPage(tx, behavior.no, after, limit)))),
    fetch: (numbers: number[], purpose: Purpose = 'ads'): Promise<FetchAnswer> =>
      inTenant(async (tx) => fetchCustomers(tx, vault, await requireTenant(tx, vault, tenantId), behavior.no, numbers, purpose)),
    numberOf: async (customerId: string) =>
      (await database.admin<{ no: number }>('SELECT no FROM behavior_export.customer WHERE customer_id = $1', [customerId]))[0]?.no ?? 0,
    events: () => database.admin<{ topic: string; value: Buffer }>('SELECT topic, value FROM behavior_export.outbox ORDER BY id'),
  }
}
