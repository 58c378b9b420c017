/**
 * Keeps one consumer alive (P21). kafkajs stops in silence, crashes on the loss of a broker and sometimes comes back, sometimes
 * not: so each build is watched for signs of life, and at a crash or after a minute of silence it is thrown away and built again.
 */

import type { Database } from '@audience-sync/db/database'
import type { Kafka, Consumer as KafkaConsumer } from 'kafkajs'
import type { Logger } from 'pino'
import { applier } from '../apply.ts'
import { atMost, backoffMs, pause } from '../backoff.ts'
import type { AnyConsumer } from '../consumer.ts'
import { type Health, SLICE_RECORDS, STOP_DEADLINE_MS, type Subscription } from '../transport.ts'
import { type Jobs, partitionJobs } from './jobs.ts'

const HEARTBEAT_MS = 3_000
const FETCH_WAIT_MS = 500 // a long poll's patience; also how late a paused partition comes back
const PARTITION_BYTES = 262_144 // F28: what a partition holds in memory at most, beside one message of 1 MiB
const FETCH_BYTES = 1_048_576
const CONCURRENCY = 6 // partitions of a topic
const METADATA_AGE_MS = 30_000 // a topic that grew is noticed within it
const TEARDOWN_MS = 3_000 // leaving the group of a dead broker cannot be waited for

export interface SupervisorParts {
  readonly kafka: Kafka
  readonly db: Database
  readonly consumer: AnyConsumer
  readonly brokerTopic: string
  readonly groupId: string
  readonly deadLetterKey: Buffer
  readonly stallMs: number
  readonly sessionTimeoutMs: number
  readonly handlerDeadlineMs?: number
  readonly log: Logger
  readonly onStall?: (consumer: string) => void
}

export function superviseConsumer(parts: SupervisorParts): Subscription {
  const { kafka, db, consumer, brokerTopic, groupId, deadLetterKey, stallMs, sessionTimeoutMs, handlerDeadlineMs, log, onStall } = parts
  const stopping = new AbortController()
  const apply = applier({ db, consumer, deadLetterKey, log, ...(handlerDeadlineMs && { handlerDeadlineMs }) })
  const slice = Math.max(consumer.batch?.messages ?? 0, SLICE_RECORDS)
  let epoch = 0
  let joined = false
  let lastSign = performance.now()
  let jobs: Jobs | undefined

  const build = (broken: AbortController): KafkaConsumer => {
    const made = kafka.consumer({
      groupId,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.min(HEARTBEAT_MS, sessionTimeoutMs / 3),
      maxWaitTimeInMs: FETCH_WAIT_MS,
      maxBytesPerPartition: PARTITION_BYTES,
      maxBytes: FETCH_BYTES,
      metadataMaxAge: METADATA_AGE_MS,
      allowAutoTopicCreation: false,
      retry: { restartOnFailure: async () => false },
    })
    const sign = () => {
      lastSign = performance.now()
    }
    made.on(made.events.FETCH, sign)
    made.on(made.events.HEARTBEAT, sign)
    made.on(made.events.GROUP_JOIN, () => {
      epoch += 1
      joined = true
      sign()
    })
    made.on(made.events.CRASH, ({ payload }) => broken.abort(payload.error))
    return made
  }

  /** Until it breaks, stalls, or is to stop. */
  const runOnce = async () => {
    const broken = new AbortController()
    const made = build(broken)
    lastSign = performance.now()
    const mine = partitionJobs({ topic: consumer.topic.name, consumer: consumer.name, apply, slice, log, signal: stopping.signal, epoch: () => epoch })
    jobs = mine
    const setUp = async () => {
      await made.connect()
      await made.subscribe({ topics: [brokerTopic], fromBeginning: true })
      await made.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: CONCURRENCY, eachBatch: mine.eachBatch })
    }
    setUp().catch((error: Error) => broken.abort(error))
    const end = AbortSignal.any([broken.signal, stopping.signal])
    while (!end.aborted) {
      await pause(stallMs / 4, end)
      if (!end.aborted && performance.now() - lastSign > stallMs) {
        onStall?.(consumer.name)
        broken.abort(new Error(`no sign of life for ${stallMs} ms`))
      }
    }
    if (stopping.signal.aborted) await atMost(STOP_DEADLINE_MS - TEARDOWN_MS - 1_000, mine.settled())
    epoch += 1
    joined = false
    await atMost(TEARDOWN_MS, made.disconnect())
    if (!stopping.signal.aborted) throw broken.signal.reason
  }

  const supervise = async () => {
    for (let attempt = 1; !stopping.signal.aborted; attempt += 1) {
      const began = performance.now()
      try {
        await runOnce()
      } catch (error) {
        if (performance.now() - began > stallMs) attempt = 1
        log.error({ consumer: consumer.name, attempt, err: error }, 'consumer stopped, will build it again')
        await pause(backoffMs(attempt), stopping.signal)
      }
    }
  }
  const supervised = supervise()

  return {
    async stop() {
      stopping.abort(new Error('stopping'))
      await atMost(STOP_DEADLINE_MS, supervised)
    },
    healthy(): Health {
      const now = performance.now()
      if (!joined || now - lastSign > stallMs) return { ok: false, detail: `${consumer.name} is not in its group` }
      const stuck = [...(jobs?.failingSince ?? [])].filter(([, since]) => now - since > stallMs)
      return stuck.length === 0
        ? { ok: true, detail: consumer.name }
        : { ok: false, detail: `${consumer.name} fails on partition ${stuck.map(([partition]) => partition).join(', ')}` }
    },
  }
}
