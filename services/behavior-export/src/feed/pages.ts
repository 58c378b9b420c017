/** The pages that the other half reads: changes in committed order, members in order of their number, rows of certain customers. No personal data. */
import type { PositionParts } from '@audience-sync/contracts/internal/position'
import type { Tx } from '@audience-sync/db/database'
import { HORIZON, horizonOf, LOOKUP, positionBelow, readFeed } from './horizon.ts'
import { FEED_ROW, ROW_COLUMNS, WITHHELD_GROUPS } from './row.ts'

interface Page {
  /** JSON rows, comma-separated; null: none. */
  readonly rows: string | null
  readonly count: number
}

const json = (fields: Record<string, unknown>, rows: string | null) => `${JSON.stringify(fields).slice(0, -1)},"rows":[${rows ?? ''}]}`

export interface ChangesQuery {
  readonly after: PositionParts
  /** Read below this transaction only; undefined: as far as possible. */
  readonly below: string | undefined
  readonly limit: number
}

/** How customers stand in a behavior, in this snapshot: a row for each of `from`, which has `customer_no`. */
const AS_NOW = (from: string) => `(
  SELECT f.*, coalesce(m.member, false) AS member, ${ROW_COLUMNS('c')}
  FROM ${from} AS f
  LEFT JOIN ${LOOKUP('membership', 'm', 'behavior_no = $1 AND customer_no = f.customer_no')} LEFT JOIN ${LOOKUP('customer', 'c', 'no = m.customer_no')})`

/**
 * A `ChangesPage` as JSON text: one row for each customer who changed within the page.
 *
 * The log says who changed, the row how they stand. It could not be otherwise: `(xid, seq)` is the order in which transactions began
 * to write, and one that began first may have waited for a customer's lock and written after one that began later.
 */
export async function changesPage(tx: Tx, behaviorNo: number, { after, below, limit }: ChangesQuery): Promise<string> {
  const page = await readFeed<Page & { read: number; last: string | null; bound: string; reached: boolean }>(
    tx,
    `WITH ${HORIZON}, bound AS MATERIALIZED (SELECT least(coalesce($4::xid8, xmin::xid8), xmin::xid8) AS xid FROM h),
     page AS MATERIALIZED (
       SELECT customer_no, xid, seq FROM change_log
       WHERE behavior_no = $1 AND (xid, seq) > ($2::xid8, $3::bigint) AND xid < (SELECT xid FROM bound) ORDER BY xid, seq LIMIT $5),
     newest AS MATERIALIZED (SELECT DISTINCT ON (customer_no) * FROM page ORDER BY customer_no, xid DESC, seq DESC)
     SELECT h.*, bound.xid::text AS bound, coalesce($4::xid8 <= h.xmin::xid8, true) AS reached, (SELECT count(*) FROM page)::int AS read,
       (SELECT xid || ':' || seq FROM page ORDER BY xid DESC, seq DESC LIMIT 1) AS last,
       (SELECT count(*) FROM newest)::int AS count, (SELECT string_agg(${FEED_ROW('r')}, ',' ORDER BY xid, seq) FROM ${AS_NOW('newest')} AS r) AS rows
     FROM h, bound`,
    [behaviorNo, after.xid, after.seq, below ?? null, limit],
  )
  const drained = page.read < limit
  // Below a bound everything was read, and a reader of a quiet behavior moves on all the same. Never backwards: `below` may lie before `after`.
  const end = BigInt(page.bound) > BigInt(after.xid) ? positionBelow(page.bound) : `${after.xid}:${after.seq}`
  const next = drained ? end : (page.last ?? end)
  return json({ horizon: horizonOf(page), next, done: drained && page.reached, count: page.count }, page.rows)
}

/** A `MembersPage` as JSON text. */
export async function membersPage(tx: Tx, behaviorNo: number, afterCustomer: number, limit: number): Promise<string> {
  const page = await readFeed<Page & { last: number | null }>(
    tx,
    `WITH ${HORIZON}, page AS MATERIALIZED (
       SELECT m.customer_no, m.member, ${ROW_COLUMNS('c')}
       FROM (SELECT customer_no, member FROM membership WHERE behavior_no = $1 AND customer_no > $2 ORDER BY behavior_no, customer_no LIMIT $3) AS m
       LEFT JOIN ${LOOKUP('customer', 'c', 'no = m.customer_no')})
     SELECT h.*, (SELECT count(*) FROM page)::int AS count, (SELECT max(customer_no) FROM page) AS last,
       (SELECT string_agg(${FEED_ROW('page')}, ',' ORDER BY customer_no) FROM page) AS rows FROM h`,
    [behaviorNo, afterCustomer, limit],
  )
  const fields = { start: positionBelow(page.xmin), nextCustomer: page.last ?? afterCustomer, done: page.count < limit, count: page.count }
  return json({ horizon: horizonOf(page), ...fields }, page.rows)
}

/** A `RowsAnswer` as JSON text: one row per number asked for, in that order. */
export async function rowsAnswer(tx: Tx, behaviorNo: number, customers: readonly number[]): Promise<string> {
  const { rows } = await tx.query<Page>(
    `WITH asked AS (SELECT * FROM unnest($2::bigint[]) WITH ORDINALITY AS a(customer_no, at))
     SELECT count(*)::int AS count, string_agg(${FEED_ROW('r')}, ',' ORDER BY at) AS rows FROM ${AS_NOW('asked')} AS r`,
    [behaviorNo, customers],
  )
  return json({ count: rows[0]?.count ?? 0 }, rows[0]?.rows ?? null)
}

/**
 * People who are members, may be sent for a purpose (bit) and have one of the groups (bits) of which something is left that may be
 * sent, whoever else carries it (SYNC.md C2). Stops counting at `atMost`.
 */
export async function countEligible(
  tx: Tx,
  behaviorNo: number,
  purpose: number,
  groups: number,
  atMost: number | null,
): Promise<{ members: number; eligible: number }> {
  const { rows } = await tx.query<{ members: number; eligible: number }>(
    `SELECT (SELECT count(*) FROM (SELECT FROM membership WHERE behavior_no = $1 AND member LIMIT $4) AS m)::int AS members,
       (SELECT count(*) FROM (
          SELECT FROM membership m JOIN ${LOOKUP('customer', 'c', 'no = m.customer_no')}
          WHERE m.behavior_no = $1 AND m.member AND c.purposes & $2::smallint <> 0 AND c.groups & $3::smallint <> 0
            AND CASE WHEN c.withheld = '' THEN true ELSE c.groups & $3::smallint & ~${WITHHELD_GROUPS('c', '$2::smallint')} <> 0 END LIMIT $4) AS e)::int AS eligible`,
    [behaviorNo, purpose, groups, atMost],
  )
  return rows[0] ?? { members: 0, eligible: 0 }
}
