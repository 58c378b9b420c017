/** The proof of an erasure. The erasure is behavior-export's; what the destinations were told is known here. */
import { ErasureProof } from '@audience-sync/contracts/rest/proofs'
import { AppError } from '@audience-sync/errors/app-error'
import type { App } from '@audience-sync/service/app'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import { z } from 'zod'
import { proofOf } from '../proof.ts'
import type { RouteParts } from './parts.ts'

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
}
