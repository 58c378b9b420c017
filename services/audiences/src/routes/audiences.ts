/** Audiences: made, read, changed, deleted, and told what to do. */
import { uuidOf } from '@audience-sync/contracts/ids'
import { Audience, AudiencePatch, NewAudience, Pause, Refresh } from '@audience-sync/contracts/rest/audiences'
import { Run } from '@audience-sync/contracts/rest/runs'
import type { Tx } from '@audience-sync/db/database'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import { decodeCursor, pageOf, toPage, zPage } from '@audience-sync/service/page'
import type { RunRow } from '@audience-sync/sync-engine/store/rows'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { approve, deleteAudience, patch, pause, refresh, resume } from '../actions.ts'
import { audienceJsonOf, audiencesJson } from '../audience-json.ts'
import { type CheckedAudience, checkNew, invalid } from '../check-new.ts'
import { createAudience } from '../create.ts'
import type { Destinations } from '../destinations.ts'
import { check, heal } from '../drift.ts'
import { runsJson } from '../run-json.ts'
import { findAudience, listAudiences } from '../store.ts'
import { together } from '../together.ts'
import type { RouteParts } from './parts.ts'

const params = z.object({ id: z.string() })
const read = { scope: 'audiences:read' } as const
const write = { scope: 'audiences:write' } as const
const sync = { scope: 'syncs:write' } as const
const tags = ['Audiences']

const ListQuery = zPage.extend({
  behaviorId: z.string().max(64).optional(),
  accountId: z.string().max(64).optional(),
  destination: z.string().max(64).optional(),
  campaignRef: z.string().max(256).optional(),
})

const CreateQuery = z.strictObject({
  strict: z.enum(['true', 'false']).default('false').meta({ description: 'refuse a name that the platform may flag, in place of a warning' }),
})

/** A run with the id of its audience, as JSON. */
export async function runJsonOf(tx: Tx, row: RunRow, destinations: Destinations): Promise<z.output<typeof Run>> {
  const { rows } = await tx.query<{ no: number; id: string }>('SELECT no, id FROM audience WHERE no = $1', [row.audienceNo])
  const [json] = await runsJson(tx, [row], new Map(rows.map(({ no, id }) => [no, id])), destinations)
  return json as z.output<typeof Run>
}

