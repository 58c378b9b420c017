/**
 * Erasure over REST (RELIABILITY.md §4.7). What proves it at the destinations is audiences': `services/audiences/src/proof.ts`,
 * which asks here for what is pending and says what is complete.
 */
import { CompletedErasures, ErasureSubject, PendingErasures } from '@audience-sync/contracts/internal/erasures'
import { Erasure, NewErasure } from '@audience-sync/contracts/rest/behaviors'
import type { Database } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { z } from 'zod'
import { completeErasures, pendingErasures, readErasure, readSubject, showErasure } from '../erasures.ts'
import { eraseCustomer } from '../ingest/erase.ts'
import { requireTenant } from '../tenants.ts'

const tags = ['privacy']
const PENDING_PAGE = 500 // asked for every few seconds; each is some 200 bytes
const params = z.object({ id: z.string() })

interface Parts {
  readonly db: Database
  readonly vault: DekStore
  readonly now: () => number
}

/** @throws AppError not_found */
function found<T>(erasure: T | undefined): T {
  if (!erasure) throw new AppError('not_found', 'There is no erasure with this id.')
  return erasure
}

export function privacyRoutes(app: App, { db, vault, now }: Parts): void {
  app.post(
    '/v1/privacy/erasures',
    {
      config: { scope: 'privacy:erase' },
      schema: { tags, summary: 'Forget a person, here and at every destination', body: NewErasure, response: { 202: Erasure } },
    },
    async (request, reply) => {
      await idempotent(db, request, reply, async (tx) => {
        const tenant = await requireTenant(tx, vault, request.auth.tenantId)
        return { status: 202, body: showErasure(await eraseCustomer(tx, tenant, request.body.customerId, new Date(now()))) }
      })
      return reply
    },
  )

  app.get(
    '/v1/privacy/erasures/:id',
    { config: { scope: 'privacy:erase' }, schema: { tags, summary: 'How far an erasure is', params, response: { 200: Erasure } } },
    ({ auth, params: { id } }) => db.tenant(auth.tenantId, async (tx) => found(await readErasure(tx, id))),
  )

  app.get('/internal/v1/erasures/:id', { schema: { params, response: { 200: ErasureSubject } } }, ({ auth, params: { id } }) =>
    db.tenant(auth.tenantId, async (tx) => found(await readSubject(tx, id))),
  )

  app.get(
    '/internal/v1/pending-erasures',
    { schema: { querystring: z.strictObject({ after: z.string().optional() }), response: { 200: PendingErasures } } },
    ({ query: { after } }) => db.tx((tx) => pendingErasures(tx, after, PENDING_PAGE)),
  )

  app.post('/internal/v1/erasures/complete', { schema: { body: CompletedErasures, response: { 200: z.object({}) } } }, ({ auth, body: { ids } }) =>
    db.tenant(auth.tenantId, async (tx) => {
      await completeErasures(tx, ids, new Date(now()))
      return {}
    }),
  )
}
