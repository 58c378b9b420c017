/** The log of the embedded transport, in the schema `bus`: Kafka's topic, partition and offset as rows. */
import { bigint, customType, index, integer, jsonb, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

export const log = pgTable(
  'log',
  {
    topic: text('topic').notNull(),
    partition: integer('partition').notNull(),
    seq: bigint('seq', { mode: 'number' }).notNull(),
    key: text('key').notNull(),
    headers: jsonb('headers').$type<Record<string, string>>().notNull(),
    value: bytea('value').notNull(),
    appendedAt: timestamp('appended_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.topic, table.partition, table.seq] }), index('log_appended_at').on(table.appendedAt)],
)

/** The next number of each partition. Its row is locked until the appender commits, so numbers become visible in their order. */
export const head = pgTable(
  'head',
  { topic: text('topic').notNull(), partition: integer('partition').notNull(), next: bigint('next', { mode: 'number' }).notNull() },
  (table) => [primaryKey({ columns: [table.topic, table.partition] })],
)

/** Where each group goes on. */
export const consumerOffset = pgTable(
  'consumer_offset',
  {
    group: text('group').notNull(),
    topic: text('topic').notNull(),
    partition: integer('partition').notNull(),
    next: bigint('next', { mode: 'number' }).notNull(),
    committedAt: timestamp('committed_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.group, table.topic, table.partition] })],
)
