/** REST shapes of behaviors, customers and privacy (API.md); the shapes of a bulk line are those of the events, too. */
import { z } from 'zod'
import { zId } from '../ids.ts'
import { Consent, Identifiers, identifierGroups, purposes } from '../people.ts'

const time = z.iso.datetime()
/** Any zone; compared to the millisecond. */
export const occurredAt = z.iso.datetime({ offset: true }).max(64)

/** Postgres and UTF-8 can hold it. */
export const isStorable = (text: string): boolean => !text.includes('\u0000') && text.isWellFormed()
const NOT_STORABLE = 'contains characters that cannot be stored'

/** The tenant's own id of a person: any text that can be stored. */
export const CustomerId = z.string().min(1).max(256).refine(isStorable, NOT_STORABLE).meta({ description: 'the customer’s id as you know it', example: 'c_1' })

// ─── behaviors ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export const BehaviorKind = z.enum(['suggested', 'custom'])

export const BehaviorKey = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[\w.:-]+$/)
  .meta({ description: 'your own name for it, unique; events may use it', example: 'comfort_seekers' })

const behaviorFields = {
  key: BehaviorKey,
  name: z.string().trim().min(1).max(200).refine(isStorable, NOT_STORABLE),
  kind: BehaviorKind,
  description: z.string().max(2_000).refine(isStorable, NOT_STORABLE),
}

export const NewBehavior = z.strictObject({ ...behaviorFields, kind: BehaviorKind.default('custom'), description: behaviorFields.description.default('') })
export type NewBehavior = z.infer<typeof NewBehavior>

export const BehaviorPatch = z.strictObject(behaviorFields).partial()
export type BehaviorPatch = z.infer<typeof BehaviorPatch>

export const Behavior = z
  .object({ id: zId('behavior'), key: z.string(), name: z.string(), kind: BehaviorKind, description: z.string(), createdAt: time, updatedAt: time })
  .meta({ id: 'Behavior' })
export type Behavior = z.infer<typeof Behavior>

export const BehaviorWithMembers = Behavior.extend({ members: z.int() }).meta({ id: 'BehaviorWithMembers' })

const Coverage = z.object({
  present: z.int().meta({ description: 'members with something given' }),
  usable: z.int().meta({ description: 'members with something that platforms can match by' }),
  unusable: z.record(z.string(), z.int()).meta({ description: 'values that cannot be used, by code' }),
})

/** GET /v1/behaviors/{id}/health: how much of a behavior can be sent, from what ingest noted. */
export const BehaviorHealth = z
  .object({
    members: z.int(),
    unknown: z.int().meta({ description: 'members of whom nothing but the membership is known' }),
    unmatchable: z.int().meta({ description: 'members without any usable identifier' }),
    sendable: z.record(z.enum(purposes), z.int()).meta({ description: 'members who may be sent, by purpose' }),
    suppressed: z.object({ consent_denied: z.int(), opted_out: z.int() }).meta({ description: 'members who may not be sent to ad destinations, by reason' }),
    identifiers: z.record(z.enum(identifierGroups), Coverage),
  })
  .meta({ id: 'BehaviorHealth' })
export type BehaviorHealth = z.infer<typeof BehaviorHealth>

const share = z.number().min(0).max(1)
const MOST_OVERLAPPING = 10 // 45 pairs, and a bit of a number for each

/** GET /v1/behaviors/overlap?ids=beh_…,beh_… */
export const OverlapQuery = z.strictObject({
  ids: z
    .string()
    .max(1_000)
    .transform((text) => text.split(','))
    .pipe(
      z
        .array(z.string().min(1))
        .min(2)
        .max(MOST_OVERLAPPING)
        .refine((ids) => new Set(ids).size === ids.length, 'names a behavior twice'),
    )
    .meta({ description: `two to ${MOST_OVERLAPPING} behaviors, separated by commas`, type: 'string' }),
})

export const BehaviorOverlap = z
  .object({
    behaviors: z.array(z.object({ behaviorId: zId('behavior'), key: z.string(), name: z.string(), members: z.int() })),
    pairs: z
      .array(
        z.object({
          behaviorIds: z.array(zId('behavior')).length(2),
          common: z.int().meta({ description: 'members of both' }),
          shareOfFirst: share.meta({ description: 'of the members of the first who are in both' }),
          shareOfSecond: share,
        }),
      )
      .meta({ description: 'each two of them once' }),
    sampledShare: z.number().nullable().meta({
      description: 'null: everyone was counted. Else the members are too many for one answer: this share of the customers was, and the figures are scaled up',
    }),
  })
  .meta({ id: 'BehaviorOverlap' })
