/** Plans: what a run would do, and doing exactly that. */
import { Plan } from '@audience-sync/contracts/rest/plans'
import { Run } from '@audience-sync/contracts/rest/runs'
import type { Database } from '@audience-sync/db/database'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import { z } from 'zod'
import { applyPlan, comparePlan, findPlan } from '../plan/apply.ts'
import { planJson } from '../plan/json.ts'
import { makePlan, storePlan } from '../plan/make.ts'
import { runJsonOf } from './audiences.ts'
import type { RouteParts } from './parts.ts'

const params = z.object({ id: z.string() })
const tags = ['Plans']
// Everyone in a large audience is looked at: about 20 s for a million. The gateway waits two seconds longer.
const HANDLER_TIMEOUT_MS = 60_000
const LOOK_TIMEOUT_MS = 55_000 // so that a refusal still finds its caller
const KEPT = '30 days' // to be read beside the run that applied it

export function planRoutes(app: App, parts: RouteParts): void {
  const { db, destinations } = parts

  app.post(
    '/v1/audiences/:id/plan',
    {
      config: { scope: 'syncs:write' },
      handlerTimeout: HANDLER_TIMEOUT_MS,
      schema: { tags, summary: 'What a run would do; nothing is sent', params, response: { 201: Plan } },
    },
    async (request, reply) => {
      const made = makePlan(parts, request.auth.tenantId, request.params.id, AbortSignal.timeout(LOOK_TIMEOUT_MS))
      await made.catch(() => {}) // a refusal counts only if there is no earlier answer to repeat
      await idempotent(db, request, reply, async (tx) => ({ status: 201, body: await planJson(tx, await storePlan(tx, await made)) }))
    },
  )

  app.get(
    '/v1/plans/:id',
    { config: { scope: 'audiences:read' }, schema: { tags, summary: 'A plan', params, response: { 200: Plan } } },
    ({ auth, params: { id } }) => db.tenant(auth.tenantId, async (tx) => planJson(tx, await findPlan(tx, id))),
  )

  app.post(
    '/v1/plans/:id/apply',
    {
      config: { scope: 'syncs:write' },
      handlerTimeout: HANDLER_TIMEOUT_MS,
      schema: { tags, summary: 'Do exactly what was planned, or say what has changed', params, response: { 202: Run } },
    },
    async (request, reply) => {
      const compared = comparePlan(parts, request.auth.tenantId, request.params.id, AbortSignal.timeout(LOOK_TIMEOUT_MS))
      await compared.catch(() => {})
      await idempotent(db, request, reply, async (tx) => ({ status: 202, body: await runJsonOf(tx, await applyPlan(tx, await compared), destinations) }))
    },
  )
}

/** Forgets plans that nobody will read any more, of all tenants. */
export const sweepPlans = (db: Database): Promise<unknown> => db.tx((tx) => tx.query(`DELETE FROM plan WHERE created_at < now() - interval '${KEPT}'`))
