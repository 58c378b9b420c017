/** What audiences keeps for itself in schema `sync`; the tables that it shares with the connectors are the sync engine's. */
import { index, integer, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'

const at = (name: string) => timestamp(name, { withTimezone: true })

/** Audiences whose eligible people are to be counted: the count is an HTTP call, which no transaction should wait for. */
export const sizeCheck = pgTable(
  'size_check',
  {
    audienceNo: integer('audience_no').primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    /** Counting is claimed by moving this on; what is claimed and not finished comes up again. */
    notBefore: at('not_before').notNull().defaultNow(),
    /** Of the last wish: one that came while the count was under way has it counted again. */
    wantedAt: at('wanted_at').notNull().defaultNow(),
  },
  (t) => [index('size_check_due').on(t.notBefore)],
)

/** From tenant.changed: the country by which national phone numbers are read. */
export const tenantDefault = pgTable('tenant_default', {
  tenantId: uuid('tenant_id').primaryKey(),
  defaultCountry: text('default_country'),
  /** Of the event: older ones are old news. */
  occurredAt: at('occurred_at').notNull(),
})
