/** Interleavings that are made, not drawn: what one transaction reads while another is about to change it. */
import { MembershipChangedSchema } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/ingest_pb'
import { newUuid } from '@audience-sync/contracts/ids'
import { purposeBit } from '@audience-sync/contracts/people'
import type { Database, Tx } from '@audience-sync/db/database'
import { until } from '@audience-sync/testing/until'
import { create, toBinary } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { storePeople } from '../src/bulk/stores.ts'
import { useParked } from '../src/events/parked.ts'
import { reassess } from '../src/reassess.ts'
import { storeTenant } from '../src/tenants.ts'
import { type Fixture, fixture, T0 } from './fixture.ts'

let f: Fixture
beforeAll(async () => {
  f = await fixture()
})
afterAll(() => f.database.drop())

test('whoever is stored while the tenant’s default country changes is judged by the new one', async () => {
  const written = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  const slow: Database = {
    ...f.db,
    tenant: (id, fn) =>
      f.db.tenant(id, async (tx) => {
        const result = await fn(tx)
        written.resolve()
        await go.promise
        return result
      }),
  }
  const value = { customerId: 'silent', identifiers: { email: 'silent@example.com' }, at: T0, occurredAt: new Date(T0).toISOString() }
  const storing = storePeople({ db: slow, vault: f.vault, tenantId: f.tenant.id }, [{ line: 1, value }])
  await Promise.race([written.promise, storing])
  let told = false
  const telling = f
    .inTenant((tx) => storeTenant(tx, f.vault, { id: f.tenant.id, slug: 'demo', defaultCountry: 'DE', status: 'active', occurredAt: new Date(T0 + 1) }))
    .then(() => {
      told = true
    })
  const waits = async () => (await f.database.admin(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)).length > 0
  await until('the change to be stored, or to wait', async () => told || (await waits()))
  while (told && (await reassess(f.db, f.vault)));
  go.resolve()
  await Promise.all([storing, telling])
  while (await reassess(f.db, f.vault));
  const [customer] = await f.database.admin<{ purposes: number }>(`SELECT purposes FROM behavior_export.customer WHERE customer_id = 'silent'`)
  expect((customer?.purposes ?? 0) & purposeBit('ads')).toBe(0)
})

test('a parked event is used for the behavior that it named, though that changes its key at this moment', async () => {
  const behavior = await f.behaviorOf('was_parked')
  const message = create(MembershipChangedSchema, {
    behavior: { case: 'behaviorKey', value: 'was_parked' },
    changes: [{ customerId: 'parked', member: true, occurredAt: timestampFromMs(T0) }],
  })
  await f.inTenant((tx) =>
    tx.query(`INSERT INTO parked_event (id, tenant_id, behavior, key, headers, message, parked_at) VALUES ($1, $2, 'key:was_parked', '', '{}', $3, now())`, [
      newUuid(),
      f.tenant.id,
      Buffer.from(toBinary(MembershipChangedSchema, message)),
    ]),
  )
  /** The key changes right after the parked events were taken. */
  const spied = (tx: Tx): Tx =>
    Object.assign(Object.create(tx), {
      async query(sql: string, values?: unknown[]) {
        const result = await tx.query(sql, values)
        if (/DELETE FROM parked_event/.test(sql)) await f.database.admin(`UPDATE behavior_export.behavior SET key = 'renamed' WHERE no = $1`, [behavior.no])
        return result
      },
    })
  const db: Database = { ...f.db, tenant: (id, fn) => f.db.tenant(id, (tx) => fn(spied(tx))) }
  while (await useParked({ db, vault: f.vault, deadLetterKey: Buffer.alloc(32), now: () => T0 }));
  expect(await f.database.admin('SELECT behavior_no, member FROM behavior_export.membership')).toEqual([{ behavior_no: behavior.no, member: true }])
})
