/**
 * Sending, for the relay. Acknowledged by all in-sync replicas or thrown. After a failure the producer is made anew: what it
 * still has in flight belongs to the past. Repeats are possible and harmless (inbox), order per key is that of the calls,
 * because the relay sends one batch at a time.
 */
import { context, createContextKey } from '@opentelemetry/api'
import type { Kafka, Producer } from 'kafkajs'
import { atMost } from '../backoff.ts'
import { type Health, type OutRecord, RecordsRefused } from '../transport.ts'

const ACK_ALL = -1
const ACK_TIMEOUT_MS = 10_000
const DISCONNECT_MS = 2_000

/**
 * The tracing SDK's own switch (`suppressTracing`). A record carries the trace of the request that caused it; an instrumentation
 * of kafkajs would write a trace of the relay's over it.
 */
const SUPPRESS_TRACING = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING')

/** Answers that no repetition changes; an operator has to (or the file of topics). */
const REFUSALS = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
])

export interface Sender {
  send(records: readonly OutRecord[]): Promise<void>
  healthy(): Health
  close(): Promise<void>
}

export function kafkaSender(kafka: Kafka, topicOf: (name: string) => string): Sender {
  let producer: Promise<Producer> | undefined
  let health: Health = { ok: true, detail: 'nothing sent yet' }

  const connected = (): Promise<Producer> => {
    producer ??= (async () => {
      const made = kafka.producer({ allowAutoTopicCreation: false, maxInFlightRequests: 1 })
      await made.connect()
      return made
    })()
    return producer
  }
  const drop = async () => {
    const old = producer
    producer = undefined
    if (old)
      await atMost(
        DISCONNECT_MS,
        old.then((made) => made.disconnect()),
      )
  }

  return {
    async send(records) {
      try {
        const made = await connected()
        const topicMessages = [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, of]) => ({
          topic: topicOf(topic),
          messages: of.map(({ key, headers, value }) => ({ key, headers: { ...headers }, value })),
        }))
        await context.with(context.active().setValue(SUPPRESS_TRACING, true), () => made.sendBatch({ acks: ACK_ALL, timeout: ACK_TIMEOUT_MS, topicMessages }))
        health = { ok: true, detail: 'sending' }
      } catch (error) {
        await drop()
        health = { ok: false, detail: (error as Error).message }
        throw isRefusal(error) ? new RecordsRefused((error as Error).message, { cause: error }) : error
      }
    },
    healthy: () => health,
    close: drop,
  }
}

function isRefusal(error: unknown): boolean {
  for (let at = error as { type?: string; cause?: unknown } | undefined; at; at = at.cause as typeof at) if (REFUSALS.has(at.type ?? '')) return true
  return false
}
