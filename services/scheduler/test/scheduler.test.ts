import { AudienceChangedSchema, SyncRequestedSchema } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/audience_pb'
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { PoisonError, type ReceivedEvent } from '@audience-sync/events/consumer'
import type { Transport } from '@audience-sync/events/transport'
import { createLogger } from '@audience-sync/service/log'
import { generateServiceTokens } from '@audience-sync/service/tokens'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { until } from '@audience-sync/testing/until'
import { create, fromBinary } from '@bufbuild/protobuf'
import { timestampDate } from '@bufbuild/protobuf/wkt'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { fireDue } from '../src/fire.ts'
import { consumers } from '../src/learn.ts'
import { start } from '../src/start.ts'

const tenantId = newUuid()
const log = createLogger({ name: 'scheduler', level: 'silent' })
const HOUR_MS = 3_600_000
const daily = { frequency: 'daily', at: '03:00', timeZone: 'Europe/Berlin', weekday: 'monday' }
let database: TestDatabase
let db: ReturnType<TestDatabase['as']>

beforeAll(async () => {
  database = await testDatabase()
  db = database.as('scheduler', 8)
})
afterAll(() => database.drop())
beforeEach(() => database.admin('TRUNCATE scheduler.schedule, scheduler.slot, scheduler.outbox'))

interface Fields {
  readonly status?: string
  readonly code?: string
  readonly deleted?: boolean
  readonly schedule?: typeof daily
}

/** Hands an event to the consumer, as a transport does. */
async function tell(audienceId: string, version: number, fields: Fields = {}): Promise<void> {
  const message = create(AudienceChangedSchema, {
    audienceId: publicId('audience', audienceId),
    destination: 'meta',
    status: 'active',
    schedule: daily,
    version: BigInt(version),
    ...fields,
  })
  const event = {
    id: newUuid(),
    tenantId,
    key: audienceId,
    headers: {},
    message,
    occurredAt: new Date(),
    version,
    traceparent: undefined,
  } satisfies ReceivedEvent<typeof message>
  await db.tenant(tenantId, (tx) => consumers[1]?.handle(tx, [event], { log, signal: new AbortController().signal }) as Promise<void>)
}

const nextAt = async (audienceId: string) =>
  (await database.admin<{ next_at: Date | null }>('SELECT next_at FROM scheduler.schedule WHERE audience_id = $1', [audienceId]))[0]?.next_at
const setNext = (audienceId: string, sql: string) => database.admin(`UPDATE scheduler.schedule SET next_at = ${sql} WHERE audience_id = $1`, [audienceId])
const requests = async () =>
  (await database.admin<{ value: Buffer; headers: Record<string, string>; tenant_id: string; key: string }>('SELECT * FROM scheduler.outbox ORDER BY id')).map(
    (row) => ({
      ...row,
      message: fromBinary(SyncRequestedSchema, row.value),
    }),
  )

