/** Runs: read, listed, cancelled, with who was refused and what was said to the platform. */
import { PlatformCall, Rejection, Run } from '@audience-sync/contracts/rest/runs'
import { orm } from '@audience-sync/db/database'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import { decodeCursor, pageOf, toPage, zPage } from '@audience-sync/service/page'
import { streamer } from '@audience-sync/service/streaming'
import { call } from '@audience-sync/sync-engine/schema/record'
import { run } from '@audience-sync/sync-engine/schema/run'
import { and, asc, desc, eq, gt, lt } from 'drizzle-orm'
import { z } from 'zod'
import { cancelRun, findRun, retryRejected } from '../actions.ts'
import { After, exportRejections, readRejections, rejectionsJson } from '../rejections.ts'
import { runsJson } from '../run-json.ts'
import { STREAM_MS, watchRun } from '../run-stream.ts'
import { findAudience } from '../store.ts'
import { runJsonOf } from './audiences.ts'
import type { RouteParts } from './parts.ts'

const params = z.object({ id: z.string() })
const read = { scope: 'audiences:read' } as const
const tags = ['Runs']
const NDJSON = 'application/x-ndjson'
const EXPORT_TIMEOUT_MS = 60_000 // a million refusals take half of it; the gateway waits two seconds longer
const STREAM_GRACE_MS = 10_000 // a stream ends by itself before it is cut

export function runRoutes(app: App, { db, peers, destinations }: RouteParts): void {
  const stream = streamer(app)

  app.get(
    '/v1/audiences/:id/runs',
    { config: read, schema: { tags, summary: 'Runs of an audience, newest first', params, querystring: zPage, response: { 200: pageOf(Run) } } },
    ({ auth, params: { id }, query: { limit, cursor } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, z.int())
      return db.tenant(auth.tenantId, async (tx) => {
        const audience = await findAudience(tx, id)
        const rows = await orm(tx)
          .select()
          .from(run)
          .where(and(eq(run.audienceNo, audience.no), before === undefined ? undefined : lt(run.no, before)))
          .orderBy(desc(run.no))
          .limit(limit + 1)
        const { data, nextCursor } = toPage(rows, limit, ({ no }) => no)
        return { data: await runsJson(tx, data, new Map([[audience.no, audience.id]]), destinations), nextCursor }
      })
    },
  )

  app.get('/v1/runs/:id', { config: read, schema: { tags, summary: 'A run', params, response: { 200: Run } } }, ({ auth, params: { id } }) =>
    db.tenant(auth.tenantId, async (tx) => runJsonOf(tx, await findRun(tx, id), destinations)),
  )

  app.post(
    '/v1/runs/:id/cancel',
    { config: { scope: 'syncs:write' }, schema: { tags, summary: 'Stop a run; what is under way ends first', params, response: { 202: Run } } },
    (request, reply) =>
      idempotent(db, request, reply, async (tx) => ({ status: 202, body: await runJsonOf(tx, await cancelRun(tx, request.params.id), destinations) })),
  )

  app.post(
    '/v1/runs/:id/retry-rejected',
    { config: { scope: 'syncs:write' }, schema: { tags, summary: 'Try again whoever was refused', params, response: { 202: Run } } },
    (request, reply) =>
      idempotent(db, request, reply, async (tx) => ({ status: 202, body: await runJsonOf(tx, await retryRejected(tx, request.params.id), destinations) })),
  )

  app.get(
    '/v1/runs/:id/rejections',
    {
      config: { ...read, alsoAnswers: [{ status: 200, description: 'A page; or all, a line each, as NDJSON', type: NDJSON }] },
      handlerTimeout: EXPORT_TIMEOUT_MS,
      schema: {
        tags,
        summary: 'Who was refused, and why; all of them at once with Accept: application/x-ndjson',
        params,
        querystring: zPage.extend({ code: z.string().max(64).optional().meta({ description: 'only those refused for this reason' }) }),
        response: { 200: pageOf(Rejection) },
      },
    },
    async ({ auth: { tenantId }, params: { id }, query: { limit, cursor, code }, headers: { accept } }, reply) => {
      if (accept?.includes(NDJSON)) {
        const { no } = await db.tenant(tenantId, (tx) => findRun(tx, id))
        return stream(reply, NDJSON, () => exportRejections({ db, peers }, tenantId, no, code))
      }
      const after = cursor === undefined ? undefined : decodeCursor(cursor, After)
      const { data, nextCursor } = await db.tenant(tenantId, async (tx) => {
        const { no } = await findRun(tx, id)
        const rows = await readRejections(tx, no, code, after, limit + 1)
        return toPage(rows, limit, ({ customer_no, operation }): After => [customer_no, operation])
      })
      return { data: await rejectionsJson(peers, tenantId, data), nextCursor }
    },
  )

  app.get(
    '/v1/runs/:id/stream',
    {
      config: { ...read, alsoAnswers: [{ status: 200, description: 'Server-sent events', type: 'text/event-stream' }] },
      handlerTimeout: STREAM_MS + STREAM_GRACE_MS,
      schema: { tags, summary: 'A run as it moves: server-sent events `run`, then `end`', params },
    },
    async ({ auth: { tenantId }, params: { id } }, reply) => {
      const look = () => db.tenant(tenantId, async (tx) => runJsonOf(tx, await findRun(tx, id), destinations))
      await look() // an unknown run is refused before the stream begins
      return stream(reply, 'text/event-stream', (signal) => watchRun(look, { signal }))
    },
  )

  app.get(
    '/v1/runs/:id/calls',
    {
      config: read,
      schema: { tags, summary: 'What was said to the platform, identifiers masked', params, querystring: zPage, response: { 200: pageOf(PlatformCall) } },
    },
    ({ auth, params: { id }, query: { limit, cursor } }) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, z.int())
      return db.tenant(auth.tenantId, async (tx) => {
        const { no } = await findRun(tx, id)
        const rows = await orm(tx)
          .select()
          .from(call)
          .where(and(eq(call.runNo, no), after === undefined ? undefined : gt(call.no, after)))
          .orderBy(asc(call.no))
          .limit(limit + 1)
        const page = toPage(rows, limit, (last) => last.no)
        return {
          data: page.data.map(({ batchNo, method, path, status, durationMs, request, response, platformRequestId, traceId, startedAt }) => ({
            batchNo,
            method,
            path,
            status,
            durationMs,
            request,
            response,
            platformRequestId,
            traceId,
            startedAt: startedAt.toISOString(),
          })),
          nextCursor: page.nextCursor,
        }
      })
    },
  )
}
