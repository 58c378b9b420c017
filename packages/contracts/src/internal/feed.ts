/**
 * What the engine asks of behavior-export, over HTTP with a service token (audience `behavior-export`, scope `internal`).
 * Nothing here carries personal data but the answer of `fetch`.
 *
 * A position is `"<xid>:<seq>"`: where a reader stands in the committed order of changes (DESIGN.md R2). An epoch names the
 * history that positions belong to; after a restore it is another one and every position is void (SYNC.md C8).
 */
import { z } from 'zod'
import { Consent, Identifiers, purposes, suppressionReasons } from '../people.ts'
import { fieldNames, Transformations } from '../transformations.ts'
import { Position } from './position.ts'

/**
 * `[customerNo, member 0|1, purposes bits, usable identifier-group bits, fingerprints base64 (8 bytes per set bit, in bit order)]`, and of
 * the few of whom something is withheld, three more: per purpose, in their order, the bits of the groups of which nothing is left,
 * because somebody else who carries the same may not be sent (SYNC.md C2).
 */
export const FeedRow = z.tuple([z.int(), z.union([z.literal(0), z.literal(1)]), z.int(), z.int(), z.string()], z.int())
export type FeedRow = z.infer<typeof FeedRow>

/** Groups that may be sent for a purpose (its bit). */
export const groupsLeft = ([, , , groups, , ...withheld]: FeedRow, purpose: number): number => groups & ~(withheld[Math.log2(purpose)] ?? 0)

/** The same snapshot for all of it. */
export const Horizon = z.object({
  epoch: z.string(),
  /** Everything below is committed or gone: readers may go up to here, exclusive. */
  xmin: z.string(),
  /** The first transaction id not yet given out; a reader that must not miss its cause waits until `xmin` reaches it (C5). */
  xmax: z.string(),
  /** The oldest position that can still be read. */
  oldest: Position,
})
export type Horizon = z.infer<typeof Horizon>

/** GET /internal/v1/behaviors/{behaviorId}/horizon → Horizon */

/**
 * GET /internal/v1/behaviors/{behaviorId}/changes?after=<position>&below=<xid>&limit=10000
 * Who changed, in committed order, each customer once a page, all with xid < min(below, xmin); how they stand is of the page's
 * snapshot, which may be later than `below`. A change that a page shows early is told again at its own place.
 * An answer without its trailer (`count`, `next`) must not be used (C7).
 */
export const ChangesPage = z.object({
  horizon: Horizon,
  rows: z.array(FeedRow),
  /** Read on from here. With `done`, everything below `below` has been read, and `next` is the position to store. */
  next: Position,
  done: z.boolean(),
  count: z.int(),
})
export type ChangesPage = z.infer<typeof ChangesPage>

/**
 * GET /internal/v1/behaviors/{behaviorId}/members?afterCustomer=<no>&limit=10000
 * Everyone who is or was a member, in order of customerNo, for the full reconcile. `start` is the position to continue
 * from with `changes`; take that of the first page (C8).
 */
export const MembersPage = z.object({ horizon: Horizon, start: Position, rows: z.array(FeedRow), nextCustomer: z.int(), done: z.boolean(), count: z.int() })
export type MembersPage = z.infer<typeof MembersPage>

/**
 * POST /internal/v1/behaviors/{behaviorId}/rows: how things stand now for certain customers, for what earlier runs left to do.
 * One row per number asked for, in the order asked; somebody who never was a member is a row with member 0 and nothing usable.
 */
export const RowsRequest = z.strictObject({ customers: z.array(z.int()).max(10_000) })
export const RowsAnswer = z.object({ rows: z.array(FeedRow), count: z.int() })

/**
 * GET /internal/v1/behaviors/{behaviorId}/eligible?purpose=ads&groups=<bits>&atMost=<n>
 * People who are members, may be sent for that purpose and have one of the groups. Counts stop at `atMost`, so that asking
 * "at least a hundred?" costs a hundred rows; without it everyone is counted.
 */
export const EligibleCount = z.object({ members: z.int(), eligible: z.int() })

