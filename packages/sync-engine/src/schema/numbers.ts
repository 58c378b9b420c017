/**
 * Inside, people, audiences, tenants and destinations are narrow numbers; UUIDs and names are what the API shows. Tables of high
 * volume (`ledger`, `todo`, `rejection`, `tombstone`) carry `tenantNo` and `destinationNo`, the others the tenant's UUID and the
 * destination's name.
 */
import { integer, pgTable, smallint, text, uuid } from 'drizzle-orm/pg-core'

/** Tenants as small numbers, made on first use. */
export const tenant = pgTable('tenant', {
  no: integer('no').primaryKey().generatedAlwaysAsIdentity(),
  id: uuid('id').notNull().unique(),
})

/** Destinations as small numbers, made by each connector at its start. */
export const destination = pgTable('destination', {
  no: smallint('no').primaryKey().generatedAlwaysAsIdentity(),
  id: text('id').notNull().unique(),
})
