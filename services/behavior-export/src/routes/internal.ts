/** What the engine asks (contracts/internal/feed.ts). Pages come as text from the database and leave as they are. */

import { publicId } from '@audience-sync/contracts/ids'
import * as feed from '@audience-sync/contracts/internal/feed'
import { Position, readPosition } from '@audience-sync/contracts/internal/position'
import { purposeBit, purposes } from '@audience-sync/contracts/people'
import { BehaviorHealth } from '@audience-sync/contracts/rest/behaviors'
import type { Database, Tx } from '@audience-sync/db/database'
import type { App } from '@audience-sync/service/app'
import type { DekStore } from '@audience-sync/vault/dek-store'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { countMembers, requireBehavior } from '../behaviors.ts'
import { fetchCustomers } from '../feed/fetch.ts'
import { readHorizon } from '../feed/horizon.ts'
import { changesPage, countEligible, membersPage, rowsAnswer } from '../feed/pages.ts'
import { suppressionsPage } from '../feed/suppressions.ts'
import { readHealth } from '../health.ts'
import { requireTenant } from '../tenants.ts'

const MOST_ROWS = 10_000
const HEALTH_TIMEOUT_MS = 30_000 // as long as a statement may run
const RESOLVE_BODY = 4 * 1024 ** 2 // 10,000 customer ids of the longest kind
const whole = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number)
const limit = whole.pipe(z.int().min(1).max(MOST_ROWS)).prefault(String(MOST_ROWS))
const xid = z.string().regex(/^\d{1,20}$/)
const params = z.object({ behaviorId: z.string() })

const sendJson = (reply: FastifyReply, text: string) => reply.type('application/json; charset=utf-8').send(text)

export function internalRoutes(app: App, { db, vault }: { readonly db: Database; readonly vault: DekStore }): void {
  /** In the tenant's transaction, with the behavior's number. */
  const ofBehavior = <T>(request: { auth: { tenantId: string }; params: { behaviorId: string } }, fn: (tx: Tx, no: number) => Promise<T>): Promise<T> =>
    db.tenant(request.auth.tenantId, async (tx) => fn(tx, (await requireBehavior(tx, request.params.behaviorId)).no))

  app.get('/internal/v1/behaviors/:behaviorId', { schema: { params, response: { 200: feed.BehaviorSummary } } }, (request) =>
    db.tenant(request.auth.tenantId, async (tx) => {
      const { no, id, key, name, kind } = await requireBehavior(tx, request.params.behaviorId)
      return { id: publicId('behavior', id), key, name, kind, members: await countMembers(tx, no) }
    }),
  )

  app.get('/internal/v1/behaviors/:behaviorId/horizon', { schema: { params, response: { 200: feed.Horizon } } }, (request) => ofBehavior(request, readHorizon))

  app.get(
    '/internal/v1/behaviors/:behaviorId/changes',
    { schema: { params, querystring: z.strictObject({ after: Position.default('0:0'), below: xid.optional(), limit }) } },
    async (request, reply) => {
      const { after, below, limit } = request.query
      return sendJson(reply, await ofBehavior(request, (tx, no) => changesPage(tx, no, { after: readPosition(after), below, limit })))
    },
  )

  app.get(
    '/internal/v1/behaviors/:behaviorId/members',
    { schema: { params, querystring: z.strictObject({ afterCustomer: whole.prefault('0'), limit }) } },
    async (request, reply) => sendJson(reply, await ofBehavior(request, (tx, no) => membersPage(tx, no, request.query.afterCustomer, request.query.limit))),
  )

  app.post('/internal/v1/behaviors/:behaviorId/rows', { schema: { params, body: feed.RowsRequest } }, async (request, reply) =>
    sendJson(reply, await ofBehavior(request, (tx, no) => rowsAnswer(tx, no, request.body.customers))),
  )

  app.get(
    '/internal/v1/behaviors/:behaviorId/eligible',
    {
      schema: {
        params,
        querystring: z.strictObject({ purpose: z.enum(purposes), groups: whole.pipe(z.int().max(0x7fff)), atMost: whole.optional() }),
        response: { 200: feed.EligibleCount },
      },
    },
    (request) => {
      const { purpose, groups, atMost } = request.query
      return ofBehavior(request, (tx, no) => countEligible(tx, no, purposeBit(purpose), groups, atMost ?? null))
    },
  )

  // One pass over the members: a large behavior takes seconds, and a plan waits for it.
  app.get(
    '/internal/v1/behaviors/:behaviorId/health',
    { handlerTimeout: HEALTH_TIMEOUT_MS, schema: { params, response: { 200: BehaviorHealth } } },
    (request) => ofBehavior(request, readHealth),
  )

  app.post('/internal/v1/behaviors/:behaviorId/fetch', { schema: { params, body: feed.FetchRequest } }, async (request, reply) => {
    const { customers, purpose } = request.body
    const answer = await ofBehavior(request, async (tx, no) =>
      fetchCustomers(tx, vault, await requireTenant(tx, vault, request.auth.tenantId), no, customers, purpose),
    )
    return sendJson(reply, JSON.stringify(answer))
  })

  app.get(
    '/internal/v1/suppressions',
    { schema: { querystring: z.strictObject({ after: Position.default('0:0'), limit }), response: { 200: feed.SuppressionsPage } } },
    (request) => db.tx((tx) => suppressionsPage(tx, readPosition(request.query.after), request.query.limit)),
  )

  app.post(
    '/internal/v1/customers/resolve',
    { bodyLimit: RESOLVE_BODY, schema: { body: feed.ResolveRequest, response: { 200: feed.ResolveAnswer } } },
    (request) =>
      db.tenant(request.auth.tenantId, async (tx) => {
        const { customerIds, numbers } = request.body
        const { rows } = await tx.query<{ no: number; customerId: string }>(
          `SELECT no, customer_id AS "customerId" FROM customer WHERE tenant_no = (SELECT current_tenant_no()) AND customer_id = ANY($1::text[])
         UNION SELECT no, customer_id FROM customer WHERE no = ANY($2::bigint[]) AND customer_id IS NOT NULL ORDER BY no`,
          [customerIds, numbers],
        )
        return { customers: rows }
      }),
  )
}
