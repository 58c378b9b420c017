/** What is kept to be shown, for a time (`housekeeping.ts`): every call to a platform, sizes and statuses. */
import { bigint, index, integer, jsonb, pgTable, smallint, text, uuid } from 'drizzle-orm/pg-core'
import { at, identity } from './columns.ts'

/** Every call to a platform, identifiers masked, kept 90 days. */
export const call = pgTable(
  'call',
  {
    no: identity('no').primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    audienceNo: integer('audience_no').notNull(),
    runNo: bigint('run_no', { mode: 'number' }),
    batchNo: bigint('batch_no', { mode: 'number' }),
    method: text('method').notNull(),
    path: text('path').notNull(),
    /** null: no answer came. */
    status: smallint('status'),
    durationMs: integer('duration_ms').notNull(),
    request: jsonb('request'),
    response: jsonb('response'),
    platformRequestId: text('platform_request_id'),
    traceId: text('trace_id'),
    startedAt: at('started_at').notNull(),
  },
  (t) => [index('call_of_run').on(t.runNo, t.no), index('call_by_time').on(t.startedAt)],
)

/** Sizes and statuses over time, one row per change: what the history shows. Kept 400 days. */
export const history = pgTable(
  'history',
  {
    no: identity('no').primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    audienceNo: integer('audience_no').notNull(),
    at: at('at').notNull().defaultNow(),
    kind: text('kind').notNull(),
    data: jsonb('data').notNull(),
  },
  (t) => [index('history_of_audience').on(t.audienceNo, t.no), index('history_by_time').on(t.at)],
)
