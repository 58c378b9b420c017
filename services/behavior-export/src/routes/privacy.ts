/**
 * Erasure over REST (RELIABILITY.md §4.7). What proves it at the destinations is audiences': `services/audiences/src/proof.ts`,
 * which asks here for what is pending and says what is complete.
 */
import {
  ChainedErasures,
  ChainedProofs,
  CompletedErasure,
  ErasureSubject,
  PendingErasures,
  Proofs,
  UnchainedProofs,
  WantedProofs,
} from '@audience-sync/contracts/internal/erasures'
import { Erasure, NewErasure } from '@audience-sync/contracts/rest/behaviors'
import type { Database } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { z } from 'zod'
import { completeErasure, pendingErasures, readErasure, readSubject, showErasure } from '../erasures.ts'
import { eraseCustomer } from '../ingest/erase.ts'
import { chainedProofs, linkProofs, readProofs, unchainedProofs } from '../proof-links.ts'
import { requireTenant } from '../tenants.ts'

const tags = ['privacy']
const PENDING_PAGE = 500 // asked for every few seconds; each is some 200 bytes
const PROOFS_PAGE = 100 // a proof has some 600 bytes per call that removed the person, and an answer 16 MiB at most
const LINKS_PAGE = 1_000 // each is some 150 bytes
const MOST_PROOF_BYTES = 16 * 1024 * 1024 // twenty thousand calls for one person: an erasure must not stay open because its proof is long
const params = z.object({ id: z.string() })
const querystring = z.strictObject({ after: z.string().optional() })

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

  app.get('/internal/v1/pending-erasures', { schema: { querystring, response: { 200: PendingErasures } } }, ({ query: { after } }) =>
    db.tx((tx) => pendingErasures(tx, after, PENDING_PAGE)),
  )

  app.post(
    '/internal/v1/erasures/complete',
    { bodyLimit: MOST_PROOF_BYTES, schema: { body: CompletedErasure, response: { 200: z.object({}) } } },
    ({ auth: { tenantId }, body }) =>
      db.tenant(tenantId, async (tx) => {
        await completeErasure(tx, tenantId, body, new Date(now()))
        return {}
      }),
  )

  app.get('/internal/v1/unchained-proofs', { schema: { querystring, response: { 200: UnchainedProofs } } }, ({ query: { after } }) =>
    db.tx((tx) => unchainedProofs(tx, after, PROOFS_PAGE)),
  )

  app.post('/internal/v1/erasures/chained', { schema: { body: ChainedErasures, response: { 200: z.object({}) } } }, ({ auth, body }) =>
    db.tenant(auth.tenantId, async (tx) => {
      await linkProofs(tx, body)
      return {}
    }),
  )

  app.get('/internal/v1/chained-proofs', { schema: { querystring, response: { 200: ChainedProofs } } }, ({ auth, query: { after } }) =>
    db.tenant(auth.tenantId, (tx) => chainedProofs(tx, after, LINKS_PAGE)),
  )

  app.post('/internal/v1/erasures/proofs', { schema: { body: WantedProofs, response: { 200: Proofs } } }, ({ auth, body: { ids } }) =>
    db.tenant(auth.tenantId, (tx) => readProofs(tx, ids)),
  )
}
