/** REST shapes of webhook endpoints, their deliveries and the event types (API.md «Webhooks»). */
import { z } from 'zod'
import { zId } from '../ids.ts'
import { webhookEventTypes } from '../webhook-events.ts'

const time = z.iso.datetime()
const EventType = z.enum(webhookEventTypes)
const eventTypes = z.array(EventType).min(1).max(webhookEventTypes.length)
const Url = z.string().min(1).max(2_048).meta({ description: 'https, port 443 or 8443, a public address', example: 'https://example.com/hooks' })
const Description = z.string().max(500)

export const WebhookEndpoint = z
  .object({
    id: zId('webhookEndpoint'),
    url: z.string(),
    description: z.string(),
    eventTypes: z.array(z.string()).nullable().meta({ description: 'null: all types, also those that come later' }),
    status: z.enum(['enabled', 'disabled']),
    statusReason: z.object({ code: z.string(), title: z.string(), solution: z.string(), since: time }).nullable(),
    failingSince: time.nullable().meta({ description: 'since then every attempt has failed; disabled after 120 hours of that' }),
    pausedUntil: time.nullable().meta({ description: 'until then nothing is sent: the endpoint asked for it, or has been failing' }),
    previousSecretUntil: time.nullable().meta({ description: 'until then both secrets sign' }),
    createdAt: time,
    updatedAt: time,
  })
  .meta({ id: 'WebhookEndpoint' })
export type WebhookEndpoint = z.infer<typeof WebhookEndpoint>

/** `secret` is answered once. A repeat with the same Idempotency-Key answers null: it stands nowhere in the clear. */
export const WebhookEndpointWithSecret = WebhookEndpoint.extend({
  secret: z.string().nullable().meta({ description: 'whsec_…: signs each request, by Standard Webhooks; shown in this answer only' }),
}).meta({ id: 'WebhookEndpointWithSecret' })

export const NewWebhookEndpoint = z.strictObject({ url: Url, eventTypes: eventTypes.nullable().default(null), description: Description.default('') })
export type NewWebhookEndpoint = z.infer<typeof NewWebhookEndpoint>

export const WebhookEndpointPatch = z.strictObject({
  url: Url.optional(),
  eventTypes: eventTypes.nullable().optional(),
  description: Description.optional(),
  enabled: z.boolean().optional(),
})
export type WebhookEndpointPatch = z.infer<typeof WebhookEndpointPatch>

const Attempt = z.object({
  at: time,
  durationMs: z.int(),
  status: z.int().nullable().meta({ description: 'of the answer; null: there was none' }),
  error: z.string().nullable().meta({ description: 'why it failed; null: it did not' }),
  response: z.string().meta({ description: 'the first 1,024 bytes of the answer, addresses and secrets blotted out' }),
})

export const DeliveryState = z.enum(['waiting', 'delivered', 'failed', 'skipped'])

export const WebhookDelivery = z
  .object({
    id: zId('delivery').meta({ description: 'the header webhook-id: the same in every attempt' }),
    eventId: z.string(),
    type: z.string(),
    state: DeliveryState.meta({ description: 'failed: ten attempts did not help; skipped: the endpoint was disabled. Both can be replayed' }),
    payload: z.unknown(),
    createdAt: time,
    deliveredAt: time.nullable(),
    nextAttemptAt: time.nullable(),
    attempts: z.array(Attempt),
  })
  .meta({ id: 'WebhookDelivery' })
export type WebhookDelivery = z.infer<typeof WebhookDelivery>

/** One delivery whatever became of it, or all since a time that were not delivered; without either, all of the last 30 days. */
export const ReplayDeliveries = z
  .strictObject({ since: time.optional(), deliveryId: zId('delivery').optional() })
  .refine(({ since, deliveryId }) => since === undefined || deliveryId === undefined, { error: 'names both since and deliveryId' })

export const Replayed = z.object({ replayed: z.int() }).meta({ id: 'Replayed' })

/** In a query, comma-separated. */
export const EventTypeList = z
  .string()
  .max(1_000)
  .transform((text) => text.split(','))
  .pipe(eventTypes)
  .meta({ description: 'only these types, comma-separated' })

export const EventTypes = z.object({
  data: z.array(
    z.object({ type: z.string(), description: z.string(), schema: z.record(z.string(), z.unknown()).meta({ description: 'JSON Schema of `data`' }) }),
  ),
})
