/**
 * The audit log's writer.
 *
 * Two ways in. Changes of keys and tenants call `append` in their own transaction: no change without its row. What is only
 * forwarded is recorded after its answer, in batches: `record` queues, a flush some milliseconds later writes one transaction
 * per tenant. So at most the last `FLUSH_MS` of forwarded requests lack their row after a kill -9 (their log lines are there).
 * While Postgres is away the queue is kept and tried again; when it is full, `room` holds further changes back and then refuses
 * them: better no change than one without a trace. `stop` flushes, and names in the log what it could not write.
 */
import type { Database, Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { Logger } from 'pino'
import { type AuditEvent, type AuditRow, chain, GENESIS } from './audit-chain.ts'

const FLUSH_MS = 100 // batches of some hundred rows under load, hardly a delay for a reader
const RETRY_MS = 1_000
const MAX_QUEUED = 20_000 // some 10 MB; minutes of changes at the default limits
const ROOM_WAIT_MS = 2_000 // then 503: the request's own deadline is 10 s
const MAX_BATCH = 1_000 // rows of one INSERT
const STOP_TRIES = 3

/** Chain of what cannot be told apart by tenant: failed logins with unknown credentials. */
export const INSTALLATION = '00000000-0000-0000-0000-000000000000'

export interface AuditLog {
  record(tenantId: string, event: Omit<AuditEvent, 'at'>): void
  /** Resolves once a change may go on; `service_unavailable` when the queue stays full. */
  room(): Promise<void>
  /** Writes what is queued now. */
  flush(): Promise<void>
  stop(): Promise<void>
}

/** Until `tx` ends, nobody else appends to the tenant's chain. */
export async function lockChain(tx: Tx, tenantId: string): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('audit_log ' || $1, 0))`, [tenantId])
}

/** Appends to the tenant's chain within `tx`, whose tenant it must be. Chains of one tenant are written one after another. */
export async function append(tx: Tx, tenantId: string, events: readonly AuditEvent[]): Promise<void> {
  await lockChain(tx, tenantId)
  const { rows } = await tx.query<{ seq: number; hash: Buffer }>('SELECT seq, hash FROM audit_log WHERE tenant_id = $1 ORDER BY seq DESC LIMIT 1', [tenantId])
  const added = chain(tenantId, rows[0] ?? { seq: 0, hash: GENESIS }, events)
  const columns = (of: (row: AuditRow) => unknown) => added.map(of)
  await tx.query(
    `INSERT INTO audit_log (tenant_id, seq, at, actor, action, target, result, status, request_id, previous_hash, hash)
     SELECT $1, t.* FROM unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::text[], $10::bytea[], $11::bytea[])
       AS t (seq, at, actor, action, target, result, status, request_id, previous_hash, hash) ORDER BY t.seq`,
    [
      tenantId,
      columns((row) => row.seq),
      columns((row) => row.at.toISOString()),
      columns((row) => row.actor),
      columns((row) => row.action),
      columns((row) => row.target),
      columns((row) => row.result),
      columns((row) => row.status),
      columns((row) => row.requestId),
      columns((row) => row.previousHash),
      columns((row) => row.hash),
    ],
  )
}

export function auditLog(db: Database, log: Logger, maxQueued = MAX_QUEUED): AuditLog {
  const queues = new Map<string, AuditEvent[]>()
  let queued = 0
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  const waiting = new Set<() => void>()

  async function writeAll(): Promise<void> {
    for (const [tenantId, events] of queues) {
      while (events.length > 0) {
        const batch = events.slice(0, MAX_BATCH)
        await db.tenant(tenantId, (tx) => append(tx, tenantId, batch))
        events.splice(0, batch.length)
        queued -= batch.length
        for (const wake of waiting) wake()
      }
      queues.delete(tenantId)
    }
  }

  /** One flush at a time: two would write the same batch twice. */
  function flush(): Promise<void> {
    running ??= writeAll().finally(() => {
      running = undefined
    })
    return running
  }

  function later(ms: number): void {
    timer ??= setTimeout(() => {
      timer = undefined
      flush().then(
        () => queued > 0 && later(FLUSH_MS),
        (error: { code?: string; name?: string }) => {
          log.error({ queued, code: error.code ?? error.name }, 'audit log cannot be written, trying again')
          later(RETRY_MS)
        },
      )
    }, ms)
  }

  return {
    record(tenantId, event) {
      const queue = queues.get(tenantId) ?? []
      queues.set(tenantId, queue)
      queue.push({ ...event, at: new Date() })
      queued += 1
      later(FLUSH_MS)
    },
    async room() {
      if (queued < maxQueued) return
      await new Promise<void>((done) => {
        const timeout = setTimeout(wake, ROOM_WAIT_MS)
        function wake() {
          clearTimeout(timeout)
          waiting.delete(wake)
          done()
        }
        waiting.add(wake)
      })
      if (queued >= maxQueued) throw new AppError('service_unavailable', 'The audit log cannot be written at the moment.', { retryAfterMs: 5_000 })
    },
    flush,
    async stop() {
      clearTimeout(timer)
      for (let tries = 0; queued > 0 && tries < STOP_TRIES; tries += 1) await flush().catch(() => {})
      for (const [tenantId, events] of queues) for (const event of events) log.error({ tenantId, ...event }, 'audit entry could not be written')
    },
  }
}
