/** What a transport promises, whichever it is: run by kafka.test.ts and embedded.test.ts. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { header } from '@audience-sync/contracts/events/headers'
import { deadLettersOf, topics } from '@audience-sync/contracts/events/topics'
import { newUuid } from '@audience-sync/contracts/ids'
import { until } from '@audience-sync/testing/until'
import { create, toBinary } from '@bufbuild/protobuf'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { defineConsumer } from '../src/consumer.ts'
import { letterHeader, openLetter } from '../src/dead-letters.ts'
import { publish } from '../src/outbox.ts'
import { redrive } from '../src/redrive.ts'
import { type InRecord, type OutRecord, SLICE_RECORDS } from '../src/transport.ts'
import { allOf, countEffects, EFFECTS_MS, effectConsumer, effects, keysNamed, say, TENANTS, tenantOf, topic, untilEffects, upTo } from './effects.ts'
import { log, type MakeRig, type Rig, type RigOptions, STALL_MS } from './rig.ts'

const TEST_MS = 150_000 // brokers, processes and the deaths of group members, on a busy machine

const LATE_MS = 5_000 // how late a busy machine may be with what a timer ends in time; the handler would hang for ever

/** A record as another team's service would send it. */
function record(n: number, key: string, over: { id?: string; value?: Buffer; headers?: Record<string, string> } = {}): OutRecord {
  return {
    topic: topic.name,
    key: `${tenantOf(key)}:${key}`,
    headers: { [header.id]: over.id ?? newUuid(), [header.type]: topic.name, [header.tenant]: tenantOf(key), ...over.headers },
    value: over.value ?? Buffer.from(toBinary(topic.schema, create(topic.schema, { behaviorId: key, changes: n }))),
  }
}

