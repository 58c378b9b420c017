/**
 * The buckets of one account as the limiter keeps them (R5), with who uses them and how long they last. Rates come
 * from the calls that were made. The account is the caller's to have checked.
 */
import { publicId } from '@audience-sync/contracts/ids'
import type { Quota } from '@audience-sync/contracts/rest/audiences'
import type { Tx } from '@audience-sync/db/database'
import type { Manifest, QuotaDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { levelOf, type Spent } from '@audience-sync/sync-engine/pure/pace'
import { capacityOf, scopeOf } from '@audience-sync/sync-engine/store/limiter'
import type { z } from 'zod'

const RATE_WINDOW_SECONDS = 900 // some runs long, and soon forgotten when they are over
const USERS_WINDOW = '1 hour'
const USERS_SHOWN = 100 // of an account with hundreds of audiences, those that matter

interface Bucket {
  readonly quota: string
  readonly scope: string
  readonly capacity: number
  readonly spent: Spent
  readonly percent: number | null
  readonly low: boolean
  readonly blocked_until: Date | null
  readonly tier: string | null
}

interface Calls {
  readonly reads: number
  readonly writes: number
}

type Shown = z.output<typeof Quota>

export async function quotasOf(tx: Tx, manifest: Manifest, accountExternalId: string): Promise<Shown['quotas']> {
  const { rows } = await tx.query<Bucket>(
    `SELECT quota, scope, capacity, spent, percent, low, tier,
       CASE WHEN blocked_until > now() THEN blocked_until END AS blocked_until
     FROM quota WHERE destination_no = (SELECT no FROM destination WHERE id = $1) AND scope IN ($2, '')`,
    [manifest.id, accountExternalId],
  )
  const calls = await latestCalls(tx, manifest.id, accountExternalId)
  const now = new Date()
  return manifest.quotas.map((definition) => {
    const bucket = rows.find(({ quota, scope }) => quota === definition.id && scope === scopeOf(definition, accountExternalId))
    const capacity = bucket?.capacity ?? capacityOf(definition, null)
    const used = Math.round(levelOf(bucket?.spent ?? [], now.getTime()) * 10) / 10
    return {
      id: definition.id,
      scope: definition.scope,
      capacity,
      used,
      headRoom: Math.max(0, capacity - used),
      decaySeconds: definition.decaySeconds,
      forecast: forecast(definition, capacity, used, calls, now),
      low: bucket?.low ?? false,
      platformPercent: bucket?.percent ?? null,
      blockedUntil: bucket?.blocked_until?.toISOString() ?? null,
      tier: bucket?.tier ?? null,
    }
  })
}

/** In the long run points come back as evenly as they are used: only what is used faster than that lessens them. */
export function forecast(
  { cost, decaySeconds }: Pick<QuotaDefinition, 'cost' | 'decaySeconds'>,
  capacity: number,
  used: number,
  { reads, writes }: Calls,
  now: Date,
): Shown['quotas'][number]['forecast'] {
  const perSecond = (reads * cost.read + writes * cost.write) / RATE_WINDOW_SECONDS
  const net = perSecond - capacity / decaySeconds
  const perHour = Math.round(perSecond * 3_600 * 10) / 10
  return { perHour, goneAt: net > 0 ? new Date(now.getTime() + (Math.max(0, capacity - used) / net) * 1_000).toISOString() : null }
}

const OF_ACCOUNT = 'call c JOIN audience a ON a.no = c.audience_no WHERE a.destination = $1 AND a.account_external_id = $2'

async function latestCalls(tx: Tx, destination: string, accountExternalId: string): Promise<Calls> {
  const { rows } = await tx.query<Calls>(
    `SELECT count(*) FILTER (WHERE c.method = 'GET')::int AS reads, count(*) FILTER (WHERE c.method <> 'GET')::int AS writes
     FROM ${OF_ACCOUNT} AND c.started_at > now() - interval '${RATE_WINDOW_SECONDS} seconds'`,
    [destination, accountExternalId],
  )
  return rows[0] ?? { reads: 0, writes: 0 }
}

export async function usersOf(tx: Tx, destination: string, accountExternalId: string): Promise<Shown['usedBy']> {
  const { rows } = await tx.query<{ id: string; name: string; calls: number; share: number }>(
    `SELECT a.id, a.name, count(*)::int AS calls, (count(*) / sum(count(*)) OVER ())::float8 AS share
     FROM ${OF_ACCOUNT} AND c.started_at > now() - interval '${USERS_WINDOW}' GROUP BY a.id, a.name ORDER BY 3 DESC, a.id LIMIT ${USERS_SHOWN}`,
    [destination, accountExternalId],
  )
  return rows.map(({ id, ...user }) => ({ audienceId: publicId('audience', id), ...user }))
}
