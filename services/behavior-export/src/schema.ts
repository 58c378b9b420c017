/**
 * Who should be where. A *tenant* has *behaviors* and *customers*; a *membership* says that a customer is in a behavior.
 * Outside ids are mapped to narrow numbers once, at the edge: everything below joins by number (PERFORMANCE.md §2).
 *
 * The change log and the suppression log are what the other half reads; the change log is partitioned by day and therefore
 * made by hand in `drizzle/0001_*`, as are row-level security, grants and functions.
 */
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  customType,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  unique,
  uuid,
} from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' })
const at = (name: string) => timestamp(name, { withTimezone: true })

/** Written by the `tenant.changed` consumer. `reassessAfter`: the default country changed, and customers above this number are still to be looked at again. */
export const tenant = pgTable('tenant', {
  no: integer().primaryKey().generatedAlwaysAsIdentity(),
  id: uuid().notNull().unique(),
  slug: text().notNull(),
  status: text().notNull(),
  defaultCountry: text('default_country'),
  occurredAt: at('occurred_at').notNull(),
  reassessAfter: bigint('reassess_after', { mode: 'number' }),
  /** Keys every HMAC of the tenant; sealed by the vault, so it ends with the tenant's data keys. */
  fingerprintKey: text('fingerprint_key').notNull(),
})

export const behavior = pgTable(
  'behavior',
  {
    no: integer().primaryKey().generatedAlwaysAsIdentity(),
    tenantNo: integer('tenant_no').notNull(),
    id: uuid().notNull(),
    key: text().notNull(),
    name: text().notNull(),
    kind: text().notNull(),
    description: text().notNull().default(''),
    /** When the publisher changed it last; an older event does nothing. */
    occurredAt: at('occurred_at').notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  // By key: events name behaviors so. By id: everything else does.
  (t) => [unique('behavior_key').on(t.tenantNo, t.key), unique('behavior_id').on(t.tenantNo, t.id)],
)

/**
 * A person of a tenant; a *stub* (occurredAt null) when only a membership has named them so far. Widest columns first.
 * What is personal lies in `identifiers`, encrypted; the rest says what may be sent and whether it changed.
 */
export const customer = pgTable(
  'customer',
  {
    no: bigint({ mode: 'number' }).primaryKey().generatedByDefaultAsIdentity(),
    /** Identifiers and value are as of; null: a stub. */
    occurredAt: at('occurred_at'),
    consentAt: at('consent_at'),
    erasedAt: at('erased_at'),
    value: doublePrecision(),
    tenantNo: integer('tenant_no').notNull(),
    /** Bits of `purposes`: what the person may be sent for, now. */
    purposes: smallint().notNull(),
    /** Bits of `identifierGroups` that are usable, and that were given at all. */
    groups: smallint().notNull().default(0),
    present: smallint().notNull().default(0),
    /** 0 unspecified, 1 granted, 2 denied. */
    adUserData: smallint('ad_user_data').notNull().default(0),
    adPersonalization: smallint('ad_personalization').notNull().default(0),
    crm: smallint().notNull().default(0),
    saleShareOptOut: boolean('sale_share_opt_out').notNull().default(false),
    /** ISO 3166-1 alpha-2 in lower case; null: none that we can read, and the tenant's default decides where consent must be given. */
    country: text(),
    /** The tenant's own id; null once erased. */
    customerId: text('customer_id'),
    /** 8 bytes per bit of `groups`, in bit order: a keyed HMAC, so it says *changed* without saying what. */
    fingerprints: bytea().notNull().default(sql`''::bytea`),
    /** `[[field, code]]`: what could not be normalised, for the coverage figures. */
    unusable: jsonb(),
    identifiers: bytea(),
    /** Keyed tags of the identifiers that match the person alone, 8 bytes each, in order: those under which `identifier_tag` lists them. */
    tags: bytea().notNull().default(sql`''::bytea`),
    /** A byte per tag: the purposes for which it may not be sent, because of somebody else; '' when there is none. `fingerprints` carries a mark of it. */
    withheld: bytea().notNull().default(sql`''::bytea`),
  },
  // By customerId: ingest maps a batch of outside ids to numbers, and locks in this order.
  (t) => [unique('customer_id').on(t.tenantNo, t.customerId)],
)

/**
 * Who is, or was, in a behavior. No index on anything that changes, so that every update stays in its page; `fillfactor`
 * leaves it the room. Leaving keeps the row: a later event with an older time must find it.
 */
export const membership = pgTable(
  'membership',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    occurredAt: at('occurred_at').notNull(),
    /** Of the event that said so, where its id is a UUID. */
    eventId: uuid('event_id'),
    behaviorNo: integer('behavior_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    member: boolean().notNull(),
  },
  (t) => [
    // The full reconcile reads in this order.
    primaryKey({ columns: [t.behaviorNo, t.customerNo] }),
    // A change of a customer reaches each behavior they are in.
    index('membership_by_customer').on(t.customerNo),
  ],
)

/** Who may no longer be sent, in the order of change: connectors of all tenants follow it by cursor (SYNC.md C10). Never personal data. */
export const suppressionLog = pgTable(
  'suppression_log',
  {
    seq: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    xid: xid8().notNull().default(sql`pg_current_xact_id()`),
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    at: at('at').notNull().defaultNow(),
    tenantId: uuid('tenant_id').notNull(),
    purposes: smallint().notNull(),
    reason: text().notNull(),
  },
  (t) => [
    index('suppression_log_order').on(t.xid, t.seq),
    index('suppression_log_tenant').on(t.tenantId),
    // How far a connector must have read before an erasure can be complete.
    index('suppression_log_erased').on(t.customerNo).where(sql`reason = 'erased'`),
  ],
)

/**
 * Who carries which identifier: keyed tags of those that match a person alone, to find two customers who share one (SYNC.md C2).
 * `denies`: the purposes for which this customer may not be sent, and so nobody else by this identifier. Of an erased person the
 * rows stay, with every purpose: the suppression entry that may be kept (RELIABILITY.md §4.9).
 */
export const identifierTag = pgTable(
  'identifier_tag',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    tenantNo: integer('tenant_no').notNull(),
    denies: smallint().notNull(),
    tag: bytea().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantNo, t.tag, t.customerNo] }),
    // Whether anybody denies a purpose is asked of each new tag; the few who do are found without reading all who share it.
    index('identifier_tag_denied').on(t.tenantNo, t.tag, t.denies).where(sql`denies <> 0`),
  ],
)

