/** Who was refused in a run, in pages: the reason, how often it was tried, and when it is tried again. */
import { Rejection } from '@audience-sync/contracts/rest/runs'
import type { Database, Tx } from '@audience-sync/db/database'
import { REJECTED_TRIES } from '@audience-sync/sync-engine/options'
import { z } from 'zod'
import type { Peers } from './peers.ts'
import { wordsOf } from './reasons.ts'

/** Behind whom a page begins: customer number and operation. */
export const After = z.tuple([z.int(), z.string()])
export type After = z.output<typeof After>

export interface RejectionRow {
  readonly customer_no: number
  readonly operation: string
  readonly code: string
  readonly platform: unknown
  readonly attempts: number
  readonly first_at: Date
  readonly last_at: Date
  readonly next_attempt: Date | null
}

export async function readRejections(tx: Tx, runNo: number, code: string | undefined, after: After | undefined, limit: number): Promise<RejectionRow[]> {
  const { rows } = await tx.query<RejectionRow>(
    `SELECT r.customer_no, r.operation, r.code, r.platform, r.attempts, r.first_at, r.last_at,
       CASE WHEN t.not_before < 'infinity' THEN greatest(t.not_before, now()) END AS next_attempt
     FROM rejection r LEFT JOIN todo t ON t.audience_no = r.audience_no AND t.customer_no = r.customer_no
     WHERE r.run_no = $1 AND ($2::text IS NULL OR r.code = $2) AND ($3::bigint IS NULL OR (r.customer_no, r.operation) > ($3, $4::text))
     ORDER BY r.customer_no, r.operation LIMIT $5`,
    [runNo, code ?? null, after?.[0] ?? null, after?.[1] ?? '', limit],
  )
  return rows
}

/** With the tenant's own ids. */
export async function rejectionsJson(peers: Peers, tenantId: string, rows: readonly RejectionRow[]): Promise<z.output<typeof Rejection>[]> {
  const names = await peers.customerIds(tenantId, [...new Set(rows.map(({ customer_no }) => customer_no))])
  return rows.map(({ customer_no, operation, code, platform, attempts, first_at, last_at, next_attempt }) => ({
    customerId: names.get(customer_no) ?? null,
    operation,
    ...wordsOf(code),
    ...(platform != null && { platform }),
    attempts,
    attemptsAtMost: REJECTED_TRIES,
    nextAttempt: next_attempt?.toISOString() ?? null,
    firstAt: first_at.toISOString(),
    lastAt: last_at.toISOString(),
  }))
}

const EXPORT_PAGE = 1_000 // each page asks for the tenant's ids of so many

/** All of them, a JSON document a line. Memory is bounded by a page. */
export async function* exportRejections(
  { db, peers }: { readonly db: Database; readonly peers: Peers },
  tenantId: string,
  runNo: number,
  code: string | undefined,
): AsyncGenerator<string> {
  for (let after: After | undefined; ; ) {
    const rows = await db.tenant(tenantId, (tx) => readRejections(tx, runNo, code, after, EXPORT_PAGE))
    if (rows.length > 0) yield (await rejectionsJson(peers, tenantId, rows)).map((row) => `${JSON.stringify(Rejection.parse(row))}\n`).join('')
    const last = rows.at(-1)
    if (!last || rows.length < EXPORT_PAGE) return
    after = [last.customer_no, last.operation]
  }
}
