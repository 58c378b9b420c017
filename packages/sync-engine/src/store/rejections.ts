/** Who was refused, with the attempts of earlier runs carried on while the person's data stay the same. */

import type { Tx } from '@audience-sync/db/database'
import type { PlatformAnswer } from '@audience-sync/errors/app-error'
import type { LedgerScope } from './ledger.ts'

export interface Rejected {
  readonly customerNo: number
  readonly code: string
  readonly platform?: PlatformAnswer | undefined
}

export async function reject(tx: Tx, scope: LedgerScope, runNo: number, batchNo: number, operation: string, people: readonly Rejected[]): Promise<void> {
  await tx.query(
    `INSERT INTO rejection (run_no, audience_no, tenant_no, destination_no, operation, batch_no, customer_no, code, platform, fingerprint, attempts, first_at)
     SELECT $1::bigint, $2::int, $3::int, $4::smallint, $5::text, $6::bigint, u.customer_no, u.code, u.platform, l.fingerprint,
       1 + coalesce(b.attempts, 0), coalesce(b.first_at, now())
     FROM unnest($7::bigint[], $8::text[], $9::jsonb[]) AS u(customer_no, code, platform)
     LEFT JOIN ledger l ON l.audience_no = $2 AND l.customer_no = u.customer_no AND l.generation = $10
     LEFT JOIN LATERAL (SELECT attempts, first_at FROM rejection r WHERE r.audience_no = $2 AND r.customer_no = u.customer_no AND r.operation = $5
       AND r.run_no < $1 AND r.fingerprint IS NOT DISTINCT FROM l.fingerprint ORDER BY r.run_no DESC LIMIT 1) AS b ON true
     ON CONFLICT (run_no, customer_no, operation) DO UPDATE SET code = excluded.code, platform = excluded.platform, batch_no = excluded.batch_no, last_at = now()`,
    [
      runNo,
      scope.audienceNo,
      scope.tenantNo,
      scope.destinationNo,
      operation,
      batchNo,
      people.map(({ customerNo }) => customerNo),
      people.map(({ code }) => code),
      people.map(({ platform }) => (platform ? JSON.stringify(platform) : null)),
      scope.generation,
    ],
  )
}
