/** `/v1/api-keys`: made, listed, renamed, rotated, revoked. A caller cannot give what it does not have; each change is audited in its own transaction. */
import { ApiKey, ApiKeyPatch, MAX_KEY_LIFETIME_DAYS, NewApiKey, NewApiKeyAnswer, RotateApiKey } from '@audience-sync/contracts/rest/gateway'
import type { Database, Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import { decodeCursor, pageOf, toPage, zPage } from '@audience-sync/service/page'
import { answerOnce, putSecretIn } from '@audience-sync/service/secret-once'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { type KeyMode, makeApiKey } from '../api-key.ts'
import { append } from '../audit-log.ts'
import { endKeyIn, insertKey, keyStatus, listKeys, readKey, revokeKey, toApiKey, updateKey } from '../key-store.ts'

const Params = z.object({ id: z.string() })
const Cursor = z.tuple([z.iso.datetime(), z.string().max(20)])

export interface KeyRoutes {
  readonly db: Database
  readonly mode: KeyMode
  /** A key was changed: do not trust what is cached of it. */
  readonly onChanged: (id: string) => void
}

export function keyRoutes(app: App, { db, mode, onChanged }: KeyRoutes): void {
  const config = { scope: 'keys:admin' } as const

  app.post(
    '/v1/api-keys',
    { config, onSend: putSecretIn, schema: { summary: 'Make a key; its secret is in this answer only', body: NewApiKey, response: { 201: NewApiKeyAnswer } } },
    (request, reply) =>
      idempotent(db, request, reply, async (tx) => {
        const { name, scopes, expiresInDays } = request.body
        mayGive(request, scopes)
        const key = makeApiKey(mode)
        const row = await insertKey(tx, { tenantId: request.auth.tenantId, key, name, scopes, lifetimeDays: expiresInDays })
        await audited(tx, request, 'api_key.created', key.id, 201)
        answerOnce(request, { key: key.text })
        return { status: 201, body: { ...toApiKey(row), key: null } }
      }),
  )

  app.get(
    '/v1/api-keys',
    { config, schema: { summary: 'List keys, newest first', querystring: zPage, response: { 200: pageOf(ApiKey) } } },
    async (request) => {
      const { limit, cursor } = request.query
      const after = cursor === undefined ? undefined : decodeCursor(cursor, Cursor)
      const rows = await db.tenant(request.auth.tenantId, (tx) => listKeys(tx, limit + 1, after))
      const page = toPage(rows, limit, ({ createdAt, id }) => [createdAt.toISOString(), id])
      return { ...page, data: page.data.map((row) => toApiKey(row)) }
    },
  )

  app.get('/v1/api-keys/:id', { config, schema: { summary: 'Read a key', params: Params, response: { 200: ApiKey } } }, async (request) => {
    const id = idOf(request.params.id)
    return toApiKey(await db.tenant(request.auth.tenantId, (tx) => readKey(tx, id)))
  })

  app.patch(
    '/v1/api-keys/:id',
    { config, schema: { summary: 'Rename a key or change its scopes', params: Params, body: ApiKeyPatch, response: { 200: ApiKey } } },
    async (request) => {
      const id = idOf(request.params.id)
      const row = await db.tenant(request.auth.tenantId, async (tx) => {
        const before = await readKey(tx, id)
        if (request.body.scopes) mayGive(request, request.body.scopes)
        const after = await updateKey(tx, id, { name: request.body.name ?? before.name, scopes: request.body.scopes ?? before.scopes })
        await audited(tx, request, 'api_key.changed', id, 200)
        return after
      })
      onChanged(id)
      return toApiKey(row)
    },
  )

  app.post(
    '/v1/api-keys/:id/rotate',
    {
      config,
      onSend: putSecretIn,
      schema: {
        summary: 'Make a key that takes the place of this one; both live for a while',
        params: Params,
        body: RotateApiKey.prefault({}),
        response: { 201: NewApiKeyAnswer },
      },
    },
    async (request, reply) => {
      const id = idOf(request.params.id)
      await idempotent(db, request, reply, async (tx) => {
        const old = await readKey(tx, id)
        const status = keyStatus(old, Date.now())
        if (status !== 'live') throw new AppError('conflict', `The key is ${status}.`)
        mayGive(request, old.scopes)
        const key = makeApiKey(mode)
        const row = await insertKey(tx, { tenantId: old.tenantId, key, name: old.name, scopes: old.scopes, lifetimeDays: MAX_KEY_LIFETIME_DAYS })
        await endKeyIn(tx, id, request.body.overlapHours)
        await audited(tx, request, 'api_key.rotated', id, 201)
        await audited(tx, request, 'api_key.created', key.id, 201)
        answerOnce(request, { key: key.text })
        return { status: 201, body: { ...toApiKey(row), key: null } }
      })
      onChanged(id)
    },
  )

  app.delete(
    '/v1/api-keys/:id',
    { config, schema: { summary: 'Revoke a key, everywhere within a minute', params: Params, response: { 204: z.null() } } },
    async (request, reply) => {
      const id = idOf(request.params.id)
      await db.tenant(request.auth.tenantId, async (tx) => {
        await revokeKey(tx, id)
        await audited(tx, request, 'api_key.revoked', id, 204)
      })
      onChanged(id)
      return reply.code(204).send(null)
    },
  )
}

function idOf(text: string): string {
  const id = /^key_([0-9A-Za-z]{12})$/.exec(text)?.[1]
  if (!id) throw new AppError('not_found', 'No such API key.')
  return id
}

function mayGive(request: FastifyRequest, scopes: readonly string[]): void {
  const lacking = scopes.find((scope) => !request.auth.scopes.includes(scope))
  if (lacking) throw new AppError('forbidden_scope', `Your own credential lacks the scope ${lacking}.`)
}

const audited = (tx: Tx, request: FastifyRequest, action: string, id: string, status: number) =>
  append(tx, request.auth.tenantId, [{ at: new Date(), actor: request.auth.subject, action, target: `key_${id}`, result: 'ok', status, requestId: request.id }])
