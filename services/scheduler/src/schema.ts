/** What the scheduler knows of each audience, as audiences told it, and the slots that were fired. */

import type { Schedule } from '@audience-sync/contracts/schedule'
import { sql } from 'drizzle-orm'
import { bigint, boolean, index, jsonb, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core'

/** One per audience. Those of deleted audiences stay, so that older news of them changes nothing. */
export const schedule = pgTable(
  'schedule',
  {
    audienceId: uuid('audience_id').primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    destination: text('destination').notNull(),
    schedule: jsonb('schedule').$type<Schedule>().notNull(),
    /** Neither paused nor deleted. */
    active: boolean('active').notNull(),
    /** Of the audience, as of what is stored: smaller ones are old news. */
    version: bigint('version', { mode: 'number' }).notNull(),
    /** null: time does not drive it. */
    nextAt: timestamp('next_at', { withTimezone: true }),
  },
  (t) => [
    // The clock's only question: WHERE next_at <= now() ORDER BY next_at.
    index('schedule_due').on(t.nextAt).where(sql`next_at IS NOT NULL`),
  ],
)

/** A slot that is here has been fired: the key lets nobody fire it again (RELIABILITY.md F18). */
export const slot = pgTable(
  'slot',
  {
    audienceId: uuid('audience_id').notNull(),
    slotUtc: timestamp('slot_utc', { withTimezone: true }).notNull(),
    tenantId: uuid('tenant_id').notNull(),
    firedAt: timestamp('fired_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.audienceId, t.slotUtc] })],
)
