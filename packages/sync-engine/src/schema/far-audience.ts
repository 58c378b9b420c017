/**
 * Far audiences that an audience was in before the one it is in now (C19). While one may still live, whoever may not be there is
 * removed from it, too (`formerRemoval`); when its deletion is proven, the ledger forgets its rows.
 */
import { sql } from 'drizzle-orm'
import { bigint, boolean, index, integer, pgTable, primaryKey, smallint, text } from 'drizzle-orm/pg-core'
import { at } from './columns.ts'

/** One row for each older generation of an audience. */
export const farAudience = pgTable(
  'far_audience',
  {
    audienceNo: integer('audience_no').notNull(),
    generation: smallint('generation').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    externalId: text('external_id').notNull(),
    /** Not made by us: never deleted by us. */
    adopted: boolean('adopted').notNull(),
    /** present: may still live · deleted: surely not. */
    state: text('state').notNull(),
    since: at('since').notNull().defaultNow(),
    /** The ledger has forgotten its rows. */
    purgedAt: at('purged_at'),
  },
  (t) => [
    primaryKey({ columns: [t.audienceNo, t.generation] }),
    index('far_audience_to_purge').on(t.destinationNo).where(sql`state = 'deleted' AND purged_at IS NULL`),
  ],
)

/** Who is still to be removed, for privacy, from a far audience that we have left. */
export const formerRemoval = pgTable(
  'former_removal',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    generation: smallint('generation').notNull(),
    /** Removals to come: what was said before it was left may be applied after the first. */
    times: smallint('times').notNull(),
    notBefore: at('not_before').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.audienceNo, t.generation, t.customerNo] }), index('former_removal_due').on(t.destinationNo, t.notBefore)],
)