export function audienceRoutes(app: App, parts: RouteParts): void {
  const { db, peers, destinations } = parts
  const refreshTogether = together<z.output<typeof Run>>()

  /** The peers are asked before the transaction; a refusal counts only if there is no earlier answer to repeat. */
  async function create(request: FastifyRequest, reply: FastifyReply, asked: NewAudience, campaignRef: string | null, strict: boolean): Promise<void> {
    const { tenantId } = request.auth
    const checked: Promise<CheckedAudience> = checkNew(peers, destinations, tenantId, asked, strict)
    await checked.catch(() => {})
    await idempotent(db, request, reply, async (tx) => {
      const row = await createAudience(tx, tenantId, await checked, campaignRef)
      return { status: 201, body: await audienceJsonOf(tx, row, destinations) }
    })
  }

  app.post(
    '/v1/audiences',
    { config: write, schema: { tags, summary: 'Export a behavior to an account', querystring: CreateQuery, body: NewAudience, response: { 201: Audience } } },
    (request, reply) => create(request, reply, request.body, null, request.query.strict === 'true'),
  )

  app.post(
    '/v1/campaigns/:campaignRef/audiences',
    {
      config: write,
      schema: {
        tags,
        summary: 'Export a behavior from a campaign',
        params: z.object({ campaignRef: z.string().min(1).max(100) }),
        querystring: CreateQuery,
        body: NewAudience,
        response: { 201: Audience },
      },
    },
    (request, reply) => create(request, reply, request.body, request.params.campaignRef, request.query.strict === 'true'),
  )

  app.get(
    '/v1/audiences',
    { config: read, schema: { tags, summary: 'Audiences, newest first', querystring: ListQuery, response: { 200: pageOf(Audience) } } },
    async ({ auth, query }) => {
      const { limit, cursor, behaviorId, accountId, ...filter } = query
      const before = cursor === undefined ? undefined : decodeCursor(cursor, z.uuid())
      // Nothing belongs to an id that is none of ours.
      const [behavior, account] = [behaviorId && uuidOf('behavior', behaviorId), accountId && uuidOf('account', accountId)]
      if ((behaviorId && !behavior) || (accountId && !account)) return { data: [], nextCursor: null }
      return db.tenant(auth.tenantId, async (tx) => {
        const rows = await listAudiences(tx, { ...filter, behaviorId: behavior, accountId: account }, before, limit + 1)
        const { data, nextCursor } = toPage(rows, limit, ({ id }) => id)
        return { data: await audiencesJson(tx, data, destinations), nextCursor }
      })
    },
  )

  app.get('/v1/audiences/:id', { config: read, schema: { tags, summary: 'An audience', params, response: { 200: Audience } } }, ({ auth, params: { id } }) =>
    db.tenant(auth.tenantId, async (tx) => audienceJsonOf(tx, await findAudience(tx, id), destinations)),
  )

  app.patch(
    '/v1/audiences/:id',
    { config: write, schema: { tags, summary: 'Change an audience', params, body: AudiencePatch, response: { 200: Audience } } },
    async ({ auth, body, params: { id } }) => {
      if (Object.keys(body).length === 0) throw invalid('', 'names nothing to change')
      return db.tenant(auth.tenantId, async (tx) => audienceJsonOf(tx, await patch(tx, id, body, destinations), destinations))
    },
  )

  app.delete(
    '/v1/audiences/:id',
    {
      config: write,
      schema: {
        tags,
        summary: 'Remove the members and delete the audience that we made; an adopted one is kept',
        params,
        querystring: z.strictObject({
          keepRemote: z.enum(['true', 'false']).default('false').meta({ description: 'true: nothing is said to the platform, it is only let go of' }),
          deleteLookalikes: z
            .enum(['true', 'false'])
            .default('false')
            .meta({ description: 'true: the lookalikes that we made of it go first; else they stand in the way' }),
        }),
        response: { 202: Audience },
      },
    },
    async ({ auth, query, params: { id } }, reply) => {
      reply.code(202)
      const deletion = { keepRemote: query.keepRemote === 'true', deleteLookalikes: query.deleteLookalikes === 'true' }
      return db.tenant(auth.tenantId, async (tx) => audienceJsonOf(tx, await deleteAudience(tx, id, deletion), destinations))
    },
  )

  app.post(
    '/v1/audiences/:id/refresh',
    {
      config: sync,
      schema: { tags, summary: 'Sync now: a new run, or the one that is queued', params, body: Refresh.nullish(), response: { 202: Run } },
    },
    async (request, reply) => {
      const { tenantId } = request.auth
      const { id } = request.params
      const mode = request.body?.mode ?? 'incremental'
      const work = async (tx: Tx) => runJsonOf(tx, await refresh(tx, id, mode), destinations)
      if (request.headers['idempotency-key'] !== undefined) return idempotent(db, request, reply, async (tx) => ({ status: 202, body: await work(tx) }))
      return reply.code(202).send(await refreshTogether(`${tenantId} ${id} ${mode}`, () => db.tenant(tenantId, work)))
    },
  )

  app.post(
    '/v1/audiences/:id/pause',
    { config: sync, schema: { tags, summary: 'Send nothing until resumed', params, body: Pause.nullish(), response: { 200: Audience } } },
    (request, reply) =>
      idempotent(db, request, reply, async (tx) => ({
        status: 200,
        body: await audienceJsonOf(tx, await pause(tx, request.params.id, request.body?.reason ?? ''), destinations),
      })),
  )

  app.post(
    '/v1/audiences/:id/resume',
    { config: sync, schema: { tags, summary: 'Go on, with one run', params, response: { 200: Audience } } },
    (request, reply) =>
      idempotent(db, request, reply, async (tx) => ({ status: 200, body: await audienceJsonOf(tx, await resume(tx, request.params.id), destinations) })),
  )

  app.post(
    '/v1/audiences/:id/check',
    {
      config: sync,
      schema: { tags, summary: 'Look at the destination soon; `drift` then says what is not as it should be', params, response: { 202: Audience } },
    },
    (request, reply) =>
      idempotent(db, request, reply, async (tx) => ({ status: 202, body: await audienceJsonOf(tx, await check(tx, request.params.id), destinations) })),
  )

  app.post(
    '/v1/audiences/:id/heal',
    {
      config: sync,
      schema: { tags, summary: 'Make a new audience in place of one that is missing or disabled there, and send everyone', params, response: { 202: Run } },
    },
    (request, reply) =>
      idempotent(db, request, reply, async (tx) => ({ status: 202, body: await runJsonOf(tx, await heal(tx, request.params.id), destinations) })),
  )

  app.post(
    '/v1/audiences/:id/approve',
    { config: sync, schema: { tags, summary: 'Let the held run go on, planned anew', params, response: { 202: Run } } },
    (request, reply) =>
      idempotent(db, request, reply, async (tx) => ({ status: 202, body: await runJsonOf(tx, await approve(tx, request.params.id), destinations) })),
  )
}
