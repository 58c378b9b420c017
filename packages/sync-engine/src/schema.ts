/**
 * The tables of schema `sync`: what each far side was told, accepted and applied. Shared by `audiences` (which writes wishes:
 * audiences, queued runs, requests to cancel, pause and delete) and the connectors (whose lease holder alone moves runs and
 * batches on, SYNC.md C15). Row-level security shows `audiences` one tenant and a connector its own destination.
 *
 * Inside, people and audiences are narrow numbers; UUIDs are what the API shows. Tables of high volume (`ledger`, `todo`,
 * `rejection`, `tombstone`) carry `tenantNo` and `destinationNo`, the others the tenant's UUID and the destination's name.
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
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'

const bytes = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
const at = (name: string) => timestamp(name, { withTimezone: true })
const identity = (name: string) => bigint(name, { mode: 'number' }).generatedAlwaysAsIdentity()

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
    tagKey: bytes('tag_key'),
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

/**
 * Far audiences that an audience was in before the one it is in now (C19): one row for each older generation. While one may still
 * live, whoever may not be there is removed from it, too; when its deletion is proven, the ledger forgets its rows.
 */
export const farAudience = pgTable(
  'far_audience',
  {
    audienceNo: integer('audience_no').notNull(),
    generation: smallint('generation').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    externalId: text('external_id').notNull(),
    /** Not made by us: never deleted by us. */
    adopted: boolean('adopted').notNull(),
    /** present: may still live · deleted: surely not. */
    state: text('state').notNull(),
    since: at('since').notNull().defaultNow(),
    /** The ledger has forgotten its rows. */
    purgedAt: at('purged_at'),
  },
  (t) => [
    primaryKey({ columns: [t.audienceNo, t.generation] }),
    index('far_audience_to_purge').on(t.destinationNo).where(sql`state = 'deleted' AND purged_at IS NULL`),
  ],
)

/** Who is still to be removed, for privacy, from a far audience that we have left. */
export const formerRemoval = pgTable(
  'former_removal',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    generation: smallint('generation').notNull(),
    /** Removals to come: what was said before it was left may be applied after the first. */
    times: smallint('times').notNull(),
    notBefore: at('not_before').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.audienceNo, t.generation, t.customerNo] }), index('former_removal_due').on(t.destinationNo, t.notBefore)],
)

/** One sync of one audience. Counts are not stored: they are sums over its batches, so they cannot disagree with them. */
export const run = pgTable(
  'run',
  {
    no: identity('no').primaryKey(),
    id: uuid('id').notNull().unique(),
    tenantId: uuid('tenant_id').notNull(),
    audienceNo: integer('audience_no')
      .notNull()
      .references(() => audience.no),
    destination: text('destination').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    /** created | api | schedule | realtime | retry | plan | heal | privacy */
    trigger: text('trigger').notNull(),
    /** incremental | full. A run that had to become full says so here. */
    mode: text('mode').notNull(),
    status: text('status').notNull().default('queued'),
    /** Frozen when the run is claimed (C9). */
    configVersion: integer('config_version'),
    config: jsonb('config'),
    /** Planning and acting stop here: the feed's horizon that the run waited for (C5). */
    bound: text('bound'),
    /** Somebody wished for a run while this one, which applies a plan and nothing else, was queued: another follows it. */
    followUp: boolean('follow_up').notNull().default(false),
    /** When a waiting or debounced run may be claimed; null: at once. */
    notBefore: at('not_before'),
    waitReason: jsonb('wait_reason'),
    /** When it last had its turn at a scarce quota: its place in the line counts from then on. */
    gaveWayAt: at('gave_way_at'),
    cancelRequestedAt: at('cancel_requested_at'),
    /** Figures that were approved; a held run goes on against these (R6). */
    approval: jsonb('approval'),
    hold: jsonb('hold'),
    unchanged: integer('unchanged').notNull().default(0),
    suppressed: integer('suppressed').notNull().default(0),
    suppressedBy: jsonb('suppressed_by').notNull().default({}),
    /** Known once the plan has been counted; before that it grows. */
    expected: integer('expected'),
    apiCalls: integer('api_calls').notNull().default(0),
    attempts: integer('attempts').notNull().default(0),
    error: jsonb('error'),
    traceparent: text('traceparent'),
    requestedAt: at('requested_at').notNull().defaultNow(),
    startedAt: at('started_at'),
    acceptedAt: at('accepted_at'),
    finishedAt: at('finished_at'),
  },
  (t) => [
    unique('run_of_tenant').on(t.tenantId, t.id),
    // At most one live run and one queued; removals for privacy go beside them under the same lease (R7).
    uniqueIndex('one_live_run').on(t.audienceNo).where(sql`status IN ('running', 'waiting', 'held') AND trigger <> 'privacy'`),
    uniqueIndex('one_queued_run').on(t.audienceNo).where(sql`status = 'queued' AND trigger <> 'privacy'`),
    uniqueIndex('one_privacy_run').on(t.audienceNo).where(sql`status IN ('queued', 'running', 'waiting') AND trigger = 'privacy'`),
    // Claims: the few that are open, among all that ever were.
    index('run_open').on(t.destinationNo, t.notBefore).where(sql`status IN ('queued', 'running', 'waiting', 'applying')`),
    index('run_of_audience').on(t.audienceNo, t.no.desc()),
  ],
)

