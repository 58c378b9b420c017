/**
 * A similar audience that the platform makes of an audience of ours, its seed. Written by `audiences` when it is wished for, moved on
 * under the seed's lease: pending (the seed is not ready) → creating (a create may have been sent) → active | error, or deleting.
 */
import { sql } from 'drizzle-orm'
import { bigint, boolean, index, integer, jsonb, pgTable, smallint, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { audience } from './audience.ts'
import { at, identity } from './columns.ts'

export const lookalike = pgTable(
  'lookalike',
  {
    no: identity('no').primaryKey(),
    id: uuid('id').notNull().unique(),
    tenantId: uuid('tenant_id').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    audienceNo: integer('audience_no')
      .notNull()
      .references(() => audience.no),
    name: text('name').notNull(),
    /** `LookalikeSpec`. */
    spec: jsonb('spec').notNull(),
    externalId: text('external_id'),
    /** Somebody had made one like it: never deleted by us. */
    adopted: boolean('adopted').notNull().default(false),
    status: text('status').notNull().default('pending'),
    statusReason: jsonb('status_reason'),
    statusSince: at('status_since').notNull().defaultNow(),
    /** Creates that were sent, or may have been. */
    attempts: smallint('attempts').notNull().default(0),
    /** The platform's bounds; null: it gives none. */
    sizeLower: bigint('size_lower', { mode: 'number' }),
    sizeUpper: bigint('size_upper', { mode: 'number' }),
    sizeAsOf: at('size_as_of'),
    /** When the lease holder looks at it next. */
    dueAt: at('due_at').notNull().defaultNow(),
    deleteRequestedAt: at('delete_requested_at'),
    deletedAt: at('deleted_at'),
    createdAt: at('created_at').notNull().defaultNow(),
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  (t) => [
    index('lookalike_of_audience').on(t.audienceNo, t.id),
    index('lookalike_due').on(t.destinationNo, t.dueAt).where(sql`deleted_at IS NULL`),
    // Asked twice for the same, one is made.
    uniqueIndex('lookalike_spec').on(t.audienceNo, t.spec).where(sql`deleted_at IS NULL`),
  ],
)
