/** The two tables of every service's schema: what it says, and what it has heard. */
import { sql } from 'drizzle-orm'
import { bigint, customType, index, jsonb, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

/** Written with the change that it tells of; the relay alone reads it (S-1, S-2). */
export const outbox = pgTable(
  'outbox',
  {
    tenantId: uuid('tenant_id').notNull(),
    /** The order to send in. Not a cursor: ids are taken before commit, so only `published_at IS NULL` finds every row. */
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity(),
    eventId: uuid('event_id').notNull(),
    topic: text('topic').notNull(),
    /** Of the aggregate; the relay puts the tenant before it. */
    key: text('key').notNull(),
    headers: jsonb('headers').$type<Record<string, string>>().notNull(),
    value: bytea('value').notNull(),
    version: bigint('version', { mode: 'number' }),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    publishedAt: timestamp('published_at', { withTimezone: true }),
  },
  (table) => [
    primaryKey({ columns: [table.tenantId, table.id] }),
    index('outbox_unpublished').on(table.id).where(sql`published_at IS NULL`),
    index('outbox_published_at').on(table.publishedAt).where(sql`published_at IS NOT NULL`),
  ],
)

/** One row per consumer and event: a second delivery finds it and is passed over (S-3). */
export const inbox = pgTable(
  'inbox',
  {
    tenantId: uuid('tenant_id').notNull(),
    consumer: text('consumer').notNull(),
    /** Text: other teams' ids need not be UUIDs. */
    eventId: text('event_id').notNull(),
    receivedAt: timestamp('received_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.consumer, table.eventId] }), index('inbox_received_at').on(table.receivedAt)],
)