describe('learning', () => {
  test('a schedule gets its next time; older news changes nothing', async () => {
    const id = newUuid()
    await tell(id, 2)
    const next = (await nextAt(id)) as Date
    expect(new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', hour: '2-digit', minute: '2-digit' }).format(next)).toBe('03:00')
    expect(next.getTime()).toBeGreaterThan(Date.now())
    await tell(id, 1, { deleted: true })
    await tell(id, 2, { status: 'paused' })
    expect(await nextAt(id)).toEqual(next)
  })

  test('paused and deleted audiences have no slots, too small ones have; resuming counts from now', async () => {
    const id = newUuid()
    await tell(id, 1)
    await tell(id, 2, { status: 'paused', code: 'audience_too_small' })
    expect(await nextAt(id)).toBeInstanceOf(Date)
    await tell(id, 3, { status: 'paused' })
    expect(await nextAt(id)).toBeNull()
    await tell(id, 4)
    expect((await nextAt(id))?.getTime()).toBeGreaterThan(Date.now())
    await tell(id, 5, { status: 'deleting', deleted: true })
    expect(await nextAt(id)).toBeNull()
  })

  test('news of something else does not lose a slot that is due', async () => {
    const id = newUuid()
    await tell(id, 1)
    await setNext(id, `now() - interval '1 minute'`)
    await tell(id, 2)
    await fireDue(db)
    expect(await requests()).toHaveLength(1)
  })

  test('an event that cannot be read is poison', async () => {
    await expect(tell(newUuid(), 1, { schedule: { ...daily, timeZone: 'Mars/Olympus' } })).rejects.toBeInstanceOf(PoisonError)
  })
})

describe('firing', () => {
  test('P16: three schedulers at once fire each slot once', async () => {
    const ids = Array.from({ length: 30 }, newUuid)
    for (const id of ids) await tell(id, 1)
    await database.admin(`UPDATE scheduler.schedule SET next_at = now() - interval '1 second'`)
    await Promise.all(Array.from({ length: 6 }, () => fireDue(db)))
    await fireDue(db)
    const fired = await requests()
    expect(fired.map(({ key }) => key).toSorted()).toEqual(ids.toSorted())
    for (const { headers, tenant_id } of fired) expect([headers.destination, tenant_id]).toEqual(['meta', tenantId])
  })

  test('F18: missed slots are caught up with one request', async () => {
    const id = newUuid()
    await tell(id, 1, { schedule: { ...daily, frequency: 'hourly' } })
    const missed = `date_trunc('hour', now()) - interval '5 days'`
    await setNext(id, missed)
    await fireDue(db)
    await fireDue(db)
    const fired = await requests()
    expect(fired).toHaveLength(1)
    expect(fired[0]?.message).toMatchObject({ audienceId: publicId('audience', id), trigger: 'schedule', mode: 'incremental' })
    const [{ slot }] = (await database.admin<{ slot: Date }>(`SELECT ${missed} AS slot`)) as [{ slot: Date }]
    expect(timestampDate(fired[0]?.message.slot as never)).toEqual(slot)
    expect((await nextAt(id))?.getTime()).toBeGreaterThan(Date.now())
  })

  test('F18: a slot that was fired is not fired again when the clock went back', async () => {
    const id = newUuid()
    await tell(id, 1)
    const slot = `timestamptz '${new Date(Math.floor(Date.now() / HOUR_MS) * HOUR_MS).toISOString()}'` // once: the next hour may begin meanwhile
    await setNext(id, slot)
    await fireDue(db)
    await setNext(id, slot)
    await fireDue(db)
    expect(await requests()).toHaveLength(1)
    expect((await nextAt(id))?.getTime()).toBeGreaterThan(Date.now())
  })

  test('F33: what is not due by the database is not fired', async () => {
    const id = newUuid()
    await tell(id, 1)
    await setNext(id, `now() + interval '1 minute'`)
    await fireDue(db)
    expect(await requests()).toEqual([])
  })
})

test('the service fires by itself, tells nextRunAt to its tenant only, and stops', async () => {
  const tokens = await generateServiceTokens(['scheduler', 'audiences'])
  const transport = { subscribe: async () => ({ stop: async () => {}, healthy: () => ({ ok: true, detail: 'test' }) }) } as unknown as Transport
  const running = await start(
    { DATABASE_URL: database.url('scheduler'), HOST: '127.0.0.1', PORT: 0, TICK_MS: 20 },
    { log, transport, tokens: tokens.scheduler },
  )
  try {
    const id = newUuid()
    await tell(id, 1)
    await setNext(id, 'now()')
    await until('the slot is fired', async () => (await requests()).length === 1)
    const ask = async (tenant: string) => {
      const token = await tokens.audiences.sign('scheduler', { tenantId: tenant, subject: 'audiences', scopes: ['internal'] })
      return fetch(`${running.url}/internal/v1/schedules/${publicId('audience', id)}`, { headers: { authorization: `Bearer ${token}` } })
    }
    const answer = await ask(tenantId)
    expect(await answer.json()).toEqual({ nextRunAt: (await nextAt(id))?.toISOString() })
    expect((await ask(newUuid())).status).toBe(404)
  } finally {
    await running.stop()
  }
})