/**
 * One API call's worth of changes. Its state is that of the people it names in the ledger: when a call ends, this one row is
 * updated, not one per member.
 *
 * planned → sending → accepted → applied, or: unknown (sent, no answer: the same bytes go again) · rejected (refused as a whole,
 * by the platform) · failed (the run ended before it was taken) · cancelled · split (into two others) · dissolved (never taken;
 * its people are fetched anew) · abandoned (unknown for good: somebody in it may not be sent again, SYNC.md C11).
 */
export const batch = pgTable(
  'batch',
  {
    no: identity('no').primaryKey(),
    id: uuid('id').notNull().unique(),
    tenantId: uuid('tenant_id').notNull(),
    runNo: bigint('run_no', { mode: 'number' })
      .notNull()
      .references(() => run.no),
    audienceNo: integer('audience_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    generation: smallint('generation').notNull(),
    operation: text('operation').notNull(),
    /** list: adds to the audience, or removes from it. account: removes from all audiences of the account. replace: a part of a new list. */
    manner: text('manner').notNull().default('list'),
    /** Of a removal that another audience's call did for this one, too: that call's batch. */
    sharedCall: bigint('shared_call', { mode: 'number' }),
    lane: text('lane').notNull().default(''),
    sessionId: bigint('session_id', { mode: 'number' }),
    sessionSeq: integer('session_seq'),
    sessionLast: boolean('session_last').notNull().default(false),
    rows: integer('rows').notNull(),
    /** People whose change ends with this batch, by kind. A replacement is counted by its add. */
    added: integer('added').notNull().default(0),
    removed: integer('removed').notNull().default(0),
    replaced: integer('replaced').notNull().default(0),
    state: text('state').notNull().default('planned'),
    attempts: integer('attempts').notNull().default(0),
    /** Of the body that was sent first: a resend must be the same, byte for byte. */
    sha256: bytes('sha256'),
    /** Position in the suppression log that the fetch saw; a later tombstone voids it (C10). */
    suppressionsAt: text('suppressions_at').notNull(),
    fetchedAt: at('fetched_at').notNull(),
    sentAt: at('sent_at'),
    /** Ours, and the platform's own clock (C20). */
    acceptedAt: at('accepted_at'),
    platformAcceptedAt: at('platform_accepted_at'),
    appliedAt: at('applied_at'),
    /** False when a wait of seven days ended without the platform's word. */
    confirmed: boolean('confirmed').notNull().default(true),
    receipt: jsonb('receipt'),
    failure: jsonb('failure'),
    /** Of `removed`: not for privacy, so the brake counts them (C17). */
    braked: integer('braked').notNull().default(0),
    /** People of `added`, `removed` and `replaced` that the platform refused, by kind. */
    rejectedAdded: integer('rejected_added').notNull().default(0),
    rejectedRemoved: integer('rejected_removed').notNull().default(0),
    rejectedReplaced: integer('rejected_replaced').notNull().default(0),
    /** Rows that the platform counted as refused without naming them: their people are unknown (C24). */
    unnamedRejections: integer('unnamed_rejections').notNull().default(0),
    /** Said before and said again: not counted (C4). */
    repeat: boolean('repeat').notNull().default(false),
  },
  (t) => [
    index('batch_of_run').on(t.runNo),
    // The exceptions that a worker loads before it reads the ledger; all others were accepted.
    index('batch_exception').on(t.audienceNo).where(sql`state NOT IN ('accepted', 'applied', 'split')`),
    // What settle looks after.
    index('batch_to_settle').on(t.audienceNo).where(sql`state = 'accepted'`),
  ],
)

/** The rows of a batch, encrypted, from the first attempt until its outcome is known: what makes a resend identical. */
export const batchPayload = pgTable('batch_payload', {
  batchNo: bigint('batch_no', { mode: 'number' })
    .primaryKey()
    .references(() => batch.no, { onDelete: 'cascade' }),
  destinationNo: smallint('destination_no').notNull(),
  tenantNo: integer('tenant_no').notNull(),
  payload: bytes('payload').notNull(),
})

/**
 * Our memory of the far side: one row per person, audience and generation of it who is, or may be, there. `addBatch` and `removeBatch` are the
 * last of each kind; the later one decides. `held` is every key set that may be there, encrypted (R1, C12): entered before it
 * is sent, left only after a later removal was applied.
 */
export const ledger = pgTable(
  'ledger',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    /** Of what `addBatch` carried, as it came with the identifiers (C9); 53 bits. */
    fingerprint: bigint('fingerprint', { mode: 'number' }).notNull(),
    addBatch: bigint('add_batch', { mode: 'number' }).notNull(),
    removeBatch: bigint('remove_batch', { mode: 'number' }),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    configVersion: integer('config_version').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    generation: smallint('generation').notNull(),
    normaliser: smallint('normaliser').notNull(),
    held: bytes('held').notNull(),
  },
  (t) => [
    // The diff looks people up by number, the full reconcile reads in this order.
    primaryKey({ columns: [t.audienceNo, t.customerNo, t.generation] }),
    // Suppression: every audience that holds this person.
    index('ledger_by_customer').on(t.customerNo),
    // Settle forgets those whose removal was applied.
    index('ledger_removed').on(t.removeBatch).where(sql`remove_batch IS NOT NULL`),
  ],
)

