/**
 * The broker's topics, made by this file and by nobody else: partitions, retention, size of a message. Run by the installation
 * and by tests; services never create a topic.
 */
import { MAX_INGEST_BYTES, MAX_OWN_BYTES } from '@audience-sync/contracts/events/headers'
import { deadLettersOf, topics } from '@audience-sync/contracts/events/topics'
import type { KafkaSecurity } from '@audience-sync/service/kafka-security'
import kafkajs, { type Admin, type KafkaConfig } from 'kafkajs'

const PARTITIONS = 6 // DESIGN.md: the most pods of one service that share a topic's work
const RETENTION_MS = 7 * 24 * 3_600_000 // RELIABILITY.md §4.4
const DEAD_LETTER_RETENTION_MS = 14 * 24 * 3_600_000 // time for a fix and a redrive; as long as the inbox remembers
const BATCH_BYTES = 1_048_576 // the relay sends up to half of it in one batch of a partition, and one more event
const OVERHEAD_BYTES = 65_536 // headers, key and the batch's own frame

const LEADERS_DEADLINE_MS = 30_000 // an election takes a second or two
const LEADERS_POLL_MS = 50

export interface TopicPlan {
  readonly topic: string
  readonly numPartitions: number
  readonly config: Readonly<Record<string, string>>
}

const plan = (topic: string, retentionMs: number, maxBytes: number): TopicPlan => ({
  topic,
  numPartitions: PARTITIONS,
  config: { 'cleanup.policy': 'delete', 'retention.ms': String(retentionMs), 'max.message.bytes': String(maxBytes) },
})

export const topicPlans: readonly TopicPlan[] = Object.values(topics).flatMap(({ name, ingest }) => [
  plan(name, RETENTION_MS, (ingest ? MAX_INGEST_BYTES : Math.max(BATCH_BYTES, MAX_OWN_BYTES)) + OVERHEAD_BYTES),
  plan(deadLettersOf(name), DEAD_LETTER_RETENTION_MS, BATCH_BYTES + MAX_INGEST_BYTES + OVERHEAD_BYTES),
])

export interface MakeTopicsOptions {
  /** Put before each name: tests share one broker. */
  readonly prefix?: string
  readonly replicationFactor?: number
  /** Left out: no login, no TLS. */
  readonly security?: KafkaSecurity
  /** Of the registry; all and their dead letters without it. */
  readonly only?: readonly string[]
}

/** Makes what is missing; answers the names that were made now. */
export async function makeTopics(
  brokers: readonly string[],
  { prefix = '', replicationFactor = 1, security, only }: MakeTopicsOptions = {},
): Promise<string[]> {
  const { Kafka, logLevel } = kafkajs
  const admin: Admin = new Kafka({
    clientId: 'topics',
    brokers: [...brokers],
    ...(security as Pick<KafkaConfig, 'ssl' | 'sasl'>),
    logLevel: logLevel.NOTHING,
  }).admin()
  await admin.connect()
  try {
    const there = new Set(await admin.listTopics())
    const wanted = topicPlans.filter(({ topic }) => !only || only.some((name) => topic === name || topic === deadLettersOf(name)))
    const missing = wanted.filter(({ topic }) => !there.has(`${prefix}${topic}`))
    if (missing.length === 0) return []
    await admin.createTopics({
      waitForLeaders: false, // kafkajs gives up on a broker that does not know its newest topics yet
      topics: missing.map(({ topic, numPartitions, config }) => ({
        topic: `${prefix}${topic}`,
        numPartitions,
        replicationFactor,
        configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
      })),
    })
    await led(
      admin,
      missing.map(({ topic }) => `${prefix}${topic}`),
    )
    return missing.map(({ topic }) => `${prefix}${topic}`)
  } finally {
    await admin.disconnect()
  }
}

/** Waits until every partition has a leader: only then can it be written to. */
async function led(admin: Admin, names: string[]): Promise<void> {
  const deadline = Date.now() + LEADERS_DEADLINE_MS
  for (;;) {
    try {
      const { topics: made } = await admin.fetchTopicMetadata({ topics: names })
      if (made.every(({ partitions }) => partitions.length > 0 && partitions.every(({ leader }) => leader >= 0))) return
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    if (Date.now() > deadline) throw new Error(`Topics without a leader after ${LEADERS_DEADLINE_MS} ms: ${names.join(', ')}`)
    await new Promise((resolve) => setTimeout(resolve, LEADERS_POLL_MS))
  }
}
