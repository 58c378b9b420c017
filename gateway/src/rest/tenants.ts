/** `/v1/tenants`, for the operator of the installation: only the bootstrap key has the scope. A new tenant comes with its first key. */
import { newUuid, publicId, uuidOf } from '@audience-sync/contracts/ids'
import { MAX_KEY_LIFETIME_DAYS, NewTenant, TENANTS_ADMIN, Tenant, TenantPatch } from '@audience-sync/contracts/rest/gateway'
import type { Database, Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { setTenant } from '@audience-sync/events/consumer'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import { answerOnce, putSecretIn } from '@audience-sync/service/secret-once'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { type KeyMode, makeApiKey } from '../api-key.ts'
import { append } from '../audit-log.ts'
import { insertKey } from '../key-store.ts'
import { allTenantScopes, changeTenant, createTenant, readTenant, type TenantRow } from '../tenants.ts'

const Params = z.object({ id: z.string() })
const NewTenantAnswer = Tenant.extend({ key: z.string().nullable().meta({ description: 'the first API key, shown once' }) }).meta({ id: 'NewTenantAnswer' })

export interface TenantRoutes {
  readonly db: Database
  readonly mode: KeyMode
  readonly onChanged: (id: string) => void
}

export function tenantRoutes(app: App, { db, mode, onChanged }: TenantRoutes): void {
  const config = { scope: TENANTS_ADMIN } as const

  app.post(
    '/v1/tenants',
    { config, onSend: putSecretIn, schema: { summary: 'Make a tenant and its first key', body: NewTenant, response: { 201: NewTenantAnswer } } },
    (request, reply) =>
      idempotent(db, request, reply, async (tx) => {
        const id = newUuid()
        const key = makeApiKey(mode)
        // The rows belong to the new tenant, the stored answer to the caller's: one transaction speaks for both in turn.
        await setTenant(tx, id)
        const tenant = await createTenant(tx, { id, ...request.body })
        await insertKey(tx, { tenantId: id, key, name: 'first key', scopes: allTenantScopes, lifetimeDays: MAX_KEY_LIFETIME_DAYS })
        await audited(tx, request, id, 'tenant.created', 201)
        await setTenant(tx, request.auth.tenantId)
        answerOnce(request, { key: key.text })
        return { status: 201, body: { ...toTenant(tenant), key: null } }
      }),
  )

  app.get('/v1/tenants/:id', { config, schema: { summary: 'Read a tenant', params: Params, response: { 200: Tenant } } }, async (request) => {
    const id = idOf(request.params.id)
    const tenant = await db.tenant(id, (tx) => readTenant(tx, id))
    if (!tenant) throw new AppError('not_found', 'No such tenant.')
    return toTenant(tenant)
  })

  app.patch(
    '/v1/tenants/:id',
    { config, schema: { summary: 'Change a tenant, its limits or its status', params: Params, body: TenantPatch, response: { 200: Tenant } } },
    async (request) => {
      const id = idOf(request.params.id)
      const patch = Object.fromEntries(Object.entries(request.body).filter(([, value]) => value !== undefined))
      const tenant = await db.tenant(id, async (tx) => {
        const changed = await changeTenant(tx, id, patch)
        await audited(tx, request, id, 'tenant.changed', 200)
        return changed
      })
      onChanged(id)
      return toTenant(tenant)
    },
  )
}

function idOf(text: string): string {
  const id = uuidOf('tenant', text)
  if (!id) throw new AppError('not_found', 'No such tenant.')
  return id
}

const toTenant = ({ id, createdAt, ...tenant }: TenantRow) => ({ ...tenant, id: publicId('tenant', id), createdAt: createdAt.toISOString() })

const audited = (tx: Tx, request: FastifyRequest, tenantId: string, action: string, status: number) =>
  append(tx, tenantId, [
    { at: new Date(), actor: request.auth.subject, action, target: publicId('tenant', tenantId), result: 'ok', status, requestId: request.id },
  ])
