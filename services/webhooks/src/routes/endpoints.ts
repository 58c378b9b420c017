import { newUuid } from '@audience-sync/contracts/ids'
import { NewWebhookEndpoint, WebhookEndpoint, WebhookEndpointPatch, WebhookEndpointWithSecret } from '@audience-sync/contracts/rest/webhooks'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import { decodeCursor, pageOf, toPage, zPage } from '@audience-sync/service/page'
import { answerOnce, putSecretIn } from '@audience-sync/service/secret-once'
import { z } from 'zod'
import { deleteEndpoint, endpointId, endpointJson, insertEndpoint, listEndpoints, patchEndpoint, readEndpoint, rotateSecret } from '../endpoints.ts'
import { newSecret } from '../sign.ts'
import type { RouteParts } from './parts.ts'

const params = z.object({ id: z.string().max(64) })
const config = { scope: 'webhooks:admin' } as const
const tags = ['Webhooks']

export function endpointRoutes(app: App, { db, secrets, poster, maxEndpoints }: RouteParts): void {
  app.post(
    '/v1/webhook-endpoints',
    {
      config,
      onSend: putSecretIn,
      schema: { tags, summary: 'Make an endpoint; its secret is in this answer only', body: NewWebhookEndpoint, response: { 201: WebhookEndpointWithSecret } },
    },
    async (request, reply) => {
      const { tenantId } = request.auth
      await poster.check(request.body.url)
      const seal = await secrets.sealer(tenantId)
      await idempotent(db, request, reply, async (tx) => {
        const [id, secret] = [newUuid(), newSecret()]
        const row = await insertEndpoint(tx, { ...request.body, tenantId, id, sealedSecret: seal(id, secret) }, maxEndpoints)
        answerOnce(request, { secret })
        return { status: 201, body: { ...endpointJson(row), secret: null } }
      })
    },
  )

  app.get(
    '/v1/webhook-endpoints',
    { config, schema: { tags, summary: 'List endpoints', querystring: zPage, response: { 200: pageOf(WebhookEndpoint) } } },
    async ({ auth, query: { limit, cursor } }) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, z.uuid())
      const rows = await db.tenant(auth.tenantId, (tx) => listEndpoints(tx, after, limit + 1))
      const { data, nextCursor } = toPage(rows, limit, ({ id }) => id)
      return { data: data.map(endpointJson), nextCursor }
    },
  )

  app.get(
    '/v1/webhook-endpoints/:id',
    { config, schema: { tags, summary: 'An endpoint', params, response: { 200: WebhookEndpoint } } },
    ({ auth, params: { id } }) => db.tenant(auth.tenantId, async (tx) => endpointJson(await readEndpoint(tx, endpointId(id)))),
  )

  app.patch(
    '/v1/webhook-endpoints/:id',
    { config, schema: { tags, summary: 'Change, disable or enable an endpoint', params, body: WebhookEndpointPatch, response: { 200: WebhookEndpoint } } },
    async ({ auth, params: { id }, body }) => {
      if (body.url !== undefined) await poster.check(body.url)
      return db.tenant(auth.tenantId, async (tx) => endpointJson(await patchEndpoint(tx, endpointId(id), body)))
    },
  )

  app.delete(
    '/v1/webhook-endpoints/:id',
    { config, schema: { tags, summary: 'Delete an endpoint and its deliveries', params, response: { 204: z.null() } } },
    async ({ auth, params: { id } }, reply) => {
      await db.tenant(auth.tenantId, (tx) => deleteEndpoint(tx, endpointId(id)))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/webhook-endpoints/:id/rotate-secret',
    {
      config,
      onSend: putSecretIn,
      schema: { tags, summary: 'Make a new secret; for 24 hours both sign', params, response: { 200: WebhookEndpointWithSecret } },
    },
    async (request, reply) => {
      const id = endpointId(request.params.id)
      const seal = await secrets.sealer(request.auth.tenantId)
      await idempotent(db, request, reply, async (tx) => {
        const secret = newSecret()
        const row = await rotateSecret(tx, id, seal(id, secret))
        answerOnce(request, { secret })
        return { status: 200, body: { ...endpointJson(row), secret: null } }
      })
    },
  )
}
