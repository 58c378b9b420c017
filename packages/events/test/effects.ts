/** What the contract's tests look at: a table of effects, where a doubled or missing delivery shows, and the consumer that writes it. */

import type { BehaviorUpdated } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/behavior_pb'
import { topics } from '@audience-sync/contracts/events/topics'
import type { Database } from '@audience-sync/db/database'
import type { TestDatabase } from '@audience-sync/testing/database'
import { until } from '@audience-sync/testing/until'
import { type Consumer, defineConsumer, PoisonError, type ReceivedEvent } from '../src/consumer.ts'
import { publish } from '../src/outbox.ts'

export const topic = topics.behaviorUpdated
export const TENANTS = ['01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d', '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9e'] as const

export async function makeEffects(database: TestDatabase): Promise<void> {
  await database.admin('CREATE TABLE sync.effect (at bigserial PRIMARY KEY, tenant_id uuid NOT NULL, key text NOT NULL, n int NOT NULL)')
  await database.admin('GRANT SELECT, INSERT ON sync.effect TO audiences; GRANT USAGE ON SEQUENCE sync.effect_at_seq TO audiences')
}

/** Of each key the numbers, in the order in which they had their effect. */
export async function effects(database: TestDatabase): Promise<Record<string, number[]>> {
  const rows = await database.admin<{ key: string; n: number }>('SELECT key, n FROM sync.effect ORDER BY at')
  return Object.fromEntries([...Map.groupBy(rows, ({ key }) => key)].map(([key, of]) => [key, of.map(({ n }) => n)]))
}

export async function countEffects(database: TestDatabase): Promise<number> {
  const [row] = await database.admin<{ count: number }>('SELECT count(*)::int AS count FROM sync.effect')
  return row?.count ?? 0
}

/** Groups that form anew, members that die and brokers that come back take seconds; on a slow machine many of them. */
export const EFFECTS_MS = 90_000

/** At least so many; what is too many shows when they are compared. */
export const untilEffects = (database: TestDatabase, count: number) =>
  until(`${count} effects`, async () => (await countEffects(database)) >= count, { timeoutMs: EFFECTS_MS })

/** One event per number for each key, keys in turn, each in a transaction of its own as services do. */
export async function say(publisher: Database, keys: readonly string[], from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n += 1) {
    for (const key of keys) {
      const tenantId = tenantOf(key)
      await publisher.tenant(tenantId, (tx) => publish(tx, { topic, tenantId, key, version: n, message: { behaviorId: key, changes: n } }))
    }
  }
}

export const tenantOf = (key: string): string => TENANTS[key.length % 2 === 0 ? 0 : 1] ?? TENANTS[0]
export const keysNamed = (count: number): string[] => Array.from({ length: count }, (_, at) => `beh_${at}`)
export const upTo = (n: number): number[] => Array.from({ length: n }, (_, at) => at + 1)
export const allOf = (keys: readonly string[], n: number): Record<string, number[]> => Object.fromEntries(keys.map((key) => [key, upTo(n)]))

/** 666 is the number of the poison. */
export function effectConsumer(
  more: { messages?: number; before?: (events: readonly ReceivedEvent<BehaviorUpdated>[], signal: AbortSignal) => Promise<void> } = {},
): Consumer<BehaviorUpdated> {
  return defineConsumer({
    name: 'audiences.effects',
    topic,
    ...(more.messages && { batch: { messages: more.messages } }),
    async handle(tx, events, { signal }) {
      await more.before?.(events, signal)
      for (const { tenantId, message } of events) {
        if (message.changes === 666) throw new PoisonError('bad_number', '666 is no number of changes')
        await tx.query('INSERT INTO effect (tenant_id, key, n) VALUES ($1, $2, $3)', [tenantId, message.behaviorId, message.changes])
      }
    },
  })
}
