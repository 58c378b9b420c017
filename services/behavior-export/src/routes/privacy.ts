/** Erasure over REST (RELIABILITY.md §4.7). The proof of the destinations comes with the privacy part. */
import { publicId, uuidOf } from '@audience-sync/contracts/ids'
import { Erasure, NewErasure } from '@audience-sync/contracts/rest/behaviors'
import type { Database } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { z } from 'zod'
import { type ErasureRow, eraseCustomer } from '../ingest/erase.ts'
import { requireTenant } from '../tenants.ts'

const tags = ['privacy']

interface Parts {
  readonly db: Database
  readonly vault: DekStore
  readonly now: () => number
}

const show = ({ id, status, requested_at, purged }: ErasureRow): Erasure => ({
  id: publicId('erasure', id),
  status,
  requestedAt: requested_at.toISOString(),
  purged,
})

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
        return { status: 202, body: show(await eraseCustomer(tx, tenant, request.body.customerId, new Date(now()))) }
      })
      return reply
    },
  )

  app.get(
    '/v1/privacy/erasures/:id',
    {
      config: { scope: 'privacy:erase' },
      schema: { tags, summary: 'How far an erasure is', params: z.object({ id: z.string() }), response: { 200: Erasure } },
    },
    (request) =>
      db.tenant(request.auth.tenantId, async (tx) => {
        const uuid = uuidOf('erasure', request.params.id)
        const { rows } = uuid ? await tx.query<ErasureRow>('SELECT id, status, requested_at, purged FROM erasure WHERE id = $1', [uuid]) : { rows: [] }
        if (!rows[0]) throw new AppError('not_found', 'There is no erasure with this id.')
        return show(rows[0])
      }),
  )
}
