import { header } from '@audience-sync/contracts/events/headers'
import { topics } from '@audience-sync/contracts/events/topics'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { until } from '@audience-sync/testing/until'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { type Context, context, propagation, ROOT_CONTEXT } from '@opentelemetry/api'
import { publish } from '../src/outbox.ts'
import { type Relay, startRelay } from '../src/relay.ts'
import { type OutRecord, RecordsRefused, type Transport } from '../src/transport.ts'
import { keysNamed, say, TENANTS, tenantOf, topic } from './effects.ts'
import { log } from './rig.ts'

const SCHEMA = 'behavior_export'
let database: TestDatabase
let relays: Relay[] = []
beforeEach(async () => {
  database = await testDatabase()
})
afterEach(async () => {
  await Promise.all(relays.map((relay) => relay.stop()))
  relays = []
  await database.drop()
})

/** A carrier in memory, which fails as told. */
function carrier(fail: (records: readonly OutRecord[]) => Error | undefined = () => undefined): Transport & { sent: OutRecord[] } {
  const sent: OutRecord[] = []
  return {
    kind: 'embedded',
    sent,
    async send(records) {
      const error = fail(records)
      if (error) throw error
      sent.push(...records)
    },
    subscribe: () => Promise.reject(new Error('not asked for')),
    read: async () => {},
    sweep: async () => {},
    healthy: () => ({ ok: true, detail: '' }),
    close: async () => {},
  }
}

async function relayTo(transport: Transport): Promise<Relay> {
  const relay = await startRelay({ url: database.url('relay'), schemas: [SCHEMA], transport, log })
  relays.push(relay)
  return relay
}

const numbers = (sent: readonly OutRecord[], key: string) =>
  sent.filter((record) => record.key === `${tenantOf(key)}:${key}`).map(({ headers }) => Number(headers[header.version]))

test('a row that was written first and committed last is sent all the same', async () => {
  const transport = carrier()
  await relayTo(transport)
  const db = database.as(SCHEMA)
  const gate = Promise.withResolvers<void>()
  const inserted = Promise.withResolvers<void>()
  const slow = db.tenant(TENANTS[0], async (tx) => {
    await publish(tx, { topic, tenantId: TENANTS[0], key: 'slow', message: {} })
    inserted.resolve()
    await gate.promise
  })
  await inserted.promise
  await db.tenant(TENANTS[0], (tx) => publish(tx, { topic, tenantId: TENANTS[0], key: 'quick', message: {} }))
  await until('the quick one', () => transport.sent.length === 1)
  gate.resolve()
  await slow
  await until('the slow one', () => transport.sent.length === 2)
  expect(transport.sent.map(({ key }) => key)).toEqual([`${TENANTS[0]}:quick`, `${TENANTS[0]}:slow`])
})

test('nothing is said by a transaction that rolls back', async () => {
  const transport = carrier()
  await relayTo(transport)
  const db = database.as(SCHEMA)
  const failed = db.tenant(TENANTS[0], async (tx) => {
    await publish(tx, { topic, tenantId: TENANTS[0], key: 'never', message: {} })
    throw new Error('on purpose')
  })
  await expect(failed).rejects.toThrow('on purpose')
  await say(db, ['after'], 1, 1)
  await until('the next event', () => transport.sent.length > 0)
  expect(transport.sent.map(({ key }) => key)).toEqual([`${tenantOf('after')}:after`])
})

test('one relay of a schema is at work; when it is gone the other takes over', async () => {
  const [first, second] = [carrier(), carrier()]
  const a = await relayTo(first)
  await until('the first is at work', () => a.healthy().detail === 'relaying')
  await relayTo(second)
  const db = database.as(SCHEMA)
  await say(db, keysNamed(3), 1, 3)
  await until('the first sends', () => first.sent.length === 9)
  expect(second.sent).toEqual([])
  await a.stop()
  await say(db, keysNamed(3), 4, 4)
  await until('the second sends', () => second.sent.length === 3)
  expect(first.sent).toHaveLength(9)
})

test('a carrier that is away is tried again, and every key keeps its order', async () => {
  let away = 3
  const transport = carrier(() => {
    away -= 1
    return away >= 0 ? new Error('broker away') : undefined
  })
  const relay = await relayTo(transport)
  await say(database.as(SCHEMA), keysNamed(4), 1, 5)
  await until('all', () => transport.sent.length >= 20)
  for (const key of keysNamed(4)) expect([...new Set(numbers(transport.sent, key))]).toEqual([1, 2, 3, 4, 5])
  await until('health', () => relay.healthy().ok)
})

test('a record that the carrier refuses holds its key and no other', async () => {
  const transport = carrier((records) => (records.some(({ key }) => key.endsWith(':beh_1')) ? new RecordsRefused('no such topic') : undefined))
  const relay = await relayTo(transport)
  await say(database.as(SCHEMA), keysNamed(4), 1, 3)
  await until('the others', () => transport.sent.length >= 9)
  await until('it is told', () => !relay.healthy().ok)
  for (const key of ['beh_0', 'beh_2', 'beh_3']) expect(numbers(transport.sent, key)).toEqual([1, 2, 3])
  const waiting = await database.admin<{ key: string }>(`SELECT key FROM ${SCHEMA}.outbox WHERE published_at IS NULL`)
  expect(new Set(waiting.map(({ key }) => key))).toEqual(new Set(['beh_1']))
})