export function contract(makeRig: MakeRig): void {
  jest.setTimeout(TEST_MS)
  let rig: Rig | undefined
  const begin = async (options?: RigOptions): Promise<Rig> => {
    rig = await makeRig(options)
    return rig
  }
  afterEach(async () => {
    await rig?.end()
    rig = undefined
  })

  test('events of a key keep their order, and all arrive once, over many keys and two tenants', async () => {
    const { database, transport, relay } = await begin()
    const keys = keysNamed(20)
    await transport('audiences').subscribe(database.as('audiences'), [effectConsumer({ messages: 25 })], { log })
    await relay()
    await say(database.as('behavior_export'), keys, 1, 20)
    await untilEffects(database, 400)
    expect(await effects(database)).toEqual(allOf(keys, 20))
  })

  test('two processes of a service share a group: when one stops the other goes on, and nothing is lost or doubled', async () => {
    const { database, transport, relay } = await begin()
    const keys = keysNamed(12)
    const first = await transport('audiences').subscribe(database.as('audiences'), [effectConsumer({ messages: 5 })], { log })
    await relay()
    const publisher = database.as('behavior_export')
    await say(publisher, keys, 1, 5)
    await transport('audiences').subscribe(database.as('audiences'), [effectConsumer({ messages: 5 })], { log })
    await say(publisher, keys, 6, 10)
    await first.stop()
    await say(publisher, keys, 11, 12)
    await untilEffects(database, 144)
    expect(await effects(database)).toEqual(allOf(keys, 12))
  })

  describe('a process that is killed loses nothing and doubles nothing', () => {
    test.each(['consumer.after_inbox', 'consumer.before_commit', 'consumer.after_commit', 'consumer.after_offset'])('at %s', async (point) => {
      const { database, child, relay } = await begin()
      const keys = keysNamed(8)
      await relay()
      await say(database.as('behavior_export'), keys, 1, 10)
      const [, signal] = await once(child('consumer', `${point}:2`), 'exit')
      expect(signal).toBe('SIGKILL')
      child('consumer')
      await say(database.as('behavior_export'), keys, 11, 12)
      await untilEffects(database, 96)
      expect(await effects(database)).toEqual(allOf(keys, 12))
    })

    test.each(['relay.before_send', 'relay.after_ack', 'relay.after_mark'])('at %s', async (point) => {
      const { database, child, transport } = await begin()
      const keys = keysNamed(8)
      await transport('audiences').subscribe(database.as('audiences'), [effectConsumer({ messages: 10 })], { log })
      await say(database.as('behavior_export'), keys, 1, 5)
      const [, signal] = await once(child('relay', point), 'exit')
      expect(signal).toBe('SIGKILL')
      await say(database.as('behavior_export'), keys, 6, 10)
      child('relay')
      await untilEffects(database, 80)
      await until('an empty outbox', async () => (await database.admin('SELECT 1 FROM behavior_export.outbox WHERE published_at IS NULL')).length === 0)
      expect(await effects(database)).toEqual(allOf(keys, 10))
    })
  })

  test('duplicates do no harm, within a batch and after a replay of everything', async () => {
    const { database, transport } = await begin()
    const relaying = transport('relay')
    await transport('audiences').subscribe(database.as('audiences'), [effectConsumer({ messages: 10 })], { log })
    const once = [1, 2, 3].map((n) => record(n, 'beh_1'))
    await relaying.send(once.flatMap((one) => [one, one]))
    await relaying.send(once)
    await relaying.send([record(4, 'beh_1')])
    await until('the last effect', async () => (await effects(database)).beh_1?.includes(4))
    expect(await effects(database)).toEqual({ beh_1: [1, 2, 3, 4] })
  })

  test('poison goes to the dead letters, encrypted, and its partition goes on; redrive works after the fix, once', async () => {
    const { database, transport, relay, deadLetterKey } = await begin()
    const relaying = transport('relay')
    const service = transport('audiences')
    const db = database.as('audiences')
    await relay()
    const subscription = await service.subscribe(db, [effectConsumer({ messages: 10 })], { log })
    const bad = [
      record(666, 'beh_1', { id: 'theirs-1' }),
      record(0, 'beh_1', { id: 'theirs-2', value: Buffer.from('{"email":"ann@example.com"') }),
      record(0, 'beh_1', { id: 'theirs-3', headers: { [header.tenant]: 'nobody' } }),
      record(0, 'beh_1', { id: 'theirs-4', headers: { [header.contentType]: 'application/json' } }),
      record(0, 'beh_1', { id: 'theirs-5', headers: { [header.type]: 'another.type' } }),
    ]
    await relaying.send([record(1, 'beh_1'), ...bad.slice(0, 2), record(2, 'beh_1'), ...bad.slice(2), record(3, 'beh_1')])
    await until('the good ones', async () => (await effects(database)).beh_1?.length === 3, { timeoutMs: EFFECTS_MS })
    expect(await effects(database)).toEqual({ beh_1: [1, 2, 3] })
    const letters: InRecord[] = []
    await until('the dead letters', async () => {
      letters.length = 0
      await service.read(deadLettersOf(topic.name), async (letter) => void letters.push(letter))
      return letters.length === bad.length
    })
    expect(letters.map(({ headers }) => [headers[header.id], headers[letterHeader.reason]]).toSorted()).toEqual([
      ['theirs-1', 'bad_number'],
      ['theirs-2', 'message_malformed'],
      ['theirs-3', 'tenant_missing'],
      ['theirs-4', 'content_type_unknown'],
      ['theirs-5', 'type_mismatch'],
    ])
    const second = letters.find(({ headers }) => headers[header.id] === 'theirs-2')
    expect(second?.value.includes('ann@example.com')).toBe(false)
    expect(second && openLetter(deadLetterKey, second).value.toString()).toBe('{"email":"ann@example.com"')

    await subscription.stop()
    const mended = defineConsumer({
      ...effectConsumer(),
      handle: async (tx, events) => void (await tx.query('INSERT INTO effect (tenant_id, key, n) VALUES ($1, $2, 4)', [events[0]?.tenantId, events[0]?.key])),
    })
    const parts = { transport: service, db, consumer: mended, deadLetterKey, log }
    expect(await redrive(parts)).toEqual({ applied: 1, repeated: 0, failed: 4 })
    expect(await redrive(parts)).toEqual({ applied: 0, repeated: 1, failed: 4 })
    expect(await effects(database)).toEqual({ beh_1: [1, 2, 3, 4] })
  })

  test('the ingest topics take protobuf and JSON', async () => {
    const { database, transport } = await begin()
    const seen: unknown[] = []
    const consumer = defineConsumer({
      name: 'audiences.ingest',
      topic: topics.customerChanged,
      handle: async (_tx, events) => void seen.push(...events.map(({ message }) => message.customers[0]?.customerId)),
    })
    await transport('audiences').subscribe(database.as('audiences'), [consumer], { log })
    const { schema, name } = topics.customerChanged
    const base = { topic: name, key: 'c-1', headers: { [header.type]: name, [header.tenant]: TENANTS[0] } }
    await transport('relay').send([
      { ...base, headers: { ...base.headers, [header.id]: 'a' }, value: Buffer.from(toBinary(schema, create(schema, { customers: [{ customerId: 'c-1' }] }))) },
      {
        ...base,
        headers: { ...base.headers, [header.id]: 'b', [header.contentType]: 'application/json; charset=utf-8' },
        value: Buffer.from('{"customers":[{"customerId":"c-2","occurredAt":"2026-01-01T00:00:00Z"}]}'),
      },
    ])
    await until('both', () => seen.length === 2)
    expect(seen).toEqual(['c-1', 'c-2'])
  })

  test('an event that fails for now is tried again in its place; its key keeps its order and other partitions go on', async () => {
    const { database, transport } = await begin()
    const keys = keysNamed(12)
    let failures = 3
    const others = new Set<string>()
    const consumer = effectConsumer({
      async before(events) {
        if (events[0]?.key !== 'beh_0') others.add(events[0]?.key ?? '')
        else if (failures > 0) {
          if (others.size > 2) failures -= 1 // it goes on failing until others were seen
          throw new Error('the database was away for a moment')
        }
      },
    })
    await transport('audiences').subscribe(database.as('audiences'), [consumer], { log })
    await transport('relay').send([1, 2, 3].flatMap((n) => keys.map((key) => record(n, key))))
    await untilEffects(database, 36)
    expect(await effects(database)).toEqual(allOf(keys, 3))
  })

  test('what many send at once is all seen: no reader skips a late commit', async () => {
    const { database, transport } = await begin()
    const relaying = transport('relay')
    await transport('audiences').subscribe(database.as('audiences'), [effectConsumer({ messages: 10 })], { log })
    const keys = keysNamed(60)
    await Promise.all(keys.map((key) => relaying.send([record(1, key), record(2, key)])))
    await untilEffects(database, 120)
    expect(await effects(database)).toEqual(allOf(keys, 2))
  })

  test('large events of one key go through in their order: no batch outgrows what the carrier takes', async () => {
    const { database, transport, relay } = await begin()
    const publisher = database.as('behavior_export')
    const seen: number[] = []
    const consumer = defineConsumer({
      name: 'audiences.large',
      topic,
      handle: async (_tx, events) => void seen.push(...events.map(({ message }) => message.changes)),
    })
    await publisher.tenant(TENANTS[0], async (tx) => {
      for (const changes of upTo(40))
        await publish(tx, { topic, tenantId: TENANTS[0], key: 'large', message: { behaviorId: randomBytes(30_000).toString('hex'), changes } })
    })
    await relay()
    await transport('audiences').subscribe(database.as('audiences'), [consumer], { log })
    await until('all', () => seen.length === 40)
    expect(seen).toEqual(upTo(40))
  })

  test('a consumer that wants part of a topic passes over the rest unread', async () => {
    const { database, transport } = await begin()
    await transport('audiences').subscribe(database.as('audiences'), [{ ...effectConsumer(), wants: (headers) => headers.destination === 'meta' }], { log })
    await transport('relay').send([record(1, 'beh_1', { value: Buffer.from('not for us') }), record(2, 'beh_1', { headers: { destination: 'meta' } })])
    await until('ours', async () => (await countEffects(database)) === 1)
    expect(await effects(database)).toEqual({ beh_1: [2] })
    expect(await database.admin('SELECT 1 FROM sync.outbox')).toEqual([])
  })

  test('a slow consumer holds a bounded number of events in work, however many wait', async () => {
    const { database, transport } = await begin()
    let taken = 0
    const gate = Promise.withResolvers<void>()
    const held: number[] = []
    const consumer = {
      ...effectConsumer({ messages: 20, before: async (events) => void held.push(events.length, await gate.promise.then(() => 0)) }),
      wants: () => {
        taken += 1
        return true
      },
    }
    await transport('audiences').subscribe(database.as('audiences'), [consumer], { log })
    const keys = keysNamed(30)
    for (let n = 1; n <= 100; n += 10) await transport('relay').send(upToTen(n).flatMap((at) => keys.map((key) => record(at, key))))
    await until('work', () => taken >= SLICE_RECORDS)
    const before = taken
    await until('a second look', async () => (await countEffects(database)) === 0)
    expect(before).toBeLessThanOrEqual(6 * SLICE_RECORDS)
    gate.resolve()
    await untilEffects(database, 3_000)
    expect(await effects(database)).toEqual(allOf(keys, 100))
    expect(Math.max(...held)).toBeLessThanOrEqual(20)
  })

  test('stop takes less than 10 s although a handler hangs', async () => {
    const { database, transport } = await begin()
    const started = Promise.withResolvers<void>()
    const consumer = effectConsumer({
      before: async () => {
        started.resolve()
        await new Promise(() => {})
      },
    })
    const subscription = await transport('audiences').subscribe(database.as('audiences'), [consumer], { log })
    await transport('relay').send([record(1, 'beh_1')])
    await started.promise
    const began = performance.now()
    await subscription.stop()
    expect(performance.now() - began).toBeLessThan(10_000 + LATE_MS)
  })

  test('a handler that hangs loses its call at the deadline; others go on, and it is called again', async () => {
    const { database, transport } = await begin({ handlerDeadlineMs: 1_000 })
    const keys = keysNamed(12)
    let hangs = 1
    const consumer = effectConsumer({
      async before([event]) {
        if (event?.key !== 'beh_0' || hangs === 0) return
        hangs -= 1
        await new Promise(() => {})
      },
    })
    await transport('audiences').subscribe(database.as('audiences'), [consumer], { log })
    await transport('relay').send([1, 2].flatMap((n) => keys.map((key) => record(n, key))))
    await untilEffects(database, 24)
    expect(await effects(database)).toEqual(allOf(keys, 2))
  })

  test('a carrier that dies and comes back: nothing is lost, nothing doubled, nobody has to help', async () => {
    const { database, transport, relay, kill } = await begin({ ownCarrier: true })
    const keys = keysNamed(6)
    const subscription = await transport('audiences').subscribe(database.as('audiences'), [effectConsumer({ messages: 10 })], { log })
    const relaying = await relay()
    const publisher = database.as('behavior_export')
    await say(publisher, keys, 1, 5)
    await until('the first effects', async () => (await countEffects(database)) >= 10)
    const { heal } = await kill()
    const during = until('somebody publishes while it is down', async () => {
      await say(publisher, keys, 6, 10)
      return true
    })
    await during
    await heal()
    await say(publisher, keys, 11, 12)
    await untilEffects(database, 72)
    expect(await effects(database)).toEqual(allOf(keys, 12))
    await until('health', () => subscription.healthy().ok && relaying.healthy().ok, { timeoutMs: EFFECTS_MS })
  })

  test('a consumer whose carrier stands still is noticed and heals', async () => {
    const { database, transport, freeze } = await begin({ ownCarrier: true })
    const stalled: string[] = []
    const relaying = transport('relay')
    const subscription = await transport('audiences').subscribe(database.as('audiences'), [effectConsumer()], {
      log,
      onStall: (name) => void stalled.push(name),
    })
    await relaying.send([record(1, 'beh_1')])
    await until('the first effect', async () => (await countEffects(database)) === 1)
    const { thaw } = await freeze()
    await until('it is noticed', () => stalled.includes('audiences.effects'), { timeoutMs: STALL_MS * 15 })
    expect(subscription.healthy().ok).toBe(false)
    thaw()
    await relaying.send([record(2, 'beh_1')])
    await until('it heals', async () => (await countEffects(database)) === 2, { timeoutMs: EFFECTS_MS })
    await until('health', () => subscription.healthy().ok)
  })
}

const upToTen = (from: number): number[] => Array.from({ length: 10 }, (_, at) => from + at)
