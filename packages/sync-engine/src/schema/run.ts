/** A run: queued by a wish, claimed with its audience's lease, counted, held or acted upon, accepted, and completed once all is applied. */
import { sql } from 'drizzle-orm'
import { boolean, index, integer, jsonb, pgTable, smallint, text, unique, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { audience } from './audience.ts'
import { at, identity } from './columns.ts'

/** One sync of one audience. Counts are not stored: they are sums over its batches, so they cannot disagree with them. */
export const run = pgTable(
  'run',
  {
    no: identity('no').primaryKey(),
    id: uuid('id').notNull().unique(),
    tenantId: uuid('tenant_id').notNull(),
    audienceNo: integer('audience_no')
      .notNull()
      .references(() => audience.no),
    destination: text('destination').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    /** created | api | schedule | realtime | retry | plan | heal | privacy */
    trigger: text('trigger').notNull(),
    /** incremental | full. A run that had to become full says so here. */
    mode: text('mode').notNull(),
    status: text('status').notNull().default('queued'),
    /** Frozen when the run is claimed (C9). */
    configVersion: integer('config_version'),
    config: jsonb('config'),
    /** Planning and acting stop here: the feed's horizon that the run waited for (C5). */
    bound: text('bound'),
    /** Somebody wished for a run while this one, which applies a plan and nothing else, was queued: another follows it. */
    followUp: boolean('follow_up').notNull().default(false),
    /** When a waiting or debounced run may be claimed; null: at once. */
    notBefore: at('not_before'),
    waitReason: jsonb('wait_reason'),
    /** When it last had its turn at a scarce quota: its place in the line counts from then on. */
    gaveWayAt: at('gave_way_at'),
    cancelRequestedAt: at('cancel_requested_at'),
    /** Figures that were approved; a held run goes on against these (R6). */
    approval: jsonb('approval'),
    hold: jsonb('hold'),
    unchanged: integer('unchanged').notNull().default(0),
    suppressed: integer('suppressed').notNull().default(0),
    suppressedBy: jsonb('suppressed_by').notNull().default({}),
    /** Known once the plan has been counted; before that it grows. */
    expected: integer('expected'),
    apiCalls: integer('api_calls').notNull().default(0),
    attempts: integer('attempts').notNull().default(0),
    error: jsonb('error'),
    traceparent: text('traceparent'),
    requestedAt: at('requested_at').notNull().defaultNow(),
    startedAt: at('started_at'),
    acceptedAt: at('accepted_at'),
    finishedAt: at('finished_at'),
  },
  (t) => [
    unique('run_of_tenant').on(t.tenantId, t.id),
    // At most one live run and one queued; removals for privacy go beside them under the same lease (R7).
    uniqueIndex('one_live_run').on(t.audienceNo).where(sql`status IN ('running', 'waiting', 'held') AND trigger <> 'privacy'`),
    uniqueIndex('one_queued_run').on(t.audienceNo).where(sql`status = 'queued' AND trigger <> 'privacy'`),
    uniqueIndex('one_privacy_run').on(t.audienceNo).where(sql`status IN ('queued', 'running', 'waiting') AND trigger = 'privacy'`),
    // Claims: the few that are open, among all that ever were.
    index('run_open').on(t.destinationNo, t.notBefore).where(sql`status IN ('queued', 'running', 'waiting', 'applying')`),
    index('run_of_audience').on(t.audienceNo, t.no.desc()),
  ],
)
