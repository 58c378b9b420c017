/** REST shapes of audiences: what a user chooses, what is shown of it, and why one person is there or not (API.md). */
import { z } from 'zod'
import { zId } from '../ids.ts'
import { Consent, identifierChoices, purposes } from '../people.ts'
import { Schedule } from '../schedule.ts'
import { Transformations } from '../transformations.ts'
import { Drift, DriftPolicy, DriftPolicyPatch } from './drift.ts'
import { RemovalCall } from './proofs.ts'
import { Reason, Run } from './runs.ts'

const time = z.iso.datetime()
const count = z.int().min(0)

// ─── what a user chooses ────────────────────────────────────────────────────────────────────────────────────────────────

export const Name = z
  .string()
  .trim()
  .min(1)
  .max(255)
  .regex(/^[^\p{Cc}]*$/u, 'no control characters')
export const Choices = z
  .array(z.enum(identifierChoices))
  .min(1)
  .refine((list) => new Set(list).size === list.length, 'each identifier once')
  .meta({ description: 'which identifiers may leave' })
const RetryPolicy = z
  .strictObject({
    attempts: z.int().min(1).max(20).default(8).meta({ description: 'of one call, within a run' }),
    windowHours: z.int().min(1).max(168).default(24).meta({ description: 'from a run’s start; what is not known by then is left to the next run' }),
    backoffSeconds: z
      .int()
      .min(1)
      .max(300)
      .optional()
      .meta({ description: 'first pause after a failed call; it doubles, up to five minutes. The installation’s own unless given' }),
  })
  .meta({ description: 'for calls that fail or are not answered' })
const Preset = z.string().max(64).meta({ description: 'in place of `identifiers`: one of the destination’s presets' })
/** Either the identifiers or a preset. */
const oneChoice = ({ identifiers, identifierPreset }: { identifiers?: unknown; identifierPreset?: unknown }) => !identifiers || !identifierPreset
const ONE_CHOICE = { error: 'either identifiers or identifierPreset', path: ['identifierPreset'] }
const Brake = z
  .strictObject({ sharePercent: z.int().min(1).max(100).default(30), minimum: count.max(1_000_000_000).default(100) })
  .meta({ description: 'a run that would remove more than this share, and at least `minimum` people, is held' })
const MinimumSize = z.int().min(1).max(1_000_000_000)
export const Settings = z.record(z.string().max(64), z.unknown()).meta({ description: 'by the JSON Schema of the destination' })
const AudiencePurpose = z.enum(['targeting', 'exclusion', 'seed'])

export const NewAudience = z
  .strictObject({
    behaviorId: zId('behavior'),
    destination: z.string().max(64).meta({ example: 'meta' }),
    accountId: zId('account').optional().meta({
      description:
        'left out: the default account (`/v1/default-accounts`) for the behavior, else for the purpose, else for the kind of behavior, else for the destination',
    }),
    name: Name.meta({ description: '`{behavior}`, `{quarter}`, `{purpose}`, `{duration}` and `{date}` are filled in' }),
    description: z.string().max(2_000).default(''),
    purpose: AudiencePurpose.default('targeting'),
    start: z.boolean().default(true).meta({ description: 'the first run begins at once, whatever the schedule' }),
    schedule: Schedule.prefault({ frequency: 'daily' }),
    identifiers: Choices.optional().meta({ description: 'which identifiers may leave; e-mail and phone unless given' }),
    identifierPreset: Preset.optional(),
    transformations: Transformations.default([]),
    retryPolicy: RetryPolicy.prefault({}),
    brake: Brake.prefault({}),
    drift: DriftPolicy.prefault({}),
    minimumSize: MinimumSize.optional().meta({ description: 'the destination’s own unless given' }),
    adopt: z
      .strictObject({ externalId: z.string().min(1).max(64) })
      .nullable()
      .default(null)
      .meta({ description: 'an audience that exists at the destination: it is kept in step and never deleted by us' }),
    settings: Settings.default({}),
  })
  .refine(oneChoice, ONE_CHOICE)
  .meta({ id: 'NewAudience' })
