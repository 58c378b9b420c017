/**
 * A lock that one process at a time holds on one thing, and that dies with its connection: no time to live that a slow holder
 * could outlive. It is Postgres's advisory lock of a session, not a row lock, because it is held during a call to a platform:
 * an open transaction of that length would hold back every reader of committed changes (DESIGN.md R2).
 */
import { createHash } from 'node:crypto'
import { type Database, type Tx, transactionOn } from '@audience-sync/db/database'

const LOCK_NOT_AVAILABLE = '55P03'

export interface LockSession {
  /** A transaction of that tenant on the connection that holds the lock; needs no other from the pool. */
  tenant<T>(tenantId: string, fn: (tx: Tx) => Promise<T>): Promise<T>
}

/** Runs `fn` alone, or answers `busy` when the lock was not to be had within `waitMs`. */
export async function alone<T>(db: Database, name: string, waitMs: number, fn: (session: LockSession) => Promise<T>): Promise<T | 'busy'> {
  const key = createHash('sha256').update(name).digest().readBigInt64BE(0).toString()
  const client = await db.pool.connect()
  let failure: Error | undefined
  const onError = (error: Error) => {
    failure = error
  }
  client.on('error', onError)
  try {
    if (!(await take(client, key, waitMs))) return 'busy'
    try {
      return await fn({ tenant: (tenantId, work) => transactionOn(client, tenantId, work, onError) })
    } finally {
      await client.query('SELECT pg_advisory_unlock($1)', [key]).catch(onError)
    }
  } finally {
    client.removeListener('error', onError)
    client.release(failure) // a broken connection is closed, and the lock with it
  }
}

async function take(client: Tx, key: string, waitMs: number): Promise<boolean> {
  await client.query('BEGIN')
  try {
    await client.query(`SELECT set_config('lock_timeout', $1, true)`, [`${waitMs}ms`])
    await client.query('SELECT pg_advisory_lock($1)', [key]) // of the session: it outlives this transaction
    await client.query('COMMIT')
    return true
  } catch (error) {
    await client.query('ROLLBACK')
    if ((error as { code?: string }).code === LOCK_NOT_AVAILABLE) return false
    throw error
  }
}
