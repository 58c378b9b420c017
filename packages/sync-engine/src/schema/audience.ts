/**
 * What is kept in step. `audiences` writes an audience with its owner's choices; its first run makes the far one; whoever holds the
 * lease moves it from run to run (cursor, generation, what is pending); a request to delete ends it.
 *
 * Schema `sync`, all files of this folder: what each far side was told, accepted and applied. It is shared by `audiences` (which
 * writes wishes: audiences, queued runs, requests to cancel, pause and delete) and the connectors, whose lease holder alone moves
 * runs and batches on (SYNC.md C15). Row-level security shows `audiences` one tenant and a connector its own destination.
 */
import { sql } from 'drizzle-orm'
import { bigint, boolean, index, integer, jsonb, pgTable, smallint, text, unique, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { at, bytea } from './columns.ts'

/** One behavior exported to one account. Written by `audiences`; the lease holder writes the far id, the cursor, the sizes and the status. */
export const audience = pgTable(
  'audience',
  {
    no: integer('no').primaryKey().generatedAlwaysAsIdentity(),
    id: uuid('id').notNull().unique(),
    tenantId: uuid('tenant_id').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destination: text('destination').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    behaviorId: uuid('behavior_id').notNull(),
    connectionId: uuid('connection_id').notNull(),
    accountId: uuid('account_id').notNull(),
    accountExternalId: text('account_external_id').notNull(),
    name: text('name').notNull(),
    description: text('description').notNull().default(''),
    purpose: text('purpose').notNull(),
    campaignRef: text('campaign_ref'),
    schedule: jsonb('schedule').notNull(),
    identifiers: text('identifiers').array().notNull(),
    transformations: jsonb('transformations').notNull().default([]),
    retryPolicy: jsonb('retry_policy').notNull(),
    brake: jsonb('brake').notNull(),
    minimumSize: integer('minimum_size').notNull(),
    settings: jsonb('settings').notNull(),
    defaultCountry: text('default_country'),
    /** Rises when a choice changes what would be sent; the next run is then full (C9). */
    configVersion: integer('config_version').notNull().default(1),

    externalId: text('external_id'),
    /** Name, description or settings were changed here and not told there yet. */
    farStale: boolean('far_stale').notNull().default(false),
    /** Not made by us: never deleted by us. */
    adopted: boolean('adopted').notNull().default(false),
    /** Rises with a new far audience; rows of older generations are absent for the diff (C19). */
    generation: smallint('generation').notNull().default(1),
    /** What its owner wants done about changes there that are not ours: `DriftPolicy` of the contracts. */
    driftPolicy: jsonb('drift_policy').notNull().default({ missing: 'hold', renamed: 'report', size: 'report' }),
    /** What the last look at the far side found: `Drift` of `pure/drift.ts`. */
    drift: jsonb('drift'),
    /** When to look at the far side again; null: nobody has said yet; -infinity: somebody asked for it. */
    checkAt: at('check_at'),
    /** The far audience is not there, or not shown (`Missing` of `drift/missing.ts`): nothing is sent until that is answered. */
    missing: jsonb('missing'),
    /** The answer: make a new one (C19). */
    healRequestedAt: at('heal_requested_at'),

    /** Where the reader stands in the behavior's change feed, and in which history (C8). */
    cursorEpoch: text('cursor_epoch'),
    cursor: text('cursor').notNull().default('0:0'),
    /** The normaliser that made all rows of the ledger; null while there may be several. Another one in force makes the next run full. */
    normaliser: smallint('normaliser'),
    /** Why the next run must look at everyone; null: it need not. */
    fullReason: text('full_reason').default('first_run'),

    status: text('status').notNull(),
    statusReason: jsonb('status_reason'),
    statusSince: at('status_since').notNull().defaultNow(),
    /** Requests of `audiences`; the lease holder acts on them. */
    pausedAt: at('paused_at'),
    pauseReason: jsonb('pause_reason'),
    deleteRequestedAt: at('delete_requested_at'),
    keepRemote: boolean('keep_remote').notNull().default(false),
    deletedAt: at('deleted_at'),
    /** Fewer eligible people than the minimum: only additions are withheld (C14). */
    tooSmall: boolean('too_small').notNull().default(false),
    /** The platform refused to make it any smaller: why, while somebody waits to be removed. */
    shrinkRefused: jsonb('shrink_refused'),
    /** A replacement of the whole list that is under way (`worker/replacement.ts`); null: none. */
    replacing: jsonb('replacing'),

    sizeBehavior: integer('size_behavior'),
    sizeEligible: integer('size_eligible'),
    sizeDestination: integer('size_destination'),
    sizeAsOf: at('size_as_of'),
    /** How the platform last said that it is (`FarState`); null: it was not asked yet. */
    farState: jsonb('far_state'),
    /** When to look again whether accepted calls were applied; null: nothing is open. */
    settleAt: at('settle_at'),

    /** One writer per audience: the lease is on the database's clock, the epoch fences (S-6). */
    leaseOwner: text('lease_owner'),
    leaseEpoch: bigint('lease_epoch', { mode: 'number' }).notNull().default(0),
    leaseUntil: at('lease_until'),

    nextRunAt: at('next_run_at'),
    /** Sealed: keys the tags of identifiers (C2). Made with the first addition. */
    tagKey: bytea('tag_key'),
    /** Of the audience.changed events. */
    version: bigint('version', { mode: 'number' }).notNull().default(1),
    createdAt: at('created_at').notNull().defaultNow(),
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  (t) => [
    unique('audience_of_tenant').on(t.tenantId, t.id),
    // Lists: WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC; and by behavior for behavior.updated.
    index('audience_by_behavior').on(t.tenantId, t.behaviorId),
    // One live audience per far audience (C19).
    uniqueIndex('audience_far').on(t.accountId, t.externalId).where(sql`deleted_at IS NULL AND external_id IS NOT NULL`),
    index('audience_to_settle').on(t.destinationNo, t.settleAt).where(sql`settle_at IS NOT NULL`),
    index('audience_to_check').on(t.destinationNo, t.checkAt).where(sql`external_id IS NOT NULL AND deleted_at IS NULL`),
  ],
)
