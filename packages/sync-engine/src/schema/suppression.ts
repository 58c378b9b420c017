/**
 * Who may not be sent: read from behavior-export's suppression log, looked at before each call, and removed from wherever the ledger
 * holds them. What proves the removal outlives the ledger's row.
 */
import { bigint, index, integer, pgTable, primaryKey, smallint, text } from 'drizzle-orm/pg-core'
import { bytea } from './columns.ts'

/** Who may no longer be sent, as read from behavior-export's suppression log: a fetch from before `at` is void (C10). */
export const tombstone = pgTable(
  'tombstone',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    destinationNo: smallint('destination_no').notNull(),
    purposes: smallint('purposes').notNull(),
    /** Position in the suppression log, as two sortable numbers. */
    xid: bigint('xid', { mode: 'number' }).notNull(),
    seq: bigint('seq', { mode: 'number' }).notNull(),
  },
  (t) => [primaryKey({ columns: [t.destinationNo, t.customerNo] })],
)

/** Where each connector stands in the suppression log. */
export const suppressionCursor = pgTable('suppression_cursor', {
  destinationNo: smallint('destination_no').primaryKey(),
  epoch: text('epoch'),
  position: text('position').notNull().default('0:0'),
})

/**
 * Which calls removed whom for privacy: what proves it later, when the ledger has forgotten. Rows of other audiences than the batch's
 * are those that an account-wide call took along.
 */
export const privacyRemoval = pgTable(
  'privacy_removal',
  {
    batchNo: bigint('batch_no', { mode: 'number' }).notNull(),
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    /** Of the sealed ledger row that the call saw: unchanged since, its audience need not call again. null: the batch is the audience's own. */
    heldDigest: bytea('held_digest'),
  },
  (t) => [primaryKey({ columns: [t.batchNo, t.audienceNo, t.customerNo] }), index('privacy_removal_of_person').on(t.customerNo)],
)
