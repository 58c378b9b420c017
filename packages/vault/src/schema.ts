/** Data keys, wrapped. The same table in each schema whose service encrypts. */
import { sql } from 'drizzle-orm'
import { bigint, index, pgTable, primaryKey, text, timestamp, uniqueIndex, uuid } from 'drizzle-orm/pg-core'

export const dek = pgTable(
  'dek',
  {
    tenantId: uuid('tenant_id').notNull(),
    /** `dek_<uuid>`: stands in each sealed text. */
    id: text().notNull(),
    kekId: text('kek_id').notNull(),
    wrapped: text().notNull(),
    /** Upper bound of the values sealed with it, reserved in blocks. */
    uses: bigint({ mode: 'number' }).notNull().default(0),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    /** Since then it only opens. */
    supersededAt: timestamp('superseded_at', { withTimezone: true }),
    /** From then on it opens nothing more: set when everything was sealed anew. */
    retireAt: timestamp('retire_at', { withTimezone: true }),
  },
  (table) => [
    primaryKey({ columns: [table.tenantId, table.id] }),
    uniqueIndex('dek_current').on(table.tenantId).where(sql`superseded_at IS NULL`),
    index('dek_by_kek').on(table.kekId),
  ],
)