/** Keyed tags of the identifiers sent, to find who else holds the same one (C2). */
export const ledgerTag = pgTable(
  'ledger_tag',
  {
    tag: bigint('tag', { mode: 'number' }).notNull(),
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
  },
  (t) => [primaryKey({ columns: [t.audienceNo, t.tag, t.customerNo] })],
)

/** What earlier runs left to do: whatever ended other than accepted (C3), and removals that may not wait. */
export const todo = pgTable(
  'todo',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    /** privacy | rejected | failed | dissolved | in_flight | unknown | too_small | normaliser */
    reason: text('reason').notNull(),
    attempts: smallint('attempts').notNull().default(0),
    notBefore: at('not_before').notNull().defaultNow(),
    /** The run that left it. */
    runNo: bigint('run_no', { mode: 'number' }),
  },
  (t) => [
    primaryKey({ columns: [t.audienceNo, t.customerNo] }),
    // Who waits for a call to end, among all that is left to do.
    index('todo_waiting').on(t.audienceNo).where(sql`reason IN ('in_flight', 'normaliser')`),
  ],
)

/**
 * Whose last word has to be said again: the platform may have applied an earlier call after it (SYNC.md C4, C16). A row is left by
 * the commit that records the word, and goes when it was repeated, or when there is a newer word.
 */
export const sayAgain = pgTable(
  'say_again',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    dueAt: at('due_at').notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    /** Repetitions to come. */
    times: smallint('times').notNull(),
    /** No call up to this one may be open: an earlier one that named the person, or somebody else's removal that shares an identifier (C2). */
    afterBatch: bigint('after_batch', { mode: 'number' }),
    /** An earlier addition may outlast the removal that came before the last word: that is said again as well. */
    bothHalves: boolean('both_halves').notNull().default(false),
  },
  (t) => [primaryKey({ columns: [t.audienceNo, t.customerNo] }), index('say_again_due').on(t.destinationNo, t.dueAt)],
)

