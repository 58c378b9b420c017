/** The buckets of one account as the limiter keeps them, drained to now (R5). The account is the caller's to have checked. */
import type { Quota } from '@audience-sync/contracts/rest/audiences'
import type { Tx } from '@audience-sync/db/database'
import type { Manifest } from '@audience-sync/destination-kit/contract'
import { capacityOf, scopeOf } from '@audience-sync/sync-engine/store/limiter'
import type { z } from 'zod'

interface Bucket {
  readonly quota: string
  readonly scope: string
  readonly capacity: number
  readonly level: number
  readonly age: number
  readonly percent: number | null
  readonly blocked_until: Date | null
  readonly tier: string | null
}

export async function quotasOf(tx: Tx, manifest: Manifest, accountExternalId: string): Promise<z.output<typeof Quota>['quotas']> {
  const { rows } = await tx.query<Bucket>(
    `SELECT quota, scope, capacity, level, extract(epoch FROM now() - as_of)::float8 AS age, percent, tier,
       CASE WHEN blocked_until > now() THEN blocked_until END AS blocked_until
     FROM quota WHERE destination_no = (SELECT no FROM destination WHERE id = $1) AND scope IN ($2, '')`,
    [manifest.id, accountExternalId],
  )
  return manifest.quotas.map((definition) => {
    const bucket = rows.find(({ quota, scope }) => quota === definition.id && scope === scopeOf(definition, accountExternalId))
    const capacity = bucket?.capacity ?? capacityOf(definition, null)
    const drained = bucket ? bucket.level - (capacity * bucket.age) / definition.decaySeconds : 0
    return {
      id: definition.id,
      scope: definition.scope,
      capacity,
      used: Math.max(0, Math.round(drained * 10) / 10),
      decaySeconds: definition.decaySeconds,
      platformPercent: bucket?.percent ?? null,
      blockedUntil: bucket?.blocked_until?.toISOString() ?? null,
      tier: bucket?.tier ?? null,
    }
  })
}
