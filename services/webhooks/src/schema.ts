/**
 * What happened, whom to tell, and what became of telling them.
 *
 * `endpoint` is the row that workers claim (lease, `due_at`): one worker at a time speaks to an endpoint. `event` holds each body
 * once. `delivery` is one per endpoint and event; its id is the header `webhook-id`. `attempt` is what was tried.
 */
import { sql } from 'drizzle-orm'
import { bigint, customType, foreignKey, index, integer, pgTable, primaryKey, text, timestamp, unique, uuid } from 'drizzle-orm/pg-core'

const at = (name: string) => timestamp(name, { withTimezone: true })
const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' })

export const endpoint = pgTable(
  'endpoint',
  {
    tenantId: uuid('tenant_id').notNull(),
    id: uuid().notNull(),
    url: text().notNull(),
    description: text().notNull(),
    /** null: all types. */
    eventTypes: text('event_types').array(),
    /** enabled or disabled */
    status: text().notNull().default('enabled'),
    /** Why it is disabled, as in the catalogue of errors. */
    statusCode: text('status_code'),
    statusSince: at('status_since').notNull().defaultNow(),
    /** Sealed for this tenant and endpoint; the old one signs too until its time is over. */
    secret: text().notNull(),
    oldSecret: text('old_secret'),
    oldSecretUntil: at('old_secret_until'),
    /** The first failure since the last success. */
    failingSince: at('failing_since'),
    /** It asked for less, or has been failing for a while. */
    throttledUntil: at('throttled_until'),
    /** When a worker should look at it: no earlier than its first due delivery; null: nothing waits. */
    dueAt: at('due_at'),
    lease: uuid(),
    leaseUntil: at('lease_until'),
    createdAt: at('created_at').notNull().defaultNow(),
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    // The workers' only question: WHERE due_at <= now() AND status = 'enabled' ORDER BY due_at.
    index('endpoint_due').on(t.dueAt).where(sql`status = 'enabled' AND due_at IS NOT NULL`),
  ],
)

export const event = pgTable(
  'event',
  {
    tenantId: uuid('tenant_id').notNull(),
    /** ce_id of what it came from. */
    id: text().notNull(),
    type: text().notNull(),
    /** The very bytes that are signed and sent. */
    body: text().notNull(),
    /** Position for readers of the stream: `(xid, seq)` below the oldest running transaction loses nobody's row. */
    xid: xid8().notNull().default(sql`pg_current_xact_id()`),
    seq: bigint({ mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
    createdAt: at('created_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.tenantId, t.id] }), index('event_position').on(t.tenantId, t.xid, t.seq), index('event_age').on(t.createdAt)],
)

export const delivery = pgTable(
  'delivery',
  {
    tenantId: uuid('tenant_id').notNull(),
    id: uuid().notNull(),
    endpointId: uuid('endpoint_id').notNull(),
    eventId: text('event_id').notNull(),
    /** waiting, delivered, failed or skipped */
    state: text().notNull(),
    /** Of the schedule at hand; a replay begins it anew. */
    tries: integer().notNull().default(0),
    /** In all. */
    attempts: integer().notNull().default(0),
    /** Of a waiting one. */
    nextAt: at('next_at'),
    createdAt: at('created_at').notNull().defaultNow(),
    deliveredAt: at('delivered_at'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    // Whatever is handed in twice, an endpoint is told of an event under one id.
    unique('delivery_once').on(t.tenantId, t.endpointId, t.eventId),
    foreignKey({ columns: [t.tenantId, t.endpointId], foreignColumns: [endpoint.tenantId, endpoint.id] }).onDelete('cascade'),
    foreignKey({ columns: [t.tenantId, t.eventId], foreignColumns: [event.tenantId, event.id] }).onDelete('cascade'),
    index('delivery_due').on(t.tenantId, t.endpointId, t.nextAt).where(sql`state = 'waiting'`),
    index('delivery_list').on(t.tenantId, t.endpointId, t.id),
    index('delivery_event').on(t.tenantId, t.eventId),
  ],
)

export const attempt = pgTable(
  'attempt',
  {
    tenantId: uuid('tenant_id').notNull(),
    deliveryId: uuid('delivery_id').notNull(),
    n: integer().notNull(),
    at: at('at').notNull(),
    durationMs: integer('duration_ms').notNull(),
    status: integer(),
    error: text(),
    response: text().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.deliveryId, t.n] }),
    foreignKey({ columns: [t.tenantId, t.deliveryId], foreignColumns: [delivery.tenantId, delivery.id] }).onDelete('cascade'),
  ],
)

/** The last status of each connection, so that only the step to `expired` is told. */
export const connectionStatus = pgTable(
  'connection_status',
  { tenantId: uuid('tenant_id').notNull(), connectionId: text('connection_id').notNull(), status: text().notNull() },
  (t) => [primaryKey({ columns: [t.tenantId, t.connectionId] })],
)
