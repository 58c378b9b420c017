/** Lookalikes: wished for on their seed, read, given up. */
import { Lookalike, NewLookalike } from '@audience-sync/contracts/rest/lookalikes'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import { decodeCursor, pageOf, toPage, zPage } from '@audience-sync/service/page'
import { readAudience } from '@audience-sync/sync-engine/store/rows'
import { z } from 'zod'
import { createLookalike, deleteLookalike, findLookalike, listLookalikes, lookalikeJson } from '../lookalikes.ts'
import { findAudience, lockAudience } from '../store.ts'
import type { RouteParts } from './parts.ts'

const params = z.object({ id: z.string() })
const read = { scope: 'audiences:read' } as const
const write = { scope: 'audiences:write' } as const
const tags = ['Lookalikes']

export function lookalikeRoutes(app: App, { db, destinations }: RouteParts): void {
  app.post(
    '/v1/audiences/:id/lookalikes',
    {
      config: write,
      schema: {
        tags,
        summary: 'Have the platform make a similar audience, as soon as this one is ready',
        params,
        body: NewLookalike,
        response: { 201: Lookalike },
      },
    },
    (request, reply) =>
      idempotent(db, request, reply, async (tx) => {
        const seed = await lockAudience(tx, request.params.id)
        return { status: 201, body: lookalikeJson(await createLookalike(tx, seed, request.body, destinations), seed, destinations) }
      }),
  )

  app.get(
    '/v1/audiences/:id/lookalikes',
    { config: read, schema: { tags, summary: 'Lookalikes of an audience, newest first', params, querystring: zPage, response: { 200: pageOf(Lookalike) } } },
    ({ auth, params: { id }, query: { limit, cursor } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, z.uuid())
      return db.tenant(auth.tenantId, async (tx) => {
        const seed = await findAudience(tx, id)
        const { data, nextCursor } = toPage(await listLookalikes(tx, seed, before, limit + 1), limit, (row) => row.id)
        return { data: data.map((row) => lookalikeJson(row, seed, destinations)), nextCursor }
      })
    },
  )

  app.get('/v1/lookalikes/:id', { config: read, schema: { tags, summary: 'A lookalike', params, response: { 200: Lookalike } } }, ({ auth, params: { id } }) =>
    db.tenant(auth.tenantId, async (tx) => {
      const row = await findLookalike(tx, id)
      return lookalikeJson(row, await readAudience(tx, row.audienceNo), destinations)
    }),
  )

  app.delete(
    '/v1/lookalikes/:id',
    {
      config: write,
      schema: { tags, summary: 'Delete a lookalike that we made; an adopted one is kept at the platform', params, response: { 202: Lookalike } },
    },
    async ({ auth, params: { id } }, reply) => {
      reply.code(202)
      return db.tenant(auth.tenantId, async (tx) => {
        const row = await deleteLookalike(tx, id)
        return lookalikeJson(row, await readAudience(tx, row.audienceNo), destinations)
      })
    },
  )
}
