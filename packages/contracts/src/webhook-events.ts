/**
 * What customers are told by webhook and by the stream of events: each type with the JSON Schema of its `data`. Ids and counts
 * only, never who somebody is. A type is listed when something in the system says it; new ones may come at any time.
 */
import { z } from 'zod'
import { zId } from './ids.ts'
import { Counts } from './rest/runs.ts'

const time = z.iso.datetime()
const count = z.int().min(0)
/** Why, in the words of the catalogue of errors; null when nothing is wrong. */
const Why = z.object({ code: z.string(), title: z.string(), solution: z.string() }).nullable()

const Hold = z.object({
  removals: count.meta({ description: 'people that the run would remove' }),
  size: count.meta({ description: 'of so many' }),
  before: count.meta({ description: 'removed in the 24 hours before' }),
  sharePercent: z.number().meta({ description: 'may go without approval' }),
  minimum: count.meta({ description: 'fewer than this are never held' }),
})

const Sync = z.object({
  audienceId: zId('audience'),
  runId: zId('run'),
  behaviorId: zId('behavior'),
  destination: z.string(),
  trigger: z.string(),
  mode: z.string(),
  status: z.string(),
  counts: Counts,
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
  reason: Why,
})

const Described = z.object({ behaviorId: zId('behavior'), key: z.string(), kind: z.string() })

interface WebhookEvent<S extends z.ZodType = z.ZodType> {
  readonly description: string
  readonly data: S
}

export const webhookEvents = {
  'audience.created': {
    description: 'An audience was created here; its first run follows.',
    data: z.object({ audienceId: zId('audience'), behaviorId: zId('behavior'), destination: z.string(), status: z.string(), reason: Why }),
  },
  'audience.status.changed': {
    description: 'The status of an audience changed. `held`: a run would remove too many people and waits for somebody to approve it; `hold` has the figures.',
    data: z.object({ audienceId: zId('audience'), from: z.string(), to: z.string(), reason: Why, runId: zId('run').nullable(), hold: Hold.nullable() }),
  },
  'audience.size.threshold_crossed': {
    description: 'The number of people who may be sent crossed the minimum size of the audience.',
    data: z.object({ audienceId: zId('audience'), direction: z.enum(['above', 'below']), eligible: count, minimum: count }),
  },
  'audience.match_rate.low': {
    description: 'Fewer of the people sent were found at the destination than `threshold`; told once, and again only after it was better.',
    data: z.object({ audienceId: zId('audience'), destination: z.string(), matchRate: z.number(), threshold: z.number() }),
  },
  'sync.completed': { description: 'A run is over, with or without people whom the platform rejected.', data: Sync },
  'sync.failed': { description: 'A run ended and did not do its work; `reason` says why and what to do.', data: Sync },
  'connection.expired': {
    description: 'The platform no longer takes the token of a connection: somebody has to connect again.',
    data: z.object({ connectionId: zId('connection'), destination: z.string(), accounts: count, reason: Why }),
  },
  'quota.low': {
    description: 'An account has used most of what the platform allows.',
    data: z.object({ accountId: zId('account'), destination: z.string(), quota: z.string(), percent: z.number(), until: time.nullable() }),
  },
  'behavior.created': { description: 'A behavior was made, here or by the service that finds who belongs to it.', data: Described },
  'behavior.criteria_changed': { description: 'What a behavior stands for was described anew; its members follow as they change.', data: Described },
  'customer.erasure.completed': {
    description: 'Nobody holds anything of a person any more whose erasure you asked for; GET /v1/privacy/erasures/{id}/proof proves it.',
    data: z.object({ erasureId: zId('erasure'), requestedAt: time.nullable(), completedAt: time.nullable() }),
  },
  'webhook_endpoint.disabled': {
    description: 'Another endpoint of yours is told nothing more until it is enabled again.',
    data: z.object({ endpointId: zId('webhookEndpoint'), reason: Why }),
  },
  'webhook_endpoint.test': {
    description: 'Somebody asked for a test. Sent to that endpoint only, whatever it listens to.',
    data: z.object({ endpointId: zId('webhookEndpoint') }),
  },
} as const satisfies Record<string, WebhookEvent>

export type WebhookEventType = keyof typeof webhookEvents
export type WebhookData<T extends WebhookEventType> = z.input<(typeof webhookEvents)[T]['data']>

export const webhookEventTypes = Object.keys(webhookEvents) as [WebhookEventType, ...WebhookEventType[]]

/** What is sent: the bytes of this are the body. */
export interface WebhookPayload {
  readonly type: WebhookEventType
  /** When it happened, ISO 8601. */
  readonly timestamp: string
  readonly data: unknown
}
