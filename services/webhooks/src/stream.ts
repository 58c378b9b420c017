/**
 * A tenant's events as they come, as server-sent events: the same as webhooks, for whoever keeps a connection open. Read from the
 * table, in positions below the oldest running transaction: whoever comes back with the last id that he saw misses nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'

export const STREAM_MS = 3_600_000 // readers come back by themselves, to another pod perhaps
const POLL_MS = 500
const HEARTBEAT_MS = 10_000 // proxies on the way close what is silent for a minute, some sooner
const PAGE = 100
const PRIVATE = 'webhook_endpoint.test' // meant for one endpoint

/** After the event at this place; `seq` 0: at the beginning of that transaction. */
export interface Position {
  readonly xid: string
  readonly seq: number
}

interface EventRow extends Position {
  readonly type: string
  readonly body: string
}

const POSITION = /^(\d{1,19})-(\d{1,15})$/

/** Of a header `Last-Event-ID`. */
export function positionOf(id: string): Position {
  const [, xid, seq] = POSITION.exec(id) ?? []
  if (xid === undefined || seq === undefined) {
    throw new AppError('validation_failed', 'Last-Event-ID is not one of this stream.', {
      extra: { errors: [{ in: 'header', path: 'last-event-id', message: 'not an id of this stream' }] },
    })
  }
  return { xid, seq: Number(seq) }
}

export interface StreamOptions {
  readonly tenantId: string
  /** Left out: what comes from now on. */
  readonly after?: Position | undefined
  /** Left out: all types. */
  readonly types?: readonly string[] | undefined
  /** Ends the stream: the reader is gone, or the service stops. */
  readonly signal: AbortSignal
  readonly pollMs?: number
}

/** Text to send. */
export async function* streamEvents(db: Database, { tenantId, after, types, signal, pollMs = POLL_MS }: StreamOptions): AsyncGenerator<string> {
  const end = performance.now() + STREAM_MS
  let position = after ?? (await now(db, tenantId))
  let toldAt = performance.now()
  // With an id at once: whoever loses the connection before the first event comes back to here.
  yield message(position, 'ready', '{}')
  while (!signal.aborted && performance.now() < end) {
    const rows = await read(db, tenantId, position)
    for (const row of rows) {
      position = { xid: row.xid, seq: row.seq }
      if (row.type === PRIVATE || (types && !types.includes(row.type))) continue
      yield message(position, row.type, row.body)
      toldAt = performance.now()
    }
    if (rows.length === PAGE) continue
    if (performance.now() - toldAt >= HEARTBEAT_MS) {
      yield ': nothing new\n\n'
      toldAt = performance.now()
    }
    await sleep(pollMs, undefined, { signal }).catch(() => {})
  }
}

const message = ({ xid, seq }: Position, type: string, data: string) => `id: ${xid}-${seq}\nevent: ${type}\ndata: ${data}\n\n`

const now = (db: Database, tenantId: string): Promise<Position> =>
  db.tenant(tenantId, async (tx) => {
    const { rows } = await tx.query<{ xid: string }>('SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xid')
    return { xid: rows[0]?.xid ?? '0', seq: 0 }
  })

const read = (db: Database, tenantId: string, { xid, seq }: Position): Promise<EventRow[]> =>
  db.tenant(tenantId, async (tx) => {
    const { rows } = await tx.query<EventRow>(
      `SELECT xid::text AS xid, seq, type, body FROM event
       WHERE tenant_id = $1 AND (xid, seq) > ($2::xid8, $3::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot())
       ORDER BY event.xid, seq LIMIT ${PAGE}`,
      [tenantId, xid, seq],
    )
    return rows
  })