/** Who was refused in which run, and why. */
export const rejection = pgTable(
  'rejection',
  {
    runNo: bigint('run_no', { mode: 'number' }).notNull(),
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    operation: text('operation').notNull(),
    batchNo: bigint('batch_no', { mode: 'number' }),
    code: text('code').notNull(),
    platform: jsonb('platform'),
    /** Of what was refused: the attempts of earlier runs count while it stays the same. */
    fingerprint: bigint('fingerprint', { mode: 'number' }),
    attempts: smallint('attempts').notNull().default(1),
    firstAt: at('first_at').notNull().defaultNow(),
    lastAt: at('last_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.runNo, t.customerNo, t.operation] }), index('rejection_of_person').on(t.audienceNo, t.customerNo)],
)

/**
 * Which calls removed whom for privacy: what proves it later, when the ledger has forgotten. Rows of other audiences than the batch's
 * are those that an account-wide call took along.
 */
export const privacyRemoval = pgTable(
  'privacy_removal',
  {
    batchNo: bigint('batch_no', { mode: 'number' }).notNull(),
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    audienceNo: integer('audience_no').notNull(),
    tenantNo: integer('tenant_no').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    /** Of the sealed ledger row that the call saw: unchanged since, its audience need not call again. null: the batch is the audience's own. */
    heldDigest: bytes('held_digest'),
  },
  (t) => [primaryKey({ columns: [t.batchNo, t.audienceNo, t.customerNo] }), index('privacy_removal_of_person').on(t.customerNo)],
)

/** Every call to a platform, identifiers masked, kept 90 days. */
export const call = pgTable(
  'call',
  {
    no: identity('no').primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    audienceNo: integer('audience_no').notNull(),
    runNo: bigint('run_no', { mode: 'number' }),
    batchNo: bigint('batch_no', { mode: 'number' }),
    method: text('method').notNull(),
    path: text('path').notNull(),
    /** null: no answer came. */
    status: smallint('status'),
    durationMs: integer('duration_ms').notNull(),
    request: jsonb('request'),
    response: jsonb('response'),
    platformRequestId: text('platform_request_id'),
    traceId: text('trace_id'),
    startedAt: at('started_at').notNull(),
  },
  (t) => [index('call_of_run').on(t.runNo, t.no), index('call_by_time').on(t.startedAt)],
)

/** Who may no longer be sent, as read from behavior-export's suppression log: a fetch from before `at` is void (C10). */
export const tombstone = pgTable(
  'tombstone',
  {
    customerNo: bigint('customer_no', { mode: 'number' }).notNull(),
    destinationNo: smallint('destination_no').notNull(),
    purposes: smallint('purposes').notNull(),
    /** Position in the suppression log, as two sortable numbers. */
    xid: bigint('xid', { mode: 'number' }).notNull(),
    seq: bigint('seq', { mode: 'number' }).notNull(),
  },
  (t) => [primaryKey({ columns: [t.destinationNo, t.customerNo] })],
)

/** Where each connector stands in the suppression log. */
export const suppressionCursor = pgTable('suppression_cursor', {
  destinationNo: smallint('destination_no').primaryKey(),
  epoch: text('epoch'),
  position: text('position').notNull().default('0:0'),
})

/** One bucket per quota the platform really has, shared by all pods (R5). */
export const quota = pgTable(
  'quota',
  {
    destinationNo: smallint('destination_no').notNull(),
    quota: text('quota').notNull(),
    /** The account's external id, '' for the installation, or a tenant's UUID: what it has out of the installation's. */
    scope: text('scope').notNull(),
    capacity: doublePrecision('capacity').notNull(),
    /** Points that are out, and when they come back: `Spent` of pure/pace.ts. */
    spent: jsonb('spent').notNull().default([]),
    /** The platform's own percentage, last heard. */
    percent: doublePrecision('percent'),
    /** That figure passed 80 % and has not been below 60 % since. */
    low: boolean('low').notNull().default(false),
    blockedUntil: at('blocked_until'),
    tier: text('tier'),
    /** End of the gap after the last call, where the quota is nearly used up. */
    pacedUntil: at('paced_until'),
  },
  (t) => [primaryKey({ columns: [t.destinationNo, t.quota, t.scope] })],
)

/** Sizes and statuses over time, one row per change: what the history shows. Kept 400 days. */
export const history = pgTable(
  'history',
  {
    no: identity('no').primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    audienceNo: integer('audience_no').notNull(),
    at: at('at').notNull().defaultNow(),
    kind: text('kind').notNull(),
    data: jsonb('data').notNull(),
  },
  (t) => [index('history_of_audience').on(t.audienceNo, t.no), index('history_by_time').on(t.at)],
)

/**
 * A similar audience that the platform makes of an audience of ours, its seed. Written by `audiences` when it is wished for, moved on
 * under the seed's lease: pending (the seed is not ready) → creating (a create may have been sent) → active | error, or deleting.
 */
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

/** Which normaliser each destination's connector speaks with, written at its start: what previews, plans and reports are made with. */
export const normaliserInForce = pgTable('normaliser_in_force', {
  destinationNo: smallint('destination_no').primaryKey(),
  version: smallint('version').notNull(),
  /** Beside it: newer ones in shadow, older ones to go back to. */
  others: smallint('others').array().notNull(),
  since: at('since').notNull().defaultNow(),
})

/** What another normaliser would change in an audience: asked for by `audiences`, counted by the connector without a call. Figures and shapes, nobody's identifiers. */
export const normaliserReport = pgTable(
  'normaliser_report',
  {
    no: identity('no').primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    destinationNo: smallint('destination_no').notNull(),
    audienceNo: integer('audience_no').notNull(),
    /** The one to look at, and the one that it was compared with. */
    version: smallint('version').notNull(),
    inForce: smallint('in_force'),
    /** People to look at, evenly chosen; null: everyone. */
    atMost: integer('at_most'),
    /** queued | running | done | failed */
    status: text('status').notNull().default('queued'),
    figures: jsonb('figures'),
    error: jsonb('error'),
    /** Whoever counts says so page by page; after that somebody else begins again. */
    claimedUntil: at('claimed_until'),
    requestedAt: at('requested_at').notNull().defaultNow(),
    finishedAt: at('finished_at'),
  },
  (t) => [
    index('normaliser_report_of_audience').on(t.audienceNo, t.no.desc()),
    uniqueIndex('one_open_normaliser_report').on(t.audienceNo, t.version).where(sql`status IN ('queued', 'running')`),
  ],
)
