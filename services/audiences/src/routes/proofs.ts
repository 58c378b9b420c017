/** The proof of an erasure, and the keys that it can be signed with. The erasure is behavior-export's; what the destinations were told is known here. */
import { ErasureProof, ProofKeys } from '@audience-sync/contracts/rest/proofs'
import { AppError } from '@audience-sync/errors/app-error'
import type { App } from '@audience-sync/service/app'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import { z } from 'zod'
import { proofOf } from '../proof.ts'
import type { RouteParts } from './parts.ts'

const KEYS_SECONDS = 3_600 // a new key is known within the hour

export function proofRoutes(app: App, { db, peers }: RouteParts, tokens: ServiceTokens): void {
  app.get(
    '/v1/privacy/erasures/:id/proof',
    {
      config: { scope: 'privacy:erase' },
      schema: {
        tags: ['privacy'],
        summary: 'What proves that the destinations were told, signed',
        params: z.object({ id: z.string() }),
        response: { 200: ErasureProof },
      },
    },
    async ({ auth, params: { id } }) => {
      const subject = await peers.erasure(auth.tenantId, id)
      if (!subject) throw new AppError('not_found', 'There is no erasure with this id.')
      return db.tenant(auth.tenantId, (tx) => proofOf(tx, tokens, subject, new Date()))
    },
  )

  app.get(
    '/v1/privacy/keys',
    {
      config: { public: true },
      schema: { tags: ['privacy'], summary: 'The public keys of proofs (JWKS), for anybody who checks one', response: { 200: ProofKeys } },
    },
    async (_request, reply) => {
      reply.header('cache-control', `public, max-age=${KEYS_SECONDS}`)
      return { keys: tokens.publicKeys() }
    },
  )
}
