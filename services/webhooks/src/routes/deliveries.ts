import { DeliveryState, EventTypes, ReplayDeliveries, Replayed, WebhookDelivery } from '@audience-sync/contracts/rest/webhooks'
import { webhookEvents } from '@audience-sync/contracts/webhook-events'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import { decodeCursor, pageOf, toPage, zPage } from '@audience-sync/service/page'
import { z } from 'zod'
import { deliveriesJson, listDeliveries, replay, sendTest } from '../deliveries.ts'
import { endpointId, readEndpoint } from '../endpoints.ts'
import type { RouteParts } from './parts.ts'

const params = z.object({ id: z.string().max(64) })
const config = { scope: 'webhooks:admin' } as const
const tags = ['Webhooks']

const eventTypes = Object.entries(webhookEvents).map(([type, { description, data }]) => ({
  type,
  description,
  schema: z.toJSONSchema(data) as Record<string, unknown>,
}))

export function deliveryRoutes(app: App, { db }: RouteParts): void {
  app.get('/v1/event-types', { config, schema: { tags, summary: 'What endpoints can be told of', response: { 200: EventTypes } } }, async () => ({
    data: eventTypes,
  }))

  app.get(
    '/v1/webhook-endpoints/:id/deliveries',
    {
      config,
      schema: {
        tags,
        summary: 'Deliveries of the last 30 days with their attempts, newest first',
        params,
        querystring: zPage.extend({ state: DeliveryState.optional() }),
        response: { 200: pageOf(WebhookDelivery) },
      },
    },
    ({ auth, params: { id }, query: { limit, cursor, state } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, z.uuid())
      return db.tenant(auth.tenantId, async (tx) => {
        const endpoint = await readEndpoint(tx, endpointId(id))
        const rows = await listDeliveries(tx, endpoint.id, state, before, limit + 1)
        const { data, nextCursor } = toPage(rows, limit, (last) => last.id)
        return { data: await deliveriesJson(tx, data), nextCursor }
      })
    },
  )

  app.post(
    '/v1/webhook-endpoints/:id/test',
    { config, schema: { tags, summary: 'Send a test', params, response: { 202: WebhookDelivery } } },
    async (request, reply) => {
      await idempotent(db, request, reply, async (tx) => {
        const [body] = await deliveriesJson(tx, [await sendTest(tx, endpointId(request.params.id))])
        return { status: 202, body }
      })
    },
  )

  app.post(
    '/v1/webhook-endpoints/:id/replay',
    { config, schema: { tags, summary: 'Send again what was not delivered', params, body: ReplayDeliveries, response: { 202: Replayed } } },
    async (request, reply) => {
      await idempotent(db, request, reply, async (tx) => ({
        status: 202,
        body: { replayed: await replay(tx, endpointId(request.params.id), request.body) },
      }))
    },
  )
}
