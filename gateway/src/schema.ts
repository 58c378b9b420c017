/**
 * Tables of schema `gateway`. A tenant's rows are shown by row-level security in the migration that follows the generated one,
 * which also makes the audit log append-only.
 */
import { sql } from 'drizzle-orm'
import { bigint, check, customType, index, integer, jsonb, pgTable, primaryKey, text, timestamp, unique, uuid } from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
/** To the millisecond, as JavaScript has it: cursors of lists compare with what they were made of. */
const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 })

export const tenant = pgTable(
  'tenant',
  {
    id: uuid().primaryKey(),
    slug: text().notNull().unique(), // an existence oracle for whoever may create tenants, which is the installation's operator alone
    name: text().notNull(),
    defaultCountry: text('default_country'),
    limits: jsonb().notNull().default({}),
    status: text().notNull().default('active'),
    version: integer().notNull().default(1), // orders the events of one tenant
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (t) => [check('tenant_status', sql`${t.status} IN ('active', 'suspended')`)],
)

export const apiKey = pgTable(
  'api_key',
  {
    tenantId: uuid('tenant_id')
      .notNull()
      .references(() => tenant.id),
    /** Twelve random letters and digits, part of the key itself; not a secret. */
    id: text().notNull(),
    secretSha256: bytea('secret_sha256').notNull(),
    name: text().notNull(),
    scopes: text().array().notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
    expiresAt: time('expires_at').notNull(),
    revokedAt: time('revoked_at'),
    lastUsedAt: time('last_used_at'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    unique('api_key_id').on(t.id),
    index('api_key_newest').on(t.tenantId, t.createdAt.desc(), t.id),
    check('api_key_digest', sql`octet_length(${t.secretSha256}) = 32`),
    check('api_key_lifetime', sql`${t.expiresAt} <= ${t.createdAt} + interval '366 days'`), // 365 and the clocks' difference
  ],
)

/** One chain per tenant; `seq` has no gaps and each hash covers the one before. No foreign key: it outlives its tenant. */
export const auditLog = pgTable(
  'audit_log',
  {
    tenantId: uuid('tenant_id').notNull(),
    seq: bigint({ mode: 'number' }).notNull(),
    at: time('at').notNull(),
    actor: text().notNull(),
    action: text().notNull(),
    target: text().notNull(),
    result: text().notNull(),
    status: integer().notNull(),
    requestId: text('request_id').notNull(),
    previousHash: bytea('previous_hash').notNull(),
    hash: bytea().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.seq] }),
    check('audit_log_result', sql`${t.result} IN ('ok', 'refused', 'failed')`),
    // Whether a proof is named already is asked before it is (proof-chain.ts): by its erasure, which stands before the digest.
    index('audit_log_proven').on(t.tenantId, sql`split_part(target, '#', 1)`).where(sql`action = 'erasure.proven'`),
  ],
)
