/**
 * Positions in the committed order of changes (DESIGN.md R2): `(xid, seq)`, readable below the oldest transaction that still
 * runs. Sequence values alone would lose rows, because they are taken before commit. Every answer of the feed is one statement, so
 * that its rows, its horizon and its epoch are of one snapshot.
 */
import type { Horizon } from '@audience-sync/contracts/internal/feed'
import type { Tx } from '@audience-sync/db/database'

/** Everything below transaction `xid` has been read; sequences begin at 1. */
export const positionBelow = (xid: string): string => `${xid}:0`

export interface HorizonColumns {
  readonly epoch: string
  readonly xmin: string
  readonly xmax: string
  readonly oldest: string
  /** False: this is not the database in which the epoch began (SYNC.md C8). */
  readonly at_home: boolean
}

/** To be the first table expression of a statement of the feed. */
export const HORIZON = `h AS MATERIALIZED (
  SELECT e.id::text AS epoch, pg_snapshot_xmin(s)::text AS xmin, pg_snapshot_xmax(s)::text AS xmax, e.oldest_xid || ':' || e.oldest_seq AS oldest, e.cluster = feed_home() AS at_home
  FROM feed_epoch e, pg_current_snapshot() s)`

/**
 * A join that looks each row up by its key. `OFFSET 0` keeps the planner from turning it round: right after a large load it
 * knows nothing of the table, and what it then makes of a plain join takes minutes instead of milliseconds.
 */
export const LOOKUP = (table: string, as: string, key: string) => `LATERAL (SELECT * FROM ${table} WHERE ${key} OFFSET 0) AS ${as} ON true`

/**
 * A page is read in the order of an index and costs what it holds. Without statistics (right after a large load) the planner
 * would rather read all that is left and sort it, for each page anew.
 */
const IN_INDEX_ORDER = 'SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off'

/** Runs a statement that begins with `WITH ${HORIZON}` and answers one row with its columns; begins a new epoch where one is due. */
export async function readFeed<R extends object>(tx: Tx, sql: string, values: readonly unknown[]): Promise<R & HorizonColumns> {
  await tx.query(IN_INDEX_ORDER)
  for (;;) {
    const { rows } = await tx.query<R & HorizonColumns>(sql, [...values])
    const [row] = rows
    if (!row) throw new Error('A statement of the feed answered nothing.')
    if (row.at_home) return row
    await tx.query('SELECT renew_epoch()')
  }
}

export const horizonOf = ({ epoch, xmin, xmax, oldest }: HorizonColumns): Horizon => ({ epoch, xmin, xmax, oldest })

/** The horizon alone: for a run that must not miss its cause (SYNC.md C5). */
export const readHorizon = async (tx: Tx): Promise<Horizon> => horizonOf(await readFeed(tx, `WITH ${HORIZON} SELECT * FROM h`, []))
