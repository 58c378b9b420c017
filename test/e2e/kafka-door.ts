/** The other door: what other teams' services publish on Kafka, as CloudEvents in protobuf-JSON. */
import { randomUUID } from 'node:crypto'
import { header } from '@audience-sync/contracts/events/headers'
import { kafkaTransport } from '@audience-sync/events/kafka/transport'
import { createAudience, createBehavior, FINISHED } from '@audience-sync/testing/conductor-client'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { customer, farRows, joins, leaves, type Person, people, person, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

interface Event {
  readonly key: string
  readonly value: object
}

export function kafkaDoor(stage: Stage): void {
  const publish = async (tenantId: string, topic: string, events: readonly Event[]) => {
    const transport = kafkaTransport({ brokers: stage.system.brokers, clientId: 'another team', log: pino({ level: 'silent' }) })
    const headers = () => ({
      [header.id]: randomUUID(),
      [header.type]: topic,
      [header.source]: '/test',
      [header.specVersion]: '1.0',
      [header.tenant]: tenantId,
      [header.contentType]: 'application/json',
    })
    await transport.send(events.map(({ key, value }) => ({ topic, key, value: Buffer.from(JSON.stringify(value)), headers: headers() })))
    await transport.close()
  }
  const customersOf = (some: readonly Person[]) => ({ customers: some.map(customer) })

  describe('events on Kafka', () => {
    test('customers and memberships that arrive as events reach a real-time audience by themselves', async () => {
      const { twin } = stage.system
      const { id, client, accountId } = await stage.tenant('kafka-door')
      const behavior = await createBehavior(client, 'evented')
      const first = people(0, 30)
      await publish(id, 'customer.changed', [{ key: 'c', value: customersOf(first) }])
      await publish(id, 'behavior.membership.changed', [{ key: behavior, value: { behaviorId: behavior, changes: first.map(joins) } }])
      await until('the members are stored', async () => (await client.get(`/v1/behaviors/${behavior}`)).members === first.length, { timeoutMs: 60_000 })
      const made = await createAudience(client, behavior, accountId, { schedule: { frequency: 'realtime' } })
      const filled = await until(
        'the first run',
        async () => {
          const now = await client.get(`/v1/audiences/${made.id}`)
          return FINISHED.includes(now.lastRun?.status) && now
        },
        { timeoutMs: 60_000 },
      )
      expect(await farRows(twin, filled.externalId)).toEqual(rowsOf(first))

      await publish(id, 'behavior.membership.changed', [{ key: behavior, value: { behaviorKey: 'evented', changes: [leaves(person(0))] } }])
      await until('the departure is at the platform', async () => (await farRows(twin, filled.externalId)).length === first.length - 1, { timeoutMs: 60_000 })
      expect(await farRows(twin, filled.externalId)).toEqual(rowsOf(first.slice(1)))
    })

    test('an event for an unknown behavior is kept, and used when the behavior appears', async () => {
      const { id, client } = await stage.tenant('too-early')
      await publish('too-early', 'behavior.membership.changed', [{ key: 'later', value: { behaviorKey: 'later', changes: people(0, 3).map(joins) } }])
      const parked = () => stage.system.database.admin('SELECT 1 FROM behavior_export.parked_event WHERE tenant_id = $1', [id])
      await until('the event is kept', async () => (await parked()).length === 1, { timeoutMs: 60_000 })
      const behavior = await createBehavior(client, 'later')
      await until('the event is used', async () => (await client.get(`/v1/behaviors/${behavior}`)).members === 3, { timeoutMs: 60_000 })
    })

    test('an event that can never be used becomes a dead letter, and those behind it are used', async () => {
      const { id, client } = await stage.tenant('poison')
      const behavior = await createBehavior(client, 'poisoned')
      const changes = (some: readonly object[]) => ({ key: behavior, value: { behaviorId: behavior, changes: some } })
      await publish(id, 'behavior.membership.changed', [changes([{ customerId: 'x', member: true, occurredAt: 'not a time' }]), changes([joins(person(1))])])
      await until('the good event is used', async () => (await client.get(`/v1/behaviors/${behavior}`)).members === 1, { timeoutMs: 60_000 })
      const letters = await stage.system.database.admin(
        `SELECT FROM behavior_export.outbox WHERE topic = 'behavior.membership.changed.dlq' AND tenant_id = $1`,
        [id],
      )
      expect(letters).toHaveLength(1)
    })
  })
}