export type NewAudience = z.infer<typeof NewAudience>

export const AudiencePatch = z
  .strictObject({
    name: Name.optional(),
    description: z.string().max(2_000).optional(),
    purpose: AudiencePurpose.optional(),
    schedule: Schedule.optional(),
    identifiers: Choices.optional(),
    identifierPreset: Preset.optional(),
    transformations: Transformations.optional(),
    retryPolicy: RetryPolicy.optional(),
    brake: Brake.optional(),
    drift: DriftPolicyPatch.optional(),
    minimumSize: MinimumSize.optional(),
    settings: Settings.optional().meta({ description: 'merged into the settings as they are' }),
  })
  .refine(oneChoice, ONE_CHOICE)
  .meta({ id: 'AudiencePatch' })
export type AudiencePatch = z.infer<typeof AudiencePatch>

export const Refresh = z.strictObject({ mode: z.enum(['incremental', 'full']).default('incremental') })
export const Pause = z.strictObject({ reason: z.string().trim().max(500).default('') })

// ─── audiences ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const audienceStatuses = ['active', 'syncing', 'pending', 'error', 'paused', 'rate_limited', 'held', 'deleting'] as const

export const NameWarnings = z
  .array(
    z.object({
      code: z.string(),
      field: z.enum(['name', 'description']),
      topic: z.string(),
      words: z.array(z.string()),
      title: z.string(),
      solution: z.string(),
    }),
  )
  .meta({ description: 'words of name and description that the platform may take offence at' })

export const Audience = z
  .object({
    id: zId('audience'),
    status: z.enum(audienceStatuses),
    statusReason: Reason.nullable(),
    behaviorId: zId('behavior'),
    destination: z.string(),
    accountId: zId('account'),
    connectionId: zId('connection'),
    externalId: z.string().nullable(),
    adopted: z.boolean(),
    name: z.string(),
    description: z.string(),
    purpose: AudiencePurpose,
    campaignRef: z.string().nullable(),
    schedule: Schedule,
    identifiers: z.array(z.enum(identifierChoices)),
    transformations: Transformations,
    retryPolicy: RetryPolicy,
    brake: Brake,
    minimumSize: count,
    drift: Drift.meta({ description: 'what the last look at the destination found, and what is done about it' }),
    settings: Settings,
    size: z.object({
      behavior: count.nullable(),
      eligible: count.nullable().meta({
        description:
          'members who may be sent and have a usable chosen identifier. Rules that leave people out are not looked at; whom a rule may mend (a default country, a prefix) counts: the most that can be',
      }),
      destination: count.nullable(),
      asOf: time.nullable(),
    }),
    matchRate: z.number().min(0).max(1).nullable().meta({ description: 'the destination’s size against ours, where the destination tells one' }),
    destinationState: z
      .object({ state: z.enum(['ready', 'processing', 'too_small', 'flagged', 'disabled', 'expiring']), detail: z.string(), asOf: time })
      .nullable()
      .meta({ description: 'how the destination last said that the audience is; null: it was not asked yet' }),
    sizeAdvice: z.object({ band: z.string(), text: z.string(), limitedReach: z.boolean() }).nullable(),
    nameWarnings: NameWarnings,
    notices: z
      .array(z.object({ code: z.string(), title: z.string(), solution: z.string(), detail: z.string().optional() }))
      .meta({ description: 'what follows from purpose and settings at this destination; nothing is wrong' }),
    lastRun: Run.nullable(),
    nextRunAt: time.nullable(),
    createdAt: time,
    updatedAt: time,
  })
  .meta({ id: 'Audience' })
export type Audience = z.infer<typeof Audience>

export const historyKinds = ['sync', 'size', 'status', 'destination', 'lookalike', 'drift'] as const
export const HistoryEntry = z
  .object({
    at: time,
    kind: z.string().meta({
      description:
        'sync: a run that has ended: {runId, trigger, mode, status, startedAt, added, removed, replaced, rejected, apiCalls, error, and as the destination last told: size, eligible, matchRate, destination: {state, detail, asOf}}; destination: its state there, {from, to, detail}; size: {behavior, eligible}, {destination, lower, upper} or a crossing of the minimum; status: {from, to, code}; lookalike: {lookalikeId, name, from, to, code}; drift: {code, over}: something at the destination that is not ours, or `recreated`: {generation, instead}',
    }),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'HistoryEntry' })

