/** Kafka's contract on one machine without a broker: a log in Postgres that the same relay fills (DESIGN.md §5). */

import pg from 'pg'
import type { Logger } from 'pino'
import { checkKey } from '../dead-letters.ts'
import type { Subscription, Transport } from '../transport.ts'
import { append, readAll, sweepLog } from './log.ts'
import { subscribeEmbedded } from './subscription.ts'

const STALL_MS = 60_000 // P21
const QUERY_TIMEOUT_MS = 10_000 // a fetch or a commit takes milliseconds; a socket that never answers must not hold a loop
const POOL = 4 // loops take turns: each of their queries is short

export interface EmbeddedOptions {
  /** The service's own role; the relay's for sending. */
  readonly url: string
  readonly log: Logger
  /** 32 bytes; needed to subscribe. */
  readonly deadLetterKey?: Buffer
  readonly stallMs?: number
  readonly handlerDeadlineMs?: number
}

export function embeddedTransport({ url, log, deadLetterKey, stallMs = STALL_MS, handlerDeadlineMs }: EmbeddedOptions): Transport {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'bus',
    max: POOL,
    query_timeout: QUERY_TIMEOUT_MS,
    connectionTimeoutMillis: QUERY_TIMEOUT_MS,
  })
  pool.on('error', () => {}) // an idle connection died; the next query gets a fresh one or says so
  const subscriptions = new Set<Subscription>()
  return {
    kind: 'embedded',
    async subscribe(db, consumers, options) {
      const parts = { pool, url, db, consumers, deadLetterKey: checkKey(deadLetterKey), stallMs, options, ...(handlerDeadlineMs && { handlerDeadlineMs }) }
      const subscription = subscribeEmbedded(parts)
      subscriptions.add(subscription)
      return subscription
    },
    send: (records) => append(pool, records),
    read: (topic, each) => readAll(pool, topic, each),
    sweep: () => sweepLog(pool),
    healthy() {
      const bad = [...subscriptions].map((subscription) => subscription.healthy()).find(({ ok }) => !ok)
      return bad ?? { ok: true, detail: 'embedded' }
    },
    async close() {
      await Promise.all([...subscriptions].map((subscription) => subscription.stop()))
      await pool.end()
      log.debug('embedded transport closed')
    },
  }
}
