/**
 * Reading the log: one loop per consumer and partition. A loop owns its partition while the session holds its lock, fetches a
 * slice, has it applied, commits where it stands, and goes to sleep until the bell of its partition or the next poll. A failure
 * is tried again in place, so order is kept; other partitions go on.
 */
import type { Database } from '@audience-sync/db/database'
import type pg from 'pg'
import { applier } from '../apply.ts'
import { atMost, backoffMs, bell, pause } from '../backoff.ts'
import type { AnyConsumer } from '../consumer.ts'
import { faultPoint } from '../fault-point.ts'
import { SLICE_RECORDS, STOP_DEADLINE_MS, type SubscribeOptions, type Subscription } from '../transport.ts'
import { bellOf, commit, committed, fetchFrom, PARTITIONS } from './log.ts'
import { openSession } from './session.ts'

const POLL_MS = 5_000 // the net under the notifications
const LOCK_POLL_MS = 1_000 // another process holds the partition: how late its death is noticed

export interface EmbeddedParts {
  readonly pool: pg.Pool
  readonly url: string
  readonly db: Database
  readonly consumers: readonly AnyConsumer[]
  readonly deadLetterKey: Buffer
  /** A session or a loop that shows no sign of life for so long is dead (P21). */
  readonly stallMs: number
  readonly handlerDeadlineMs?: number
  readonly options: SubscribeOptions
}

export function subscribeEmbedded({ pool, url, db, consumers, deadLetterKey, stallMs, handlerDeadlineMs, options }: EmbeddedParts): Subscription {
  const { log, onStall } = options
  const stopping = new AbortController()
  const bells = new Map<string, ReturnType<typeof bell>[]>()
  const failingSince = new Map<string, number>()
  const session = openSession({
    url,
    log,
    pingMs: stallMs / 2, // asked after half of it, given up after the other half
    onNotice: (where) => {
      for (const { ring } of bells.get(where) ?? []) ring()
    },
    onReady: () => {
      for (const { ring } of [...bells.values()].flat()) ring()
    },
    onLost: () => {
      for (const { name } of consumers) onStall?.(name)
    },
  })

  const loop = async (consumer: AnyConsumer, partition: number) => {
    const where = bellOf(consumer.topic.name, partition)
    const mine = bell()
    bells.set(where, [...(bells.get(where) ?? []), mine])
    const place = `${consumer.name} ${where}`
    const apply = applier({ db, consumer, deadLetterKey, log, ...(handlerDeadlineMs && { handlerDeadlineMs }) })
    const slice = Math.max(consumer.batch?.messages ?? 0, SLICE_RECORDS)
    for (let attempt = 1; !stopping.signal.aborted; ) {
      try {
        if (!(await session.lock(place))) {
          await mine.wait(LOCK_POLL_MS, stopping.signal)
          continue
        }
        const next = await committed(pool, consumer.name, consumer.topic.name, partition)
        const records = await fetchFrom(pool, consumer.topic.name, partition, next, slice)
        const last = records.at(-1)
        if (!last) {
          failingSince.delete(place)
          await mine.wait(POLL_MS, stopping.signal)
          continue
        }
        await apply(records, stopping.signal, attempt)
        await commit(pool, consumer.name, consumer.topic.name, partition, Number(last.offset) + 1)
        faultPoint('consumer.after_offset')
        failingSince.delete(place)
        attempt = 1
      } catch (error) {
        if (stopping.signal.aborted) return
        if (!failingSince.has(place)) failingSince.set(place, performance.now())
        log.error({ consumer: consumer.name, topic: consumer.topic.name, partition, attempt, err: error }, 'will try again in place')
        await pause(backoffMs(attempt), stopping.signal)
        attempt += 1
      }
    }
  }
  const loops = Promise.all(consumers.flatMap((consumer) => Array.from({ length: PARTITIONS }, (_, partition) => loop(consumer, partition))))

  return {
    async stop() {
      stopping.abort(new Error('stopping'))
      await atMost(STOP_DEADLINE_MS - 1_000, loops)
      await session.stop()
    },
    healthy() {
      if (!session.connected()) return { ok: false, detail: 'no connection to the bus' }
      const stuck = [...failingSince].filter(([, since]) => performance.now() - since > stallMs).map(([place]) => place)
      return stuck.length === 0 ? { ok: true, detail: `${consumers.length} consumers` } : { ok: false, detail: `failing: ${stuck.join(', ')}` }
    },
  }
}