/** Why is this person there, or not. No identifiers, only what became of them. */
export const Explanation = z
  .object({
    customerId: z.string(),
    membership: z.object({
      member: z.boolean(),
      since: time.nullable().meta({ description: 'when the last event says that they came or went; null: never a member' }),
      eventId: z.string().nullable().meta({ description: 'of that event, where its id is a UUID' }),
    }),
    consent: Consent.extend({
      purpose: z.enum(purposes).meta({ description: 'what this audience needs' }),
      allowed: z.boolean(),
      code: z.string().nullable().meta({ description: 'why not' }),
    }),
    identifiers: z
      .partialRecord(
        z.enum(identifierChoices),
        z.object({
          kept: z.boolean(),
          code: z.string().optional().meta({ description: 'why nothing of it is kept' }),
          dropped: z.array(z.object({ field: z.string(), code: z.string() })),
        }),
      )
      .meta({ description: 'the chosen ones, after the audience’s transformations' }),
    state: z.enum(['absent', 'planned', 'sending', 'accepted', 'applied', 'rejected', 'unknown', 'removed']),
    operation: z.enum(['add', 'remove']).nullable().meta({ description: 'of the last call that named this person' }),
    reason: z.object({ code: z.string(), title: z.string(), solution: z.string(), platform: z.unknown().optional() }).nullable(),
    runId: zId('run').nullable(),
    batchId: zId('batch').nullable(),
    receipt: z.record(z.string(), z.unknown()).nullable(),
    next: z.enum(['add', 'remove', 'replace', 'none']),
    removals: z.array(RemovalCall).meta({ description: 'calls that removed this person for privacy, oldest first' }),
  })
  .meta({ id: 'Explanation' })

export const Quota = z
  .object({
    accountId: zId('account'),
    destination: z.string(),
    quotas: z.array(
      z.object({
        id: z.string(),
        scope: z.enum(['account', 'installation']),
        capacity: z.number(),
        used: z.number().meta({ description: 'as we count; each point comes back `decaySeconds` after its call' }),
        headRoom: z.number().meta({ description: 'points that are left now' }),
        decaySeconds: z.int(),
        forecast: z
          .object({ perHour: z.number().meta({ description: 'points that our calls of the last minutes would cost in an hour' }), goneAt: time.nullable() })
          .meta({ description: 'when it is used up if calls go on like this; null: it is not, points come back faster' }),
        low: z.boolean().meta({ description: 'the platform’s figure has passed 80 % and has not been below 60 % since' }),
        platformPercent: z.number().nullable().meta({ description: 'the platform’s own figure, last heard' }),
        blockedUntil: time.nullable(),
        tier: z.string().nullable(),
      }),
    ),
    usedBy: z
      .array(z.object({ audienceId: zId('audience'), name: z.string(), calls: count, share: z.number().min(0).max(1) }))
      .meta({ description: 'audiences of this account by their calls of the last hour, most first' }),
    runs: z
      .array(
        z.object({
          audienceId: zId('audience'),
          name: z.string(),
          runId: zId('run').nullable().meta({ description: 'the run that is open; null: the next slot' }),
          status: z.enum(['queued', 'running', 'waiting']).nullable(),
          calls: count.meta({ description: 'that it expects to make' }),
          startsAt: time.nullable().meta({ description: 'or goes on at; null: paused, held, or nothing is to come' }),
          endsAt: time.nullable(),
          dueBy: time.nullable().meta({ description: 'by its schedule; null: somebody asked for it, or nothing is to come' }),
          atRisk: z.boolean().meta({ description: 'it is expected to end later than its schedule asks for' }),
        }),
      )
      .meta({
        description: 'the next run of each audience of this account, if nothing else comes: estimates, from the limits above and what each expects to send',
      }),
  })
  .meta({ id: 'Quota' })
