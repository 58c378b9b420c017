/**
 * Calls to a platform: stored before they are sent (S-4), sent again from the sealed payload while the outcome is unknown (S-5),
 * looked after until the platform has applied them. Whom a call did not take is a rejection.
 */
import { sql } from 'drizzle-orm'
import { bigint, boolean, index, integer, jsonb, pgTable, primaryKey, smallint, text, uuid } from 'drizzle-orm/pg-core'
import { at, bytea, identity } from './columns.ts'
import { run } from './run.ts'

/**
 * One API call's worth of changes. Its state is that of the people it names in the ledger: when a call ends, this one row is
 * updated, not one per member.
 *
 * planned → sending → accepted → applied, or: unknown (sent, no answer: the same bytes go again) · rejected (refused as a whole,
 * by the platform) · failed (the run ended before it was taken) · cancelled · split (into two others) · dissolved (never taken;
 * its people are fetched anew) · abandoned (unknown for good: somebody in it may not be sent again, SYNC.md C11).
 */
export const batch = pgTable(
  'batch',
  {
    no: identity('no').primaryKey(),
    id: uuid('id').notNull().unique(),
    tenantId: uuid('tenant_id').notNull(),
    runNo: bigint('run_no', { mode: 'number' })
      .notNull()
      .references(() => run.no),
    audienceNo: integer('audience_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    generation: smallint('generation').notNull(),
    operation: text('operation').notNull(),
    /** list: adds to the audience, or removes from it. account: removes from all audiences of the account. replace: a part of a new list. */
    manner: text('manner').notNull().default('list'),
    /** Of a removal that another audience's call did for this one, too: that call's batch. */
    sharedCall: bigint('shared_call', { mode: 'number' }),
    lane: text('lane').notNull().default(''),
    sessionId: bigint('session_id', { mode: 'number' }),
    sessionSeq: integer('session_seq'),
    sessionLast: boolean('session_last').notNull().default(false),
    rows: integer('rows').notNull(),
    /** People whose change ends with this batch, by kind. A replacement is counted by its add. */
    added: integer('added').notNull().default(0),
    removed: integer('removed').notNull().default(0),
    replaced: integer('replaced').notNull().default(0),
    state: text('state').notNull().default('planned'),
    attempts: integer('attempts').notNull().default(0),
    /** Of the body that was sent first: a resend must be the same, byte for byte. */
    sha256: bytea('sha256'),
    /** Position in the suppression log that the fetch saw; a later tombstone voids it (C10). */
    suppressionsAt: text('suppressions_at').notNull(),
    fetchedAt: at('fetched_at').notNull(),
    sentAt: at('sent_at'),
    /** Ours, and the platform's own clock (C20). */
    acceptedAt: at('accepted_at'),
    platformAcceptedAt: at('platform_accepted_at'),
    appliedAt: at('applied_at'),
    /** False when a wait of seven days ended without the platform's word. */
    confirmed: boolean('confirmed').notNull().default(true),
    receipt: jsonb('receipt'),
    failure: jsonb('failure'),
    /** Of `removed`: not for privacy, so the brake counts them (C17). */
    braked: integer('braked').notNull().default(0),
    /** People of `added`, `removed` and `replaced` that the platform refused, by kind. */
    rejectedAdded: integer('rejected_added').notNull().default(0),
    rejectedRemoved: integer('rejected_removed').notNull().default(0),
    rejectedReplaced: integer('rejected_replaced').notNull().default(0),
    /** Rows that the platform counted as refused without naming them: their people are unknown (C24). */
    unnamedRejections: integer('unnamed_rejections').notNull().default(0),
    /** Said before and said again: not counted (C4). */
    repeat: boolean('repeat').notNull().default(false),
  },
  (t) => [
    index('batch_of_run').on(t.runNo),
    // The exceptions that a worker loads before it reads the ledger; all others were accepted.
    index('batch_exception').on(t.audienceNo).where(sql`state NOT IN ('accepted', 'applied', 'split')`),
    // What settle looks after.
    index('batch_to_settle').on(t.audienceNo).where(sql`state = 'accepted'`),
    // What may still be applied, or applied once more: asked for with each answer, while an audience keeps its batches for good.
    index('batch_may_come').on(t.audienceNo).where(sql`state IN ('accepted', 'abandoned') OR repeat OR attempts > 1`),
    index('batch_for_account').on(t.audienceNo).where(sql`manner = 'account'`),
  ],
)

/** The rows of a batch, encrypted, from the first attempt until its outcome is known: what makes a resend identical. */
export const batchPayload = pgTable('batch_payload', {
  batchNo: bigint('batch_no', { mode: 'number' })
    .primaryKey()
    .references(() => batch.no, { onDelete: 'cascade' }),
  destinationNo: smallint('destination_no').notNull(),
  tenantNo: integer('tenant_no').notNull(),
  payload: bytea('payload').notNull(),
})

/** Who was refused in which run, and why. */
export const rejection = pgTable(
  'rejection',
  {
    runNo: bigint('run_no', { mode: 'number' }).notNull(),
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    operation: text('operation').notNull(),
    batchNo: bigint('batch_no', { mode: 'number' }),
    code: text('code').notNull(),
    platform: jsonb('platform'),
    /** Of what was refused: the attempts of earlier runs count while it stays the same. */
    fingerprint: bigint('fingerprint', { mode: 'number' }),
    attempts: smallint('attempts').notNull().default(1),
    /** An addition of somebody who had never been taken, sent once: they are not there. */
    neverTaken: boolean('never_taken').notNull().default(false),
    firstAt: at('first_at').notNull().defaultNow(),
    lastAt: at('last_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.runNo, t.customerNo, t.operation] }), index('rejection_of_person').on(t.audienceNo, t.customerNo)],
)