test('a relay whose carrier is away holds no transaction open: the change feed goes on', async () => {
  const asked = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const transport: Transport = {
    ...carrier(),
    send() {
      asked.resolve()
      return gate.promise
    },
  }
  await relayTo(transport)
  await say(database.as(SCHEMA), ['beh_1'], 1, 1)
  await asked.promise
  const open = await database.admin(
    `SELECT 1 FROM pg_stat_activity WHERE usename = 'relay' AND datname = current_database() AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL OR state LIKE 'idle in%')`,
  )
  expect(open).toEqual([])
  gate.resolve()
})

test('headers are CloudEvents, and carry the trace of the request', async () => {
  propagation.setGlobalPropagator({
    inject: (_: Context, carried, setter) => setter.set(carried, 'traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
    extract: (from) => from,
    fields: () => ['traceparent'],
  })
  const transport = carrier()
  await relayTo(transport)
  const id = await context.with(ROOT_CONTEXT, () =>
    database.as(SCHEMA).tenant(TENANTS[0], (tx) =>
      publish(tx, {
        topic: topics.audienceSyncRequested,
        tenantId: TENANTS[0],
        key: 'aud_1',
        version: 7,
        headers: { destination: 'meta' },
        message: { audienceId: 'aud_1' },
      }),
    ),
  )
  propagation.disable()
  const record = await until('the event', () => transport.sent[0])
  expect(record.headers).toEqual({
    ce_id: id,
    ce_type: 'audience.sync.requested',
    ce_source: `/audience-sync/${SCHEMA}`,
    ce_specversion: '1.0',
    ce_time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    ce_tenantid: TENANTS[0],
    ce_sequence: '7',
    schema_version: '1',
    'content-type': 'application/protobuf',
    destination: 'meta',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  })
})

test('an event of more than 64 KiB is refused before it is written', async () => {
  const db = database.as(SCHEMA)
  const of = (bytes: number) =>
    db.tenant(TENANTS[0], (tx) => publish(tx, { topic, tenantId: TENANTS[0], key: 'k', message: { behaviorId: 'x'.repeat(bytes - 4) } })) // tag and length take 4
  await expect(of(65_537)).rejects.toThrow(RangeError)
  await of(65_536)
  expect(await database.admin(`SELECT octet_length(value) AS bytes FROM ${SCHEMA}.outbox`)).toEqual([{ bytes: 65_536 }])
})

test('published rows go after three days, remembered events after fourteen, the rest stays', async () => {
  await database.admin(`INSERT INTO ${SCHEMA}.outbox (tenant_id, event_id, topic, key, headers, value, published_at)
    SELECT '${TENANTS[0]}', gen_random_uuid(), 't', 'k' || age, '{}', '', now() - age * interval '1 day' FROM generate_series(1, 5) AS age`)
  await database.admin(
    `INSERT INTO ${SCHEMA}.inbox (tenant_id, consumer, event_id, received_at) SELECT '${TENANTS[0]}', 'c', age, now() - age * interval '1 day' FROM generate_series(12, 16) AS age`,
  )
  await relayTo(carrier())
  await until('the old rows are gone', async () => (await database.admin(`SELECT 1 FROM ${SCHEMA}.inbox`)).length < 5)
  expect((await database.admin<{ key: string }>(`SELECT key FROM ${SCHEMA}.outbox ORDER BY key`)).map(({ key }) => key)).toEqual(['k1', 'k2'])
  expect((await database.admin<{ event_id: string }>(`SELECT event_id FROM ${SCHEMA}.inbox ORDER BY event_id`)).map(({ event_id }) => event_id)).toEqual([
    '12',
    '13',
  ])
})

test('a service writes events of its tenant only, sees no other tenant’s, and cannot unsay one', async () => {
  for (const role of ['gateway', 'connections', 'behavior_export', 'audiences', 'connector_meta', 'scheduler', 'webhooks'] as const) {
    const db = database.as(role, 1)
    await db.tenant(TENANTS[0], (tx) => publish(tx, { topic, tenantId: TENANTS[0], key: role, message: {} }))
    await expect(db.tenant(TENANTS[1], (tx) => publish(tx, { topic, tenantId: TENANTS[0], key: role, message: {} }))).rejects.toThrow('row-level security')
    const seen = await db.tenant(TENANTS[1], async (tx) => (await tx.query('SELECT 1 FROM outbox UNION ALL SELECT 1 FROM inbox')).rowCount)
    expect(seen).toBe(0)
    await expect(db.tenant(TENANTS[0], (tx) => tx.query('DELETE FROM outbox'))).rejects.toThrow('permission denied')
  }
})
