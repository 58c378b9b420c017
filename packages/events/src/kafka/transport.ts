/** The seam's Kafka side: one kafkajs consumer per consumer of ours, one producer for the relay. */
import type { KafkaSecurity } from '@audience-sync/service/kafka-security'
import type { Logger } from 'pino'
import { checkKey } from '../dead-letters.ts'
import type { Health, Subscription, Transport } from '../transport.ts'
import { kafkaClient } from './client.ts'
import { readTopic } from './reader.ts'
import { kafkaSender } from './sender.ts'
import { superviseConsumer } from './supervisor.ts'

const STALL_MS = 60_000 // P21
const SESSION_TIMEOUT_MS = 30_000 // F30: longer than a handler may take

export interface KafkaOptions {
  readonly brokers: readonly string[]
  readonly clientId: string
  /** Left out: no login, no TLS. */
  readonly security?: KafkaSecurity
  readonly log: Logger
  /** 32 bytes; needed to subscribe. */
  readonly deadLetterKey?: Buffer
  /** Put before each topic and group: tests share one broker. */
  readonly prefix?: string
  readonly stallMs?: number
  /** How long a consumer that died without a word keeps its partitions. */
  readonly sessionTimeoutMs?: number
  readonly handlerDeadlineMs?: number
}

export function kafkaTransport(options: KafkaOptions): Transport {
  const { brokers, clientId, security, log, deadLetterKey, prefix = '', stallMs = STALL_MS, sessionTimeoutMs = SESSION_TIMEOUT_MS, handlerDeadlineMs } = options
  const kafka = kafkaClient({ brokers, clientId, security, log })
  const named = (name: string) => `${prefix}${name}`
  const sender = kafkaSender(kafka, named)
  const subscriptions = new Set<Subscription>()
  return {
    kind: 'kafka',
    async subscribe(db, consumers, { log: theirs, onStall }) {
      const key = checkKey(deadLetterKey)
      const supervised = consumers.map((consumer) =>
        superviseConsumer({
          kafka,
          db,
          consumer,
          brokerTopic: named(consumer.topic.name),
          groupId: named(consumer.name),
          deadLetterKey: key,
          stallMs,
          sessionTimeoutMs,
          log: theirs,
          ...(handlerDeadlineMs && { handlerDeadlineMs }),
          ...(onStall && { onStall }),
        }),
      )
      const subscription: Subscription = {
        async stop() {
          await Promise.all(supervised.map((one) => one.stop()))
          subscriptions.delete(subscription)
        },
        healthy: () =>
          worst(
            supervised.map((one) => one.healthy()),
            `${consumers.length} consumers`,
          ),
      }
      subscriptions.add(subscription)
      return subscription
    },
    send: sender.send,
    read: (topic, each) => readTopic(kafka, named(topic), topic, prefix, each),
    sweep: async () => {}, // the broker's retention does it
    healthy: () => worst([sender.healthy(), ...[...subscriptions].map((one) => one.healthy())], 'kafka'),
    async close() {
      await Promise.all([...subscriptions].map((one) => one.stop()))
      await sender.close()
    },
  }
}

const worst = (all: readonly Health[], otherwise: string): Health => all.find(({ ok }) => !ok) ?? { ok: true, detail: otherwise }
