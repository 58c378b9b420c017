/** What a platform lets us call: a worker locks the row before a call, books what it costs, and writes what the platform said (`store/limiter.ts`). */
import { boolean, doublePrecision, jsonb, pgTable, primaryKey, smallint, text } from 'drizzle-orm/pg-core'
import { at } from './columns.ts'

/** One bucket per quota the platform really has, shared by all pods (R5). */
export const quota = pgTable(
  'quota',
  {
    destinationNo: smallint('destination_no').notNull(),
    quota: text('quota').notNull(),
    /** The account's external id, '' for the installation, or a tenant's UUID: what it has out of the installation's. */
    scope: text('scope').notNull(),
    capacity: doublePrecision('capacity').notNull(),
    /** Points that are out, and when they come back: `Spent` of pure/pace.ts. */
    spent: jsonb('spent').notNull().default([]),
    /** The platform's own percentage, last heard. */
    percent: doublePrecision('percent'),
    /** That figure passed 80 % and has not been below 60 % since. */
    low: boolean('low').notNull().default(false),
    blockedUntil: at('blocked_until'),
    tier: text('tier'),
    /** End of the gap after the last call, where the quota is nearly used up. */
    pacedUntil: at('paced_until'),
  },
  (t) => [primaryKey({ columns: [t.destinationNo, t.quota, t.scope] })],
)