/** POST /internal/v1/behaviors/{behaviorId}/fetch: one verdict per id asked for, in the order asked (C7). At most 10,000 ids. */
export const FetchRequest = z.strictObject({ customers: z.array(z.int()).max(10_000), purpose: z.enum(['ads', 'ads_ldu', 'crm']) })
export const FetchVerdict = z.discriminatedUnion('verdict', [
  z.object({
    verdict: z.literal('send'),
    no: z.int(),
    customerId: z.string(),
    identifiers: Identifiers,
    consent: Consent,
    value: z.number().optional(),
    /** To be flagged for limited data use. */
    limitedDataUse: z.boolean(),
    groups: z.int(),
    /** The fingerprints that belong to exactly these identifiers (C9). */
    fingerprints: z.string(),
  }),
  /** May not be sent for this purpose. */
  z.object({ verdict: z.literal('suppressed'), no: z.int(), reason: z.enum(suppressionReasons) }),
  /** Not in the behavior any more. */
  z.object({ verdict: z.literal('not_member'), no: z.int() }),
])
export type FetchVerdict = z.infer<typeof FetchVerdict>
/** `suppressionsAt`: position in the suppression log as of the same snapshot; a later tombstone voids the answer (C10). */
export const FetchAnswer = z.object({ verdicts: z.array(FetchVerdict), count: z.int(), suppressionsAt: Position })
export type FetchAnswer = z.infer<typeof FetchAnswer>

/** GET /internal/v1/suppressions?after=<position>&limit=10000: of all tenants, in committed order (C10). */
export const SuppressionRow = z.object({
  tenantId: z.string(),
  customerNo: z.int(),
  /** Purpose bits that are no longer allowed. */
  purposes: z.int(),
  reason: z.enum(suppressionReasons),
  at: Position,
})
export type SuppressionRow = z.infer<typeof SuppressionRow>
export const SuppressionsPage = z.object({ horizon: Horizon, rows: z.array(SuppressionRow), next: Position, done: z.boolean(), count: z.int() })
export type SuppressionsPage = z.infer<typeof SuppressionsPage>

/** POST /internal/v1/customers/resolve: the tenant's customerId ↔ our number; unknown ones are left out. */
export const ResolveRequest = z.strictObject({
  customerIds: z.array(z.string().max(256)).max(10_000).default([]),
  numbers: z.array(z.int()).max(10_000).default([]),
})
export const ResolveAnswer = z.object({ customers: z.array(z.object({ no: z.int(), customerId: z.string() })) })

/** GET /internal/v1/behaviors/{behaviorId}: for creating an audience. 404 when the tenant has no such behavior. */
export const BehaviorSummary = z.object({ id: z.string(), key: z.string(), name: z.string(), kind: z.enum(['suggested', 'custom']), members: z.int() })

/**
 * POST /internal/v1/behaviors/{behaviorId}/members/{customerId}/explain: what is known of one customer, no identifiers among it.
 * The transformations are applied to their identifiers here, so that nobody else needs to see them. 404 `customer_unknown`.
 */
export const ExplainRequest = z.strictObject({ transformations: Transformations.default([]) })
export const Explained = z.object({
  row: FeedRow,
  /** `since`: when the event says that it happened; null: never a member. `eventId`: where it is a UUID. */
  membership: z.object({ member: z.boolean(), since: z.iso.datetime().nullable(), eventId: z.string().nullable() }),
  consent: Consent,
  /** Per purpose why not; null: they may be sent. */
  suppressedBy: z.record(z.enum(purposes), z.enum(suppressionReasons).nullable()),
  /** By one of the transformations. */
  leftOut: z.boolean(),
  /** Each field that is there after the transformations: null when it can be used, else the code that says why not. */
  fields: z.partialRecord(z.enum(fieldNames), z.string().nullable()),
  /** Per purpose the fields of which nothing is sent, because somebody else who carries them may not be sent (C2). */
  withheld: z.partialRecord(z.enum(purposes), z.array(z.enum(fieldNames))).default({}),
})
export type Explained = z.infer<typeof Explained>
