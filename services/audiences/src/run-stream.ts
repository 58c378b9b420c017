/**
 * A run as it moves, as server-sent events: `run` with the whole run whenever something of it has changed, `end` once it has
 * finished. The database is asked, not the bus: counts are sums over batches, and one second is soon enough for a reader.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Run } from '@audience-sync/contracts/rest/runs'

export const STREAM_MS = 3_600_000 // longer runs are read by readers that come back, which all of them do by themselves
const POLL_MS = 1_000
const HEARTBEAT_MS = 10_000 // proxies on the way close what is silent for a minute, some sooner

export interface WatchOptions {
  /** Ends the stream at once: the reader is gone, or the service stops. */
  readonly signal: AbortSignal
  readonly pollMs?: number
  readonly heartbeatMs?: number
}

/** Text to send. `read` gives the run as it is now. */
export async function* watchRun(read: () => Promise<Run>, { signal, pollMs = POLL_MS, heartbeatMs = HEARTBEAT_MS }: WatchOptions): AsyncGenerator<string> {
  const end = performance.now() + STREAM_MS
  let told = ''
  let toldAt = 0
  while (!signal.aborted && performance.now() < end) {
    const run = await read()
    const text = JSON.stringify(run)
    const changed = text !== told
    if (changed || performance.now() - toldAt >= heartbeatMs) {
      yield changed ? `event: run\ndata: ${text}\n\n` : ': nothing new\n\n'
      told = text
      toldAt = performance.now()
    }
    if (run.finishedAt !== null) {
      yield 'event: end\ndata: {}\n\n'
      return
    }
    await sleep(pollMs, undefined, { signal }).catch(() => {})
  }
}
