import { customType, index, integer, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

/** Answers already given, by `Idempotency-Key`. One table in each service's schema. */
export const idempotency = pgTable(
  'idempotency',
  {
    tenantId: uuid('tenant_id').notNull(),
    /** `POST /v1/audiences`: the route, not the path. */
    route: text().notNull(),
    key: text().notNull(),
    /** SHA-256 of path, query and canonical body. */
    fingerprint: bytea().notNull(),
    status: integer().notNull(),
    /** As sent. */
    body: text().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.route, table.key] }), index().on(table.createdAt)],
)
