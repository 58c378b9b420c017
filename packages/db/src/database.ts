/**
 * The one way to Postgres. A `Database` is a pool of one service's role; work runs in a transaction that knows its tenant,
 * so that forced row-level security (RELIABILITY.md §3.5) shows that tenant's rows and no others.
 *
 * `tenant(id, fn)` for requests and handlers of one tenant; `tx(fn)` for workers whose role has a policy of its own
 * (relay, scheduler, connectors). Whole transactions are retried on serialisation failure and deadlock, nothing else:
 * a lost COMMIT answer is unknown and is the caller's to look up again (F7).
 */
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import pg from 'pg'

export type Tx = pg.PoolClient

const undos = new WeakMap<Tx, (() => void)[]>()

/** What `fn` took out of memory for this transaction goes back before it is tried again, or given up. Called in the reverse order. */
export function onRollback(tx: Tx, undo: () => void): void {
  undos.get(tx)?.push(undo)
}

export interface Database {
  readonly pool: pg.Pool
  /** Runs `fn` in a transaction that sees the rows of this tenant (a UUID). */
  tenant<T>(tenantId: string, fn: (tx: Tx) => Promise<T>): Promise<T>
  /** Runs `fn` in a transaction without a tenant: only rows that the role's own policies show. */
  tx<T>(fn: (tx: Tx) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface DatabaseOptions {
  readonly url: string
  /** Shown in pg_stat_activity. */
  readonly name: string
  /** Connections at most; the default leaves room for ten services on one small server. */
  readonly max?: number
  /** How long somebody waits for a connection, a free one or a new one; 3 s unless given. */
  readonly connectTimeoutMs?: number
}

const CONNECT_TIMEOUT_MS = 3_000 // F7: a request fails before its own 10 s deadline
const STATEMENT_TIMEOUT_MS = 30_000 // bulk merges of 10,000 rows included; transactions stay bounded by the next line
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 15_000 // R2: an idle writer would hold the change feed's horizon
const LOCK_TIMEOUT_MS = 5_000 // longer than any batch holds a customer row, shorter than a request
const TRANSACTION_TIMEOUT_MS = 60_000 // Postgres 17+: nothing may hold the horizon longer
const RETRYABLE = new Set(['40001', '40P01']) // serialisation failure, deadlock
const MAX_TRIES = 5 // each deadlock frees one side, so five is far beyond what collides here

// int8 comes back as a string by default; our bigints (surrogate numbers, counts) stay far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

export function openDatabase({ url, name, max = 10, connectTimeoutMs = CONNECT_TIMEOUT_MS }: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: name,
    max,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    options: `-c transaction_timeout=${TRANSACTION_TIMEOUT_MS} -c jit=off`,
  })
  pool.on('error', () => {}) // an idle connection died with its server; the next query gets a fresh one or says so
  const run = <T>(tenantId: string, fn: (tx: Tx) => Promise<T>) => retried(() => transaction(pool, tenantId, fn))
  return { pool, tenant: run, tx: (fn) => run('', fn), close: () => pool.end() }
}

async function transaction<T>(pool: pg.Pool, tenantId: string, fn: (tx: Tx) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  const onError = (error: Error) => {
    broken = error
  }
  client.on('error', onError)
  try {
    return await transactionOn(client, tenantId, fn, onError)
  } finally {
    client.removeListener('error', onError)
    client.release(broken)
  }
}

/** A transaction on a connection that the caller holds and gives back; `onBroken`: it could not be rolled back, nobody may use it again. */
export async function transactionOn<T>(client: Tx, tenantId: string, fn: (tx: Tx) => Promise<T>, onBroken: (error: Error) => void): Promise<T> {
  try {
    await client.query('BEGIN')
    undos.set(client, [])
    // Local to the transaction: a session setting would leak to the connection's next user.
    await client.query(`SELECT set_config('app.tenant_id', $1, true)`, [tenantId])
    const result = await fn(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    for (const undo of undos.get(client)?.reverse() ?? []) undo()
    await client.query('ROLLBACK').catch(onBroken)
    throw error
  } finally {
    undos.delete(client)
  }
}

async function retried<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (tries >= MAX_TRIES || !RETRYABLE.has((error as { code?: string }).code ?? '')) throw error
    }
  }
}

/** Drizzle over an open transaction: typed queries against the service's own tables. */
export const orm = (tx: Tx): NodePgDatabase => drizzle(tx)
