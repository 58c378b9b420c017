/** Behaviors over REST: made, listed, described anew; their health, and what they have in common. */
import { uuidOf } from '@audience-sync/contracts/ids'
import {
  Behavior,
  BehaviorHealth,
  BehaviorOverlap,
  BehaviorPatch,
  BehaviorWithMembers,
  NewBehavior,
  OverlapQuery,
} from '@audience-sync/contracts/rest/behaviors'
import type { Database } from '@audience-sync/db/database'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import { decodeCursor, pageOf, toPage, zPage } from '@audience-sync/service/page'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { z } from 'zod'
import { changeBehavior, countMembers, createBehavior, listBehaviors, requireBehavior, requireBehaviors, showBehavior } from '../behaviors.ts'
import { readHealth } from '../health.ts'
import { readOverlap } from '../overlap.ts'
import { requireTenant } from '../tenants.ts'

const tags = ['behaviors']
const params = z.object({ id: z.string() })

export function behaviorRoutes(app: App, { db, vault }: { readonly db: Database; readonly vault: DekStore }): void {
  app.post(
    '/v1/behaviors',
    { config: { scope: 'behaviors:write' }, schema: { tags, summary: 'Make a behavior', body: NewBehavior, response: { 201: Behavior } } },
    async (request, reply) => {
      await idempotent(db, request, reply, async (tx) => {
        const tenant = await requireTenant(tx, vault, request.auth.tenantId)
        return { status: 201, body: showBehavior(await createBehavior(tx, tenant, request.body)) }
      })
      return reply
    },
  )

  app.get(
    '/v1/behaviors',
    {
      config: { scope: 'behaviors:read' },
      schema: { tags, summary: 'All behaviors, the newest first', querystring: zPage, response: { 200: pageOf(Behavior) } },
    },
    (request) =>
      db.tenant(request.auth.tenantId, async (tx) => {
        const { limit, cursor } = request.query
        const tenant = await requireTenant(tx, vault, request.auth.tenantId)
        const rows = await listBehaviors(tx, tenant, cursor === undefined ? undefined : decodeCursor(cursor, z.uuid()), limit + 1)
        return toPage(rows.map(showBehavior), limit, (last) => uuidOf('behavior', last.id))
      }),
  )

  app.get(
    '/v1/behaviors/:id',
    {
      config: { scope: 'behaviors:read' },
      schema: { tags, summary: 'A behavior and the number of its members', params, response: { 200: BehaviorWithMembers } },
    },
    (request) =>
      db.tenant(request.auth.tenantId, async (tx) => {
        const behavior = await requireBehavior(tx, request.params.id)
        return { ...showBehavior(behavior), members: await countMembers(tx, behavior.no) }
      }),
  )

  app.patch(
    '/v1/behaviors/:id',
    { config: { scope: 'behaviors:write' }, schema: { tags, summary: 'Describe a behavior anew', params, body: BehaviorPatch, response: { 200: Behavior } } },
    (request) =>
      db.tenant(request.auth.tenantId, async (tx) => {
        const behavior = await requireBehavior(tx, request.params.id)
        return showBehavior(await changeBehavior(tx, request.auth.tenantId, behavior, request.body))
      }),
  )

  app.get(
    '/v1/behaviors/:id/health',
    {
      config: { scope: 'behaviors:read' },
      schema: { tags, summary: 'How much of a behavior can be sent, and what is in the way', params, response: { 200: BehaviorHealth } },
    },
    (request) => db.tenant(request.auth.tenantId, async (tx) => readHealth(tx, (await requireBehavior(tx, request.params.id)).no)),
  )

  app.get(
    '/v1/behaviors/overlap',
    {
      config: { scope: 'behaviors:read' },
      schema: { tags, summary: 'How many members behaviors have in common', querystring: OverlapQuery, response: { 200: BehaviorOverlap } },
    },
    (request) => db.tenant(request.auth.tenantId, async (tx) => readOverlap(tx, await requireBehaviors(tx, request.query.ids))),
  )
}
