/**
 * One writer per audience (S-6). A lease is taken on the database's clock and renewed while work goes on; its epoch is in the
 * fence that every transaction of the holder begins with, so whoever was overtaken writes nothing any more. The fence also
 * tells what `audiences` wishes meanwhile: a worker looks at each commit (SYNC.md C15).
 */
import type { Tx } from '@audience-sync/db/database'
import { nextInLine } from '../store/line.ts'
import type { Engine } from './engine.ts'

/** The lease is gone: stop at once, the successor goes on. */
export class Fenced extends Error {
  override readonly name = 'Fenced'
}

export interface Wishes {
  readonly cancel: boolean
  readonly pause: boolean
  readonly remove: boolean
  /** Somebody may not be there any more: that goes first (R7). */
  readonly privacy: boolean
}

export interface Lease {
  readonly audienceNo: number
  readonly tenantId: string
  readonly epoch: number
  /** Aborts when the lease is lost or the process stops. */
  readonly signal: AbortSignal
  /** A transaction that commits only while the lease is held. `runNo`: whose cancellation to look for. */
  fenced<T>(runNo: number | null, fn: (tx: Tx, wishes: Wishes) => Promise<T>): Promise<T>
  /** Makes sure that the whole lease is left, before a call. Throws `Fenced`. */
  extend(): Promise<void>
  release(): Promise<void>
}

/** The first in line whom nobody else takes at this moment. */
export async function claim(engine: Engine, stopping: AbortSignal): Promise<Lease | undefined> {
  const { db, owner, options } = engine
  const line = await nextInLine(engine)
  if (line.length === 0) return undefined
  const { rows } = await db.pool.query<{ no: number; tenant_id: string; lease_epoch: number }>(
    `WITH picked AS (
       SELECT no FROM audience WHERE no = ANY($1) AND (lease_until IS NULL OR lease_until < now()) ORDER BY array_position($1, no) LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
     )
     UPDATE audience a SET lease_owner = $2, lease_epoch = a.lease_epoch + 1, lease_until = now() + $3 * interval '1 millisecond'
     FROM picked WHERE a.no = picked.no RETURNING a.no, a.tenant_id, a.lease_epoch`,
    [line, owner, options.leaseMs],
  )
  const [row] = rows
  return row && holdLease(engine, row.no, row.tenant_id, row.lease_epoch, stopping)
}

function holdLease(engine: Engine, audienceNo: number, tenantId: string, epoch: number, stopping: AbortSignal): Lease {
  const { db, owner, options, log } = engine
  const lost = new AbortController()
  const signal = AbortSignal.any([lost.signal, stopping])

  const extend = async () => {
    const { rowCount } = await db.pool.query(
      `UPDATE audience SET lease_until = now() + $4 * interval '1 millisecond' WHERE no = $1 AND lease_owner = $2 AND lease_epoch = $3`,
      [audienceNo, owner, epoch, options.leaseMs],
    )
    if (rowCount === 1) return
    const error = new Fenced(`The lease of audience ${audienceNo} was taken over.`)
    lost.abort(error)
    throw error
  }
  const timer = setInterval(() => {
    extend().catch((error: Error) => log.warn({ err: error, audienceNo }, 'lease not renewed'))
  }, options.leaseMs / 3)

  return {
    audienceNo,
    tenantId,
    epoch,
    signal,
    extend,
    fenced: (runNo, fn) =>
      db.tenant(tenantId, async (tx) => {
        const { rows } = await tx.query<Wishes>(
          `SELECT a.paused_at IS NOT NULL AS pause, a.delete_requested_at IS NOT NULL AS remove,
             EXISTS (SELECT FROM run WHERE no = $4 AND cancel_requested_at IS NOT NULL) AS cancel,
             EXISTS (SELECT FROM run WHERE audience_no = $1 AND trigger = 'privacy' AND status IN ('queued', 'running', 'waiting')
               AND (not_before IS NULL OR not_before <= now())) AS privacy
           FROM audience a WHERE no = $1 AND lease_owner = $2 AND lease_epoch = $3 FOR NO KEY UPDATE`,
          [audienceNo, owner, epoch, runNo],
        )
        if (!rows[0]) throw new Fenced(`The lease of audience ${audienceNo} was taken over.`)
        return fn(tx, rows[0])
      }),
    async release() {
      clearInterval(timer)
      await db.pool.query('UPDATE audience SET lease_owner = NULL, lease_until = NULL WHERE no = $1 AND lease_owner = $2 AND lease_epoch = $3', [
        audienceNo,
        owner,
        epoch,
      ])
    },
  }
}
