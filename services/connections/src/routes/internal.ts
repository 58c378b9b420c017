/** For connectors and audiences only; see `contracts/internal/grants`. */
import { publicId } from '@audience-sync/contracts/ids'
import { AccountSummary, Grant, GrantReport, ResolvedDefault } from '@audience-sync/contracts/internal/grants'
import { ConnectionStatus } from '@audience-sync/contracts/rest/connections'
import type { App } from '@audience-sync/service/app'
import { z } from 'zod'
import { findAccount, listAccounts, toSummary } from '../account-rows.ts'
import { findConnection } from '../connection-rows.ts'
import { type Context, PLATFORM_TIMEOUT_MS } from '../context.ts'
import { resolveDefault } from '../default-accounts.ts'
import { missing, pathId } from '../path-id.ts'

const Params = z.object({ id: z.string().max(64) })
const Export = z.object({
  destination: z.string().max(32),
  behaviorId: z.string().max(64).optional(),
  purpose: z.string().max(32).optional(),
  behaviorKind: z.string().max(32).optional(),
})
const ConnectionState = z.object({
  id: z.string(),
  destination: z.string(),
  status: ConnectionStatus,
  code: z.string().nullable(),
  accountIds: z.array(z.string()),
})
const MOST_ACCOUNTS = 1_000 // as many as can be selected

export function internalRoutes(app: App, { db, grants }: Context): void {
  app.post(
    '/internal/v1/accounts/:id/grant',
    { handlerTimeout: PLATFORM_TIMEOUT_MS, schema: { hide: true, params: Params, response: { 200: Grant } } },
    (request) => grants.grant(request.auth.tenantId, pathId('account', request.params.id)),
  )

  app.post(
    '/internal/v1/connections/:id/report',
    { handlerTimeout: PLATFORM_TIMEOUT_MS, schema: { hide: true, params: Params, body: GrantReport, response: { 204: z.null() } } },
    async (request, reply) => {
      await grants.report(request.auth.tenantId, pathId('connection', request.params.id), request.body)
      return reply.code(204).send(null)
    },
  )

  app.get('/internal/v1/accounts/:id', { schema: { hide: true, params: Params, response: { 200: AccountSummary } } }, async (request) => {
    const id = pathId('account', request.params.id)
    const found = await db.tenant(request.auth.tenantId, (tx) => findAccount(tx, request.auth.tenantId, id))
    if (!found) throw missing('account')
    return toSummary(found)
  })

  app.get('/internal/v1/connections/:id', { schema: { hide: true, params: Params, response: { 200: ConnectionState } } }, async (request) => {
    const { tenantId } = request.auth
    const id = pathId('connection', request.params.id)
    return db.tenant(tenantId, async (tx) => {
      const row = await findConnection(tx, tenantId, id)
      if (!row) throw missing('connection')
      const selected = await listAccounts(tx, tenantId, { connectionId: id, selected: true }, undefined, MOST_ACCOUNTS)
      const accountIds = selected.map((one) => publicId('account', one.id))
      return { id: request.params.id, destination: row.destination, status: row.status, code: row.statusCode, accountIds }
    })
  })

  app.get('/internal/v1/default-account', { schema: { hide: true, querystring: Export, response: { 200: ResolvedDefault } } }, async (request) => {
    const { tenantId } = request.auth
    return { accountId: await db.tenant(tenantId, (tx) => resolveDefault(tx, tenantId, request.query)) }
  })
}
