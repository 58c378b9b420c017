/**
 * Our memory of the far side. A row is made with the batch that first adds somebody, moved on by each later one that names them, and
 * forgotten when the last removal was applied.
 */
import { sql } from 'drizzle-orm'
import { bigint, index, integer, pgTable, primaryKey, smallint } from 'drizzle-orm/pg-core'
import { at, bytea } from './columns.ts'

/**
 * One row per person, audience and generation of it who is, or may be, there. `addBatch` and `removeBatch` are the last of each
 * kind; the later one decides. `held` is every key set that may be there, encrypted (R1, C12): entered before it
 * is sent, left only after a later removal was applied.
 */
export const ledger = pgTable(
  'ledger',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    /** Of what `addBatch` carried, as it came with the identifiers (C9); 53 bits. */
    fingerprint: bigint('fingerprint', { mode: 'number' }).notNull(),
    addBatch: bigint('add_batch', { mode: 'number' }).notNull(),
    removeBatch: bigint('remove_batch', { mode: 'number' }),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    configVersion: integer('config_version').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    generation: smallint('generation').notNull(),
    normaliser: smallint('normaliser').notNull(),
    held: bytea('held').notNull(),
  },
  (t) => [
    // The diff looks people up by number, the full reconcile reads in this order.
    primaryKey({ columns: [t.audienceNo, t.customerNo, t.generation] }),
    // Suppression: every audience that holds this person.
    index('ledger_by_customer').on(t.customerNo),
    // Settle forgets those whose removal was applied.
    index('ledger_removed').on(t.removeBatch).where(sql`remove_batch IS NOT NULL`),
  ],
)

/** Whom the ledger has forgotten, and the removal that was applied: for the one who asks what became of them (explain). Kept 90 days. */
export const removedMember = pgTable(
  'removed_member',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    batchNo: bigint('batch_no', { mode: 'number' }).notNull(),
    removedAt: at('removed_at').notNull().defaultNow(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
  },
  (t) => [primaryKey({ columns: [t.audienceNo, t.customerNo] }), index('removed_member_by_time').on(t.removedAt)],
)

/** Keyed tags of the identifiers sent, to find who else holds the same one (C2). */
export const ledgerTag = pgTable(
  'ledger_tag',
  {
    tag: bigint('tag', { mode: 'number' }).notNull(),
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
  },
  (t) => [primaryKey({ columns: [t.audienceNo, t.tag, t.customerNo] })],
)
