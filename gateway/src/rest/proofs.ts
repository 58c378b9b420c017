/** `GET /v1/privacy/proofs/verification`: whether what proves erasures is as it was written. It says what is broken, and where. */
import { ProofVerification } from '@audience-sync/contracts/rest/proofs'
import type { App } from '@audience-sync/service/app'
import { z } from 'zod'
import type { AuditLog } from '../audit-log.ts'
import { type VerifyParts, verifyProofs } from '../verify-proofs.ts'

const LONGEST_CURSOR = 512

export function proofRoutes(app: App, { audit, ...parts }: VerifyParts & { audit: AuditLog }): void {
  app.get(
    '/v1/privacy/proofs/verification',
    {
      config: { scope: 'audit:read' },
      schema: {
        tags: ['privacy'],
        summary: 'Whether the proofs of erasures, and the audit log that names them, are as they were written',
        description:
          'A page at a time, until `nextCursor` is null: first the lines of the audit log, then the proofs. `broken` says what does not hold, and where.',
        querystring: z.strictObject({ cursor: z.string().max(LONGEST_CURSOR).optional().meta({ description: '`nextCursor` of the page before' }) }),
        response: { 200: ProofVerification },
      },
    },
    async ({ auth: { tenantId }, query: { cursor } }) => {
      if (cursor === undefined) await audit.flush() // what this caller did before is in the answer
      return verifyProofs(parts, tenantId, cursor)
    },
  )
}
