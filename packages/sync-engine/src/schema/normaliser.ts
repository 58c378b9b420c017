/**
 * Which rules make keys of identifiers: a connector says at its start what it speaks with, and counts in shadow what others would
 * change (`worker/normaliser-report.ts`).
 */
import { sql } from 'drizzle-orm'
import { index, integer, jsonb, pgTable, smallint, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { at, identity } from './columns.ts'

/** Which normaliser each destination's connector speaks with, written at its start: what previews, plans and reports are made with. */
export const normaliserInForce = pgTable('normaliser_in_force', {
  destinationNo: smallint('destination_no').primaryKey(),
  version: smallint('version').notNull(),
  /** Beside it: newer ones in shadow, older ones to go back to. */
  others: smallint('others').array().notNull(),
  since: at('since').notNull().defaultNow(),
})

/** What another normaliser would change in an audience: asked for by `audiences`, counted by the connector without a call. Figures and shapes, nobody's identifiers. */
export const normaliserReport = pgTable(
  'normaliser_report',
  {
    no: identity('no').primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    audienceNo: integer('audience_no').notNull(),
    /** The one to look at, and the one that it was compared with. */
    version: smallint('version').notNull(),
    inForce: smallint('in_force'),
    /** People to look at, evenly chosen; null: everyone. */
    atMost: integer('at_most'),
    /** queued | running | done | failed */
    status: text('status').notNull().default('queued'),
    figures: jsonb('figures'),
    error: jsonb('error'),
    /** Whoever counts says so page by page; after that somebody else begins again. */
    claimedUntil: at('claimed_until'),
    requestedAt: at('requested_at').notNull().defaultNow(),
    finishedAt: at('finished_at'),
  },
  (t) => [
    index('normaliser_report_of_audience').on(t.audienceNo, t.no.desc()),
    uniqueIndex('one_open_normaliser_report').on(t.audienceNo, t.version).where(sql`status IN ('queued', 'running')`),
  ],
)
