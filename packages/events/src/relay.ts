/**
 * The relay: the only one that sends (S-1). One loop per schema, active in one process at a time by an advisory lock on the
 * very connection that it works with: when that connection dies, lock and loop end together.
 *
 * Life of a row: found by `published_at IS NULL`, never by a cursor (ids are taken before commit: a cursor skips the slow) →
 * sent with its key `tenant:aggregate` → marked after the carrier's acknowledgement → deleted after three days. A crash between
 * the last two sends it again: the inbox drops it. No transaction is open while it sends: an outage of the carrier must not hold
 * the horizon of the change feed (R2); the lock alone keeps others out.
 */
import pg from 'pg'
import type { Logger } from 'pino'
import { atMost, backoffMs, bell, pause, within } from './backoff.ts'
import { faultPoint } from './fault-point.ts'
import { housekeep } from './housekeeping.ts'
import { keyOf, markPublished, type OutboxRow, toRecord, unpublished } from './outbox-rows.ts'
import { type Health, RecordsRefused, STOP_DEADLINE_MS, type Transport } from './transport.ts'

const POLL_MS = 1_000 // the net under the notifications; also how late a dead relay is replaced
const HOUSEKEEPING_MS = 3_600_000 // a three-day and a fourteen-day rule need no finer clock
const REFUSED_RETRY_MS = 30_000 // F6: a missing topic or a missing right is looked for again
const SEND_DEADLINE_MS = 60_000 // beyond the client's own tries: a send that never ends must not end the relaying
const QUERY_TIMEOUT_MS = 30_000 // marking 500 rows takes milliseconds; a socket that never answers ends the loop and with it the lock

export interface RelayOptions {
  /** Of the role `relay`. */
  readonly url: string
  readonly schemas: readonly string[]
  readonly transport: Transport
  readonly log: Logger
}

export interface Relay {
  /** Within 10 s; a send that does not end by then is left, and done again by the next relay. */
  stop(): Promise<void>
  /** `ok` also when another process holds the schema; not when sending fails or the database does not answer. */
  healthy(): Health
}

export async function startRelay({ url, schemas, transport, log }: RelayOptions): Promise<Relay> {
  const stopping = new AbortController()
  const state = new Map<string, Health>(schemas.map((schema) => [schema, { ok: false, detail: 'starting' }]))
  const loops = schemas.map((schema) =>
    keepRelaying({ url, schema, transport, log: log.child({ schema }), signal: stopping.signal, say: (health) => state.set(schema, health) }),
  )
  return {
    async stop() {
      stopping.abort()
      await atMost(STOP_DEADLINE_MS, Promise.all(loops))
    },
    healthy() {
      const bad = [...state].filter(([, { ok }]) => !ok)
      return bad.length === 0 ? { ok: true, detail: 'relaying' } : { ok: false, detail: bad.map(([schema, { detail }]) => `${schema}: ${detail}`).join(', ') }
    },
  }
}

interface LoopParts {
  readonly url: string
  readonly schema: string
  readonly transport: Transport
  readonly log: Logger
  readonly signal: AbortSignal
  readonly say: (health: Health) => void
}

/** Connects again and again, for ever: nothing but `stop` ends it. */
async function keepRelaying(parts: LoopParts): Promise<void> {
  const { url, log, signal, say } = parts
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'relay',
      query_timeout: QUERY_TIMEOUT_MS,
      connectionTimeoutMillis: QUERY_TIMEOUT_MS,
    })
    const lost = new AbortController()
    client.on('error', () => lost.abort())
    client.on('end', () => lost.abort())
    try {
      await client.connect()
      await relayWhileLocked(client, { ...parts, signal: AbortSignal.any([signal, lost.signal]) }, () => {
        attempt = 0
      })
    } catch (error) {
      log.error({ err: error, attempt }, 'relaying failed, will try again')
      say({ ok: false, detail: (error as Error).message })
    } finally {
      await client.end().catch(() => {})
    }
    if (!signal.aborted) await pause(backoffMs(attempt), signal)
  }
}

async function relayWhileLocked(client: pg.Client, { schema, transport, log, signal, say }: LoopParts, onProgress: () => void): Promise<void> {
  const wake = bell()
  client.on('notification', ({ payload }) => {
    if (payload === schema) wake.ring()
  })
  await client.query('LISTEN outbox')
  while (!(await takeLock(client, schema))) {
    say({ ok: true, detail: 'standing by' })
    await pause(POLL_MS, signal)
    if (signal.aborted) return
  }
  log.info('relaying')
  /** Keys with a record that the carrier refuses → when to try them again. Their rows wait, others go on. */
  const refused = new Map<string, number>()
  let nextHousekeeping = 0
  while (!signal.aborted) {
    const now = performance.now()
    for (const [key, until] of refused) if (until <= now) refused.delete(key)
    if (now >= nextHousekeeping) {
      // Old rows do no harm: what cannot be tidied up must not keep events from being sent.
      await tidyUp().catch((error: Error) => log.error({ err: error }, 'housekeeping failed'))
      nextHousekeeping = now + HOUSEKEEPING_MS
    }
    const rows = await unpublished(client, schema, [...refused.keys()])
    if (rows.length > 0) await sendAndMark(rows)
    onProgress()
    say(refused.size === 0 ? { ok: true, detail: 'relaying' } : { ok: false, detail: `${refused.size} keys are refused` })
    if (rows.length === 0) await wake.wait(POLL_MS, signal)
  }

  async function tidyUp(): Promise<void> {
    await housekeep(client, schema)
    await transport.sweep()
  }

  async function sendAndMark(rows: readonly OutboxRow[]): Promise<void> {
    try {
      faultPoint('relay.before_send')
      await within(SEND_DEADLINE_MS, 'sending', transport.send(rows.map((row) => toRecord(row, schema))))
    } catch (error) {
      if (!(error instanceof RecordsRefused)) throw error
      const byKey = [...Map.groupBy(rows, keyOf)]
      const [only, ...more] = byKey
      if (only && more.length === 0) {
        log.error({ topic: rows[0]?.topic, err: error }, 'refused; the key waits')
        refused.set(only[0], performance.now() + REFUSED_RETRY_MS)
        return
      }
      for (const [, ofKey] of byKey) await sendAndMark(ofKey)
      return
    }
    faultPoint('relay.after_ack')
    await markPublished(client, schema, rows)
    faultPoint('relay.after_mark')
  }
}

async function takeLock(client: pg.Client, schema: string): Promise<boolean> {
  const { rows } = await client.query<{ got: boolean }>(`SELECT pg_try_advisory_lock(hashtext('relay'), hashtext($1)) AS got`, [schema])
  return rows[0]?.got ?? false
}
