import { publicId } from '@audience-sync/contracts/ids'
import { BeginConnection, BegunConnection, Connection, ConnectionCheck, ConnectionStatus, Reconnect } from '@audience-sync/contracts/rest/connections'
import type { App } from '@audience-sync/service/app'
import { type Answer, idempotent } from '@audience-sync/service/idempotency'
import { decodeCursor, pageOf, toPage, zPage } from '@audience-sync/service/page'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { listConnections } from '../connection-view.ts'
import { type Context, PLATFORM_TIMEOUT_MS } from '../context.ts'
import { missing, pathId } from '../path-id.ts'
import { checkReturnUrl } from '../return-url.ts'

const Params = z.object({ id: z.string().max(64) })
const Query = zPage.extend({ destination: z.string().max(32).optional(), status: ConnectionStatus.optional() })

export function connectionRoutes(app: App, { db, flow, checker, removal, returnUrls }: Context): void {
  const read = { scope: 'connections:read' } as const
  const write = { scope: 'connections:write' } as const

  app.post(
    '/v1/connections',
    { config: write, schema: { tags: ['Connections'], summary: 'Begin a connection', body: BeginConnection, response: { 201: BegunConnection } } },
    async (request, reply) => {
      const { destination, login, returnUrl } = request.body
      const back = checkReturnUrl(returnUrl, returnUrls)
      const who = { tenantId: request.auth.tenantId, userId: request.auth.subject }
      const id = await createdOnce(db, request, async (tx) => ({ status: 201, body: await flow.create(tx, who, destination, login) }))
      // Outside: a repeated request finds the same connection and gets a state of its own; no state is ever stored.
      const { status, authorizeUrl } = await flow.begin(who, id, back, login)
      return reply.code(201).send({ id: publicId('connection', id), status: status as z.infer<typeof ConnectionStatus>, authorizeUrl })
    },
  )

  app.get(
    '/v1/connections',
    { config: read, schema: { tags: ['Connections'], summary: 'List connections', querystring: Query, response: { 200: pageOf(Connection) } } },
    async (request) => {
      const { limit, cursor, ...filter } = request.query
      const after = cursor === undefined ? undefined : decodeCursor(cursor, z.uuid())
      const rows = await db.tenant(request.auth.tenantId, (tx) => listConnections(tx, request.auth.tenantId, filter, after, limit + 1))
      return toPage(rows, limit, (last) => pathId('connection', last.id))
    },
  )

  app.get(
    '/v1/connections/:id',
    { config: read, schema: { tags: ['Connections'], summary: 'Read a connection', params: Params, response: { 200: Connection } } },
    async (request) => {
      const id = pathId('connection', request.params.id)
      const [found] = await db.tenant(request.auth.tenantId, (tx) => listConnections(tx, request.auth.tenantId, { id }, undefined, 1))
      if (!found) throw missing('connection')
      return found
    },
  )

  app.delete(
    '/v1/connections/:id',
    {
      config: write,
      handlerTimeout: PLATFORM_TIMEOUT_MS,
      schema: { tags: ['Connections'], summary: 'Delete a connection and revoke it at the platform', params: Params, response: { 204: z.null() } },
    },
    async (request, reply) => {
      await removal.remove(request.auth.tenantId, pathId('connection', request.params.id))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/connections/:id/reconnect',
    {
      config: write,
      schema: { tags: ['Connections'], summary: 'Ask the user’s consent again', params: Params, body: Reconnect, response: { 200: BegunConnection } },
    },
    async (request) => {
      const id = pathId('connection', request.params.id)
      const back = checkReturnUrl(request.body.returnUrl, returnUrls)
      const { status, authorizeUrl } = await flow.begin({ tenantId: request.auth.tenantId, userId: request.auth.subject }, id, back, request.body.login)
      return { id: request.params.id, status: status as z.infer<typeof ConnectionStatus>, authorizeUrl }
    },
  )

  app.post(
    '/v1/connections/:id/check',
    {
      config: write,
      handlerTimeout: PLATFORM_TIMEOUT_MS,
      schema: { tags: ['Connections'], summary: 'Check token, permissions, terms and eligibility', params: Params, response: { 200: ConnectionCheck } },
    },
    (request) => checker.check(request.auth.tenantId, pathId('connection', request.params.id)),
  )
}

/** The id that `make` answered, or that it answered the first time this `Idempotency-Key` came. */
async function createdOnce(
  db: Context['db'],
  request: FastifyRequest,
  make: (tx: Parameters<Parameters<typeof idempotent>[3]>[0]) => Promise<Answer>,
): Promise<string> {
  let kept = ''
  const keep = {
    code: () => keep,
    type: () => keep,
    serialize: JSON.stringify,
    send: async (body: string) => {
      kept = JSON.parse(body) as string
    },
  }
  await idempotent(db, request, keep as unknown as FastifyReply, make)
  return kept
}
