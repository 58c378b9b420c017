/** kafkajs, met in this folder only, so that it can be replaced (it has had no release since 2023). Its log goes to ours. */
import type { KafkaSecurity } from '@audience-sync/service/kafka-security'
import kafkajs, { type Kafka, type KafkaConfig, type LogEntry } from 'kafkajs'
import type { Logger } from 'pino'

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1' // we know which partitioner is the default

const CONNECT_TIMEOUT_MS = 3_000
const REQUEST_TIMEOUT_MS = 10_000 // beyond any fetch's wait; a broker that stands still is noticed by it
const INITIAL_RETRY_MS = 100
const MAX_RETRY_MS = 1_000 // a restarted broker is found within a second (STACK.md §4)
const RETRIES = 5 // then the error comes to us: relay and supervisor have their own, longer patience

export interface KafkaClientOptions {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly security?: KafkaSecurity | undefined
  readonly log: Logger
}

export function kafkaClient({ brokers, clientId, security, log }: KafkaClientOptions): Kafka {
  const { logLevel } = kafkajs
  return new kafkajs.Kafka({
    clientId,
    brokers: [...brokers],
    ...(security as Pick<KafkaConfig, 'ssl' | 'sasl'>),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    enforceRequestTimeout: true,
    retry: { initialRetryTime: INITIAL_RETRY_MS, maxRetryTime: MAX_RETRY_MS, retries: RETRIES },
    logLevel: logLevel.WARN,
    // What kafkajs calls an error is, most of the time, a retry: what matters is said by the relay and the supervisor.
    logCreator:
      () =>
      ({ namespace, label, log: entry }: LogEntry) =>
        log.debug({ kafkajs: namespace, label, error: entry.error }, entry.message),
  })
}