/** One row: which history positions belong to, and where it begins (SYNC.md C8). `cluster` names the database it was made in. */
export const feedEpoch = pgTable('feed_epoch', {
  only: boolean().primaryKey().default(true),
  id: uuid().notNull(),
  cluster: text().notNull(),
  since: at('since').notNull().defaultNow(),
  oldestXid: xid8('oldest_xid').notNull().default('0'),
  oldestSeq: bigint('oldest_seq', { mode: 'number' }).notNull().default(0),
})

/** Membership events that name a behavior nobody has told us of yet: used when it appears, dead-lettered after 7 days. */
export const parkedEvent = pgTable(
  'parked_event',
  {
    id: uuid().primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    /** `id:<uuid>` or `key:<key>`, as the event named it. */
    behavior: text().notNull(),
    /** As received, for the dead letters; customer ids, no identifiers. */
    key: text().notNull(),
    headers: jsonb().$type<Record<string, string>>().notNull(),
    message: bytea().notNull(),
    parkedAt: at('parked_at').notNull(),
  },
  // By behavior: used when it appears. By time: the sweep.
  (t) => [index('parked_event_behavior').on(t.tenantId, t.behavior), index('parked_event_time').on(t.parkedAt)],
)

/** Requests for erasure, and the one thing kept of the person: a keyed hash, so that the next delivery does not bring them back. */
export const erasure = pgTable(
  'erasure',
  {
    id: uuid().primaryKey(),
    tenantNo: integer('tenant_no').notNull(),
    subject: bytea().notNull(),
    customerNo: bigint('customer_no', { mode: 'number' }),
    status: text().notNull(),
    requestedAt: at('requested_at').notNull(),
    /** When audiences could prove it for every destination; at once for somebody nobody knew. */
    completedAt: at('completed_at'),
    /** Rows purged here, by table. */
    purged: jsonb().notNull(),
    /** What audiences proved and signed when it was complete (compact JWS). */
    proof: text(),
    /** The line of the tenant's audit log that names the proof: its number and its hash. */
    chainSeq: bigint('chain_seq', { mode: 'number' }),
    chainHash: bytea('chain_hash'),
  },
  (t) => [
    unique('erasure_subject').on(t.tenantNo, t.subject),
    // Those that are looked at again and again until there is a proof, and until the audit log names it; ids grow with time.
    index('erasure_unproven').on(t.id).where(sql`proof IS NULL`),
    index('erasure_unchained').on(t.id).where(sql`proof IS NOT NULL AND chain_seq IS NULL`),
  ],
)
