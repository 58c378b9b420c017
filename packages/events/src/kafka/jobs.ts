/**
 * Work on fetched batches, one job per partition at a time. A job that is done within a moment is awaited by kafkajs's loop; a
 * longer one is let go of, with its partition paused, so that fetching and heartbeats go on for the others and the group never
 * expels us for being slow (kafkajs#1720, #1527). A failure is tried again in place by the job itself; the loop never sees it.
 */
import type { EachBatchPayload } from 'kafkajs'
import type { Logger } from 'pino'
import type { Apply } from '../apply.ts'
import { backoffMs, pause as wait } from '../backoff.ts'
import { faultPoint } from '../fault-point.ts'
import { toRecord } from './reader.ts'

const INLINE_MS = 1_000 // well below the heartbeat's interval

export interface JobParts {
  readonly topic: string
  readonly consumer: string
  readonly apply: Apply
  readonly slice: number
  readonly log: Logger
  readonly signal: AbortSignal
  /** Grows when the group's partitions are dealt anew: what began before may not commit any more. */
  readonly epoch: () => number
}

export interface Jobs {
  eachBatch(payload: EachBatchPayload): Promise<void>
  /** Partitions that fail since then (performance.now). */
  readonly failingSince: ReadonlyMap<number, number>
  settled(): Promise<unknown>
}

export function partitionJobs({ topic, consumer, apply, slice, log, signal, epoch }: JobParts): Jobs {
  const failingSince = new Map<number, number>()
  const running = new Set<Promise<void>>()

  const job = async ({ batch, resolveOffset, commitOffsetsIfNecessary, isRunning, isStale }: EachBatchPayload) => {
    const { partition, messages } = batch
    const began = epoch()
    const over = () => signal.aborted || epoch() !== began || !isRunning() || isStale()
    for (let at = 0, attempt = 1; at < messages.length && !over(); ) {
      const part = messages.slice(at, at + slice)
      try {
        await apply(
          part.map((message) => toRecord(topic, partition, message)),
          signal,
          attempt,
        )
      } catch (error) {
        if (over()) break
        if (!failingSince.has(partition)) failingSince.set(partition, performance.now())
        log.error({ consumer, topic, partition, attempt, err: error }, 'will try again in place')
        await wait(backoffMs(attempt), signal)
        attempt += 1
        continue
      }
      failingSince.delete(partition)
      if (epoch() !== began) break // somebody else has the partition; what we did is in the inbox
      const last = part.at(-1)?.offset ?? '0'
      try {
        await commitOffsetsIfNecessary({ topics: [{ topic: batch.topic, partitions: [{ partition, offset: String(BigInt(last) + 1n) }] }] })
      } catch (error) {
        log.debug({ consumer, partition, err: error }, 'offset not committed; the records will come again')
        break
      }
      faultPoint('consumer.after_offset')
      if (epoch() === began) resolveOffset(last)
      at += part.length
      attempt = 1
    }
    failingSince.delete(partition)
  }

  return {
    failingSince,
    async eachBatch(payload) {
      const work = job(payload)
      running.add(work)
      const timer = new AbortController()
      let done = false
      const finished = work.finally(() => {
        done = true
        running.delete(work)
        timer.abort()
      })
      await wait(INLINE_MS, timer.signal)
      if (done) return finished
      const resume = payload.pause()
      void finished.finally(resume)
    },
    settled: () => Promise.allSettled(running),
  }
}
