import { Account, DefaultAccount, SelectAccounts, SetDefaultAccounts } from '@audience-sync/contracts/rest/connections'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import { AppError } from '@audience-sync/errors/app-error'
import type { App } from '@audience-sync/service/app'
import { decodeCursor, pageOf, toPage, zPage } from '@audience-sync/service/page'
import { z } from 'zod'
import { findAccount, listAccounts, selectAccounts, toAccount } from '../account-rows.ts'
import { announce, findConnection, lockConnection } from '../connection-rows.ts'
import { type Context, PLATFORM_TIMEOUT_MS } from '../context.ts'
import { listDefaults, replaceDefaults } from '../default-accounts.ts'
import { missing, pathId } from '../path-id.ts'

const Params = z.object({ id: z.string().max(64) })
const Query = zPage.extend({
  destination: z.string().max(32).optional(),
  selected: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional(),
})
const AccountPage = pageOf(Account)

export function accountRoutes(app: App, { db, accounts }: Context): void {
  const read = { scope: 'connections:read' } as const
  const write = { scope: 'connections:write' } as const

  async function page(tenantId: string, query: z.infer<typeof Query>, connectionId?: string) {
    const { limit, cursor, destination, selected } = query
    const after = cursor === undefined ? undefined : decodeCursor(cursor, z.uuid())
    const rows = await db.tenant(tenantId, (tx) => listAccounts(tx, tenantId, { connectionId, destination, selected }, after, limit + 1))
    const { data, nextCursor } = toPage(rows, limit, (last) => last.id)
    return { data: data.map(toAccount), nextCursor }
  }

  app.get(
    '/v1/accounts',
    { config: read, schema: { tags: ['Accounts'], summary: 'List accounts', querystring: Query, response: { 200: AccountPage } } },
    (request) => page(request.auth.tenantId, request.query),
  )

  app.get(
    '/v1/accounts/:id',
    { config: read, schema: { tags: ['Accounts'], summary: 'Read an account', params: Params, response: { 200: Account } } },
    async (request) => {
      const id = pathId('account', request.params.id)
      const found = await db.tenant(request.auth.tenantId, (tx) => findAccount(tx, request.auth.tenantId, id))
      if (!found || found.connection.deletedAt) throw missing('account')
      return toAccount(found.account)
    },
  )

  app.get(
    '/v1/connections/:id/accounts',
    {
      config: read,
      handlerTimeout: PLATFORM_TIMEOUT_MS,
      schema: { tags: ['Accounts'], summary: 'List what a connection reaches', params: Params, querystring: Query, response: { 200: AccountPage } },
    },
    async (request) => {
      const id = pathId('connection', request.params.id)
      const found = await db.tenant(request.auth.tenantId, (tx) => findConnection(tx, request.auth.tenantId, id))
      if (!found) throw missing('connection')
      if (found.status === 'active' && !found.accountsAt) await ask(() => accounts.refresh(request.auth.tenantId, id)) // it failed after the consent
      return page(request.auth.tenantId, request.query, id)
    },
  )

  app.put(
    '/v1/connections/:id/accounts',
    {
      config: write,
      handlerTimeout: PLATFORM_TIMEOUT_MS,
      schema: { tags: ['Accounts'], summary: 'Select the accounts that may be used', params: Params, body: SelectAccounts, response: { 200: AccountPage } },
    },
    async (request) => {
      const { tenantId } = request.auth
      const id = pathId('connection', request.params.id)
      const wanted = [...new Set(request.body.selected)]
      const select = () =>
        db.tenant(tenantId, async (tx) => {
          const row = await lockConnection(tx, tenantId, id)
          if (!row) throw missing('connection')
          const unknown = await selectAccounts(tx, tenantId, id, wanted)
          if (unknown.length === 0) await announce(tx, tenantId, id)
          return { unknown, active: row.status === 'active' }
        })
      let outcome = await select()
      if (outcome.unknown.length > 0 && outcome.active) {
        await ask(() => accounts.refresh(tenantId, id)) // perhaps it is new there
        outcome = await select()
      }
      if (outcome.unknown.length > 0) throw new AppError('account_unknown', `The connection reaches no account ${outcome.unknown.slice(0, 10).join(', ')}.`)
      return page(tenantId, zPage.parse({}), id)
    },
  )

  const Defaults = pageOf(DefaultAccount)
  const all = async (tenantId: string) => ({ data: await db.tenant(tenantId, (tx) => listDefaults(tx, tenantId)), nextCursor: null })

  app.get('/v1/default-accounts', { config: read, schema: { tags: ['Accounts'], summary: 'List default accounts', response: { 200: Defaults } } }, (request) =>
    all(request.auth.tenantId),
  )

  app.put(
    '/v1/default-accounts',
    { config: write, schema: { tags: ['Accounts'], summary: 'Replace the default accounts', body: SetDefaultAccounts, response: { 200: Defaults } } },
    async (request) => {
      const { tenantId } = request.auth
      await db.tenant(tenantId, (tx) => replaceDefaults(tx, tenantId, request.body.defaults))
      return all(tenantId)
    },
  )
}

/** A platform's failure as the API's. */
async function ask(call: () => Promise<void>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!(error instanceof DestinationError)) throw error
    const { message, platform } = error.failure
    throw new AppError('destination_unavailable', message, { cause: error, ...(platform && { platform }) })
  }
}
