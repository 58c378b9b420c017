/** What is owed to the far side beside what the feed says: changes that did not get through, and last words that may have been overtaken. */
import { sql } from 'drizzle-orm'
import { bigint, boolean, index, integer, pgTable, primaryKey, smallint, text } from 'drizzle-orm/pg-core'
import { at } from './columns.ts'

/** What earlier runs left to do: whatever ended other than accepted (C3), and removals that may not wait. */
export const todo = pgTable(
  'todo',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    /** privacy | rejected | failed | dissolved | in_flight | unknown | too_small | normaliser */
    reason: text('reason').notNull(),
    attempts: smallint('attempts').notNull().default(0),
    notBefore: at('not_before').notNull().defaultNow(),
    /** The run that left it. */
    runNo: bigint('run_no', { mode: 'number' }),
  },
  (t) => [
    primaryKey({ columns: [t.audienceNo, t.customerNo] }),
    // Who waits for a call to end, among all that is left to do.
    index('todo_waiting').on(t.audienceNo).where(sql`reason IN ('in_flight', 'normaliser')`),
  ],
)

/**
 * Whose last word has to be said again: the platform may have applied an earlier call after it (SYNC.md C4, C16). A row is left by
 * the commit that records the word, and goes when it was repeated, or when there is a newer word.
 */
export const sayAgain = pgTable(
  'say_again',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    dueAt: at('due_at').notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    /** Repetitions to come. */
    times: smallint('times').notNull(),
    /** No call up to this one may be open: an earlier one that named the person, or somebody else's removal that shares an identifier (C2). */
    afterBatch: bigint('after_batch', { mode: 'number' }),
    /** An earlier addition may outlast the removal that came before the last word: that is said again as well. */
    bothHalves: boolean('both_halves').notNull().default(false),
  },
  (t) => [primaryKey({ columns: [t.audienceNo, t.customerNo] }), index('say_again_due').on(t.destinationNo, t.dueAt)],
)
