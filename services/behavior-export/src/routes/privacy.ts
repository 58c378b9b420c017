/** Erasure over REST (RELIABILITY.md §4.7). What proves it at the destinations is audiences': `services/audiences/src/proof.ts`. */
import { publicId, uuidOf } from '@audience-sync/contracts/ids'
import { ErasureSubject } from '@audience-sync/contracts/internal/erasures'
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

  app.get('/internal/v1/erasures/:id', { schema: { params: z.object({ id: z.string() }), response: { 200: ErasureSubject } } }, (request) =>
    db.tenant(request.auth.tenantId, async (tx) => {
      const uuid = uuidOf('erasure', request.params.id)
      const { rows } = uuid
        ? await tx.query<ErasureRow & { customer_no: number | null }>('SELECT id, requested_at, purged, customer_no FROM erasure WHERE id = $1', [uuid])
        : { rows: [] }
      if (!rows[0]) throw new AppError('not_found', 'There is no erasure with this id.')
      const { id, requested_at, purged, customer_no } = rows[0]
      return { id: publicId('erasure', id), customerNo: customer_no === null ? null : Number(customer_no), requestedAt: requested_at.toISOString(), purged }
    }),
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