export type BehaviorOverlap = z.infer<typeof BehaviorOverlap>

// ─── bulk ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One line of POST /v1/behaviors/{id}/members. */
export const MembershipChange = z.strictObject({ customerId: CustomerId, member: z.boolean(), occurredAt })
export type MembershipChange = z.infer<typeof MembershipChange>

/** One line of POST /v1/customers. Without `consent` what is stored of it stays; without `identifiers` only the consent is new. */
export const CustomerRecord = z.strictObject({
  customerId: CustomerId,
  identifiers: Identifiers.optional(),
  consent: Consent.optional(),
  value: z.number().optional(),
  occurredAt,
})
export type CustomerRecord = z.infer<typeof CustomerRecord>

export const BulkQuery = z.strictObject({
  atomic: z.enum(['true', 'false']).default('false').meta({ description: 'one bad line refuses all: 400, and nothing is stored' }),
})

export const BulkError = z.object({ line: z.int().meta({ description: 'from 1' }), code: z.string(), detail: z.string() })
export type BulkError = z.infer<typeof BulkError>

export const BulkAnswer = z
  .object({
    received: z.int(),
    changed: z.int().meta({ description: 'lines that changed what is stored' }),
    stale: z.int().meta({ description: 'lines older than what is stored' }),
    rejected: z.int().meta({ description: 'lines that were not stored' }),
    errors: z.array(BulkError).max(100).meta({ description: 'the first 100; an unusable identifier is told here although the line was stored' }),
  })
  .meta({ id: 'BulkAnswer' })
export type BulkAnswer = z.infer<typeof BulkAnswer>

// ─── customers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A customer as we show them: what is known, never the values. Between services, GET /internal/v1/customers/{customerId}: `KnownCustomer`. */
export const Customer = z
  .object({
    customerId: z.string(),
    occurredAt: time.nullable().meta({ description: 'as of when the identifiers are; null: only memberships are known' }),
    identifiers: z.partialRecord(z.enum(identifierGroups), z.object({ usable: z.boolean() })).meta({ description: 'groups in which something was given' }),
    unusable: z.array(z.object({ field: z.string(), code: z.string() })),
    consent: Consent,
    consentAt: time.nullable(),
    maySendTo: z.array(z.enum(purposes)),
    value: z.number().nullable(),
    behaviors: z.array(z.object({ behaviorId: zId('behavior'), key: z.string(), name: z.string(), member: z.boolean(), since: time })),
  })
  .meta({ id: 'Customer' })
export type Customer = z.infer<typeof Customer>

/** With the number that the engine knows them by. */
export const KnownCustomer = z.object({ no: z.int(), customer: Customer })
export type KnownCustomer = z.infer<typeof KnownCustomer>

/** One audience whose far side holds the customer, or may. */
export const CustomerExport = z.object({
  audienceId: zId('audience'),
  behaviorId: zId('behavior'),
  name: z.string(),
  destination: z.string(),
  operation: z.enum(['add', 'remove']).meta({ description: 'what the destination was told last' }),
  state: z
    .enum(['absent', 'planned', 'sending', 'accepted', 'applied', 'rejected', 'unknown', 'removed'])
    .meta({ description: 'how far that is; GET /v1/audiences/{id}/members/{customerId} says why' }),
})
export type CustomerExport = z.infer<typeof CustomerExport>

export const CustomerWithExports = Customer.extend({
  exported: z.array(CustomerExport).meta({ description: 'audiences that the customer is in at a destination, or may be' }),
}).meta({ id: 'CustomerWithExports' })
export type CustomerWithExports = z.infer<typeof CustomerWithExports>

// ─── privacy ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export const NewErasure = z.strictObject({ customerId: CustomerId })

export const Erasure = z
  .object({
    id: zId('erasure'),
    status: z
      .enum(['pending_destination', 'completed'])
      .meta({ description: 'pending until every destination has applied the removal: until its proof is complete' }),
    requestedAt: time,
    completedAt: time.nullable().meta({ description: 'when that was known, here and at every destination' }),
    purged: z.record(z.string(), z.int()).meta({ description: 'rows removed here, by kind' }),
  })
  .meta({ id: 'Erasure' })
export type Erasure = z.infer<typeof Erasure>
