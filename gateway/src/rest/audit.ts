/** `GET /v1/audit-log`: the caller's chain, newest first. Whoever keeps the rows can check the hashes themselves (audit-chain.ts). */
import { AuditEntry } from '@audience-sync/contracts/rest/gateway'
import type { Database } from '@audience-sync/db/database'
import type { App } from '@audience-sync/service/app'
import { decodeCursor, pageOf, toPage, zPage } from '@audience-sync/service/page'
import { z } from 'zod'
import type { AuditRow } from '../audit-chain.ts'
import type { AuditLog } from '../audit-log.ts'

export function auditRoutes(app: App, { db, audit }: { db: Database; audit: AuditLog }): void {
  app.get(
    '/v1/audit-log',
    { config: { scope: 'audit:read' }, schema: { summary: 'Who did what, newest first', querystring: zPage, response: { 200: pageOf(AuditEntry) } } },
    async (request) => {
      const { limit, cursor } = request.query
      const below = cursor === undefined ? Number.MAX_SAFE_INTEGER : decodeCursor(cursor, z.int())
      await audit.flush() // what this caller did before is in the answer
      const { tenantId, subject } = request.auth
      const { rows } = await db.tenant(tenantId, (tx) =>
        tx.query<AuditRow>(
          `SELECT seq, at, actor, action, target, result, status, request_id AS "requestId", previous_hash AS "previousHash", hash
           FROM audit_log WHERE tenant_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3`,
          [tenantId, below, limit + 1],
        ),
      )
      audit.record(tenantId, { actor: subject, action: 'audit_log.read', target: '/v1/audit-log', result: 'ok', status: 200, requestId: request.id })
      const page = toPage(rows, limit, ({ seq }) => seq)
      return { ...page, data: page.data.map(shown) }
    },
  )
}

const shown = ({ at, previousHash, hash, ...row }: AuditRow) => ({
  ...row,
  at: at.toISOString(),
  previousHash: previousHash.toString('hex'),
  hash: hash.toString('hex'),
})
