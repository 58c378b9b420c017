/** The suppression log, of all tenants, in committed order (SYNC.md C10). Runs in a transaction without a tenant: a policy shows it there, and nothing else. */

import type { SuppressionsPage } from '@audience-sync/contracts/internal/feed'
import type { PositionParts } from '@audience-sync/contracts/internal/position'
import type { SuppressionReason } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import { HORIZON, horizonOf, positionBelow, readFeed } from './horizon.ts'

interface Row {
  readonly tenant_id: string
  readonly customer_no: number
  readonly purposes: number
  readonly reason: SuppressionReason
  readonly at: string
}

export async function suppressionsPage(tx: Tx, after: PositionParts, limit: number): Promise<SuppressionsPage> {
  const page = await readFeed<{ rows: Row[] | null }>(
    tx,
    `WITH ${HORIZON}, page AS (
       SELECT tenant_id, customer_no, purposes, reason, xid || ':' || seq AS at FROM suppression_log
       WHERE (xid, seq) > ($1::xid8, $2::bigint) AND xid < (SELECT xmin::xid8 FROM h) ORDER BY xid, seq LIMIT $3)
     SELECT h.*, (SELECT json_agg(page) FROM page) AS rows FROM h`,
    [after.xid, after.seq, limit],
  )
  const rows = (page.rows ?? []).map((row) => ({
    tenantId: row.tenant_id,
    customerNo: row.customer_no,
    purposes: row.purposes,
    reason: row.reason,
    at: row.at,
  }))
  const done = rows.length < limit
  const end = BigInt(page.xmin) > BigInt(after.xid) ? positionBelow(page.xmin) : `${after.xid}:${after.seq}`
  // This log is kept whole, so that a reader of a new epoch can begin again.
  return { horizon: { ...horizonOf(page), oldest: '0:0' }, rows, next: done ? end : (rows.at(-1)?.at ?? end), done, count: rows.length }
}
