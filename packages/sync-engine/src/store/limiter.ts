/**
 * The platform's quotas, one bucket per scope, shared by all pods through one row each (R5). The row is locked, `pure/pace.ts` decides,
 * and the row is written, in one transaction: two pods cannot take the same points. Of a bucket of the whole installation each
 * tenant has a bucket of its own beside it, by which the shares are kept. What the platform says of itself (headers, a throttled
 * answer) overrules our own count.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Tx } from '@audience-sync/db/database'
import type { QuotaDefinition, Usage } from '@audience-sync/destination-kit/contract'
import { type Bucket, drained, gapAfter, levelSaid, type Share, SLOW, waitFor } from '../pure/pace.ts'

const LOW_PERCENT = 80 // told from here, in time to spread what is left …
const ROOM_PERCENT = 60 // … and once only until there was room again: use swings by some percent with each call
const UNKNOWN_TIER = ''

/** Time as the limiter has it: the database's, unless a test pushes it. */
export interface LimiterClock {
  /** How far it is ahead of the database's clock. */
  aheadMs(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
}
export const databaseTime: LimiterClock = { aheadMs: () => 0, sleep: (ms, signal) => sleep(ms, undefined, { signal }) }

/** One audience's way to its account's buckets. */
export interface Caller {
  readonly destinationNo: number
  readonly tenantId: string
  readonly accountId: string
  readonly accountExternalId: string
  /** As the connection says; null: it does not. */
  readonly tier: string | null
  readonly aheadMs: number
}

export const scopeOf = (definition: QuotaDefinition, accountExternalId: string): string => (definition.scope === 'account' ? accountExternalId : '')

/** `audiences`: how many the account is known to have. A tier that nobody named is the smallest. */
export function capacityOf({ capacity, perAudience }: QuotaDefinition, tier: string | null, audiences = 0): number {
  const base = capacity[tier ?? UNKNOWN_TIER] ?? capacity[UNKNOWN_TIER] ?? Math.min(...Object.values(capacity))
  return perAudience ? Math.max(base, Math.min(base + perAudience.points * audiences, perAudience.most)) : base
}

/** What a call of this kind costs, and what only the platform counts. Another kind may have a quota of its own. */
const concerning = (quotas: readonly QuotaDefinition[], kind: 'read' | 'write'): QuotaDefinition[] =>
  quotas.filter(({ cost }) => cost[kind] > 0 || cost.read + cost.write === 0)

/** Everything of the row but the key. `elapsed` in seconds, `blocked` and `paced` in milliseconds. */
interface Row {
  readonly level: number
  readonly elapsed: number
  readonly blocked: number
  readonly paced: number
  readonly tier: string | null
  readonly low: boolean
}

const NOW = `(now() + $4 * interval '1 millisecond')`
const KEY = 'destination_no = $1 AND quota = $2 AND scope = $3'
type Key = readonly [destinationNo: number, quota: string, scope: string, aheadMs: number]

/** Locks the row, which is made if it is not there. The tier that is named is kept: until one is, the smallest is assumed. */
async function locked(tx: Tx, key: Key, tier: string | null, capacity: number): Promise<Row> {
  const { rows } = await tx.query<Row>(
    `INSERT INTO quota (destination_no, quota, scope, capacity, tier, as_of) VALUES ($1, $2, $3, $6, $5, ${NOW})
     ON CONFLICT (destination_no, quota, scope) DO UPDATE SET tier = coalesce($5, quota.tier)
     RETURNING level, tier, low, greatest(0, extract(epoch FROM ${NOW} - as_of))::float8 AS elapsed,
       coalesce(greatest(0, extract(epoch FROM blocked_until - ${NOW})) * 1000, 0)::float8 AS blocked,
       coalesce(greatest(0, extract(epoch FROM paced_until - ${NOW})) * 1000, 0)::float8 AS paced`,
    [...key, tier, capacity],
  )
  if (!rows[0]) throw new Error(`Quota ${key[1]} has no bucket.`)
  return rows[0]
}

const capacityFor = async (tx: Tx, definition: QuotaDefinition, tier: string | null, accountId: string | null): Promise<number> =>
  capacityOf(definition, tier, definition.perAudience && accountId ? await audiencesOf(tx, accountId) : 0)

/** Those that are ours: a lower bound of what the platform counts. */
async function audiencesOf(tx: Tx, accountId: string): Promise<number> {
  const { rows } = await tx.query<{ n: number }>(
    'SELECT count(*)::int AS n FROM audience WHERE account_id = $1 AND deleted_at IS NULL AND external_id IS NOT NULL',
    [accountId],
  )
  return rows[0]?.n ?? 0
}

/**
 * Takes the points of one call from every quota that it costs, all or none, or answers how many milliseconds to wait; 0: taken. A
 * quota that counts without us (cost 0) is only looked at. Quotas are locked in the manifest's order.
 */
export async function take(tx: Tx, quotas: readonly QuotaDefinition[], caller: Caller, kind: 'read' | 'write'): Promise<{ waitMs: number; quota: string }> {
  const { destinationNo, tenantId, accountId, accountExternalId, aheadMs } = caller
  const takings: { key: Key; cost: number; bucket: Bucket; shareKey: Key | null; share: Share | undefined }[] = []
  for (const definition of concerning(quotas, kind)) {
    const cost = definition.cost[kind]
    const key: Key = [destinationNo, definition.id, scopeOf(definition, accountExternalId), aheadMs]
    const row = await locked(tx, key, caller.tier, capacityOf(definition, caller.tier))
    const capacity = await capacityFor(tx, definition, row.tier, accountId)
    const { decaySeconds } = definition
    const level = drained(row.level, capacity, decaySeconds, row.elapsed)
    const bucket = { capacity, decaySeconds, level, blockedMs: row.blocked, pacedMs: row.paced }
    const shared = definition.scope === 'installation' && cost > 0
    const shareKey: Key | null = shared ? [destinationNo, definition.id, tenantId, aheadMs] : null
    takings.push({ key, cost, bucket, shareKey, share: shareKey ? await shareOf(tx, shareKey, bucket) : undefined })
  }
  let slowest = { waitMs: 0, quota: '' }
  for (const { key, cost, bucket, share } of takings) {
    const waitMs = waitFor(bucket, cost, share)
    if (waitMs > slowest.waitMs) slowest = { waitMs, quota: key[1] }
  }
  if (slowest.waitMs > 0) return slowest
  for (const { key, cost, bucket, shareKey, share } of takings) {
    if (cost === 0) continue
    const level = bucket.level + cost
    await set(tx, key, bucket.capacity, level, gapAfter({ ...bucket, level }, cost))
    if (shareKey && share) await set(tx, shareKey, bucket.capacity, share.level + cost, 0)
  }
  return slowest
}

const set = (tx: Tx, key: Key, capacity: number, level: number, gapMs: number): Promise<unknown> =>
  tx.query(
    `UPDATE quota SET capacity = $5, level = $6, as_of = ${NOW}, paced_until = CASE WHEN $7::float8 > 0 THEN ${NOW} + $7 * interval '1 millisecond' END WHERE ${KEY}`,
    [...key, capacity, level, gapMs],
  )

/** What the tenant has out of the installation's bucket, and how many want some; counted only where points are scarce. */
async function shareOf(tx: Tx, key: Key, bucket: Bucket): Promise<Share> {
  const { level, elapsed } = await locked(tx, key, null, bucket.capacity)
  const tenants = bucket.level < SLOW * bucket.capacity ? 1 : 1 + (await otherTenants(tx, key[0], key[2]))
  return { level: drained(level, bucket.capacity / tenants, bucket.decaySeconds, elapsed), tenants }
}

/** Who has work that may be done, or that waits for points. */
async function otherTenants(tx: Tx, destinationNo: number, tenantId: string): Promise<number> {
  const { rows } = await tx.query<{ n: number }>(
    `SELECT count(DISTINCT tenant_id)::int AS n FROM run WHERE destination_no = $1 AND tenant_id <> $2 AND status IN ('queued', 'running', 'waiting')
       AND (not_before IS NULL OR not_before <= now() OR wait_reason ->> 'code' = 'platform_throttled')`,
    [destinationNo, tenantId],
  )
  return rows[0]?.n ?? 0
}

type Heeding = Pick<Caller, 'destinationNo' | 'accountExternalId' | 'aheadMs'> & { readonly accountId?: string }

/** Nobody calls in this scope for so long. */
export async function block(tx: Tx, definition: QuotaDefinition, { destinationNo, accountExternalId, aheadMs }: Heeding, forMs: number): Promise<void> {
  await tx.query(
    `INSERT INTO quota (destination_no, quota, scope, capacity, as_of, blocked_until) VALUES ($1, $2, $3, $5, ${NOW}, ${NOW} + $6 * interval '1 millisecond')
     ON CONFLICT (destination_no, quota, scope) DO UPDATE SET blocked_until = greatest(quota.blocked_until, excluded.blocked_until)`,
    [destinationNo, definition.id, scopeOf(definition, accountExternalId), aheadMs, capacityOf(definition, null), forMs],
  )
}

/** Whether somebody was told, since the points were taken, that calls are refused: none goes out then. In milliseconds; 0: none. */
export async function blockedFor(
  tx: Tx,
  quotas: readonly QuotaDefinition[],
  { destinationNo, accountExternalId, aheadMs }: Heeding,
  kind: 'read' | 'write',
): Promise<number> {
  const concerned = concerning(quotas, kind)
  const { rows } = await tx.query<{ ms: number }>(
    `SELECT coalesce(max(extract(epoch FROM blocked_until - (now() + $4 * interval '1 millisecond'))) * 1000, 0)::float8 AS ms
     FROM quota JOIN unnest($2::text[], $3::text[]) AS of(id, of_scope) ON quota.quota = of.id AND quota.scope = of.of_scope
     WHERE destination_no = $1 AND blocked_until > now() + $4 * interval '1 millisecond'`,
    [destinationNo, concerned.map(({ id }) => id), concerned.map((definition) => scopeOf(definition, accountExternalId)), aheadMs],
  )
  return Math.ceil(rows[0]?.ms ?? 0)
}

/** How long the points of so many calls take to come back, where they come back slowest. */
export async function turnMs(tx: Tx, quotas: readonly QuotaDefinition[], caller: Heeding, kind: 'read' | 'write', calls: number): Promise<number> {
  const waits: number[] = [0]
  for (const definition of quotas) {
    const key: Key = [caller.destinationNo, definition.id, scopeOf(definition, caller.accountExternalId), caller.aheadMs]
    const capacity = await capacityFor(tx, definition, (await locked(tx, key, null, capacityOf(definition, null))).tier, caller.accountId ?? null)
    waits.push((calls * definition.cost[kind] * definition.decaySeconds * 1_000) / capacity)
  }
  return Math.ceil(Math.max(...waits))
}

/** What an answer's headers said. Answers whether the quota has just become low. */
export async function heed(tx: Tx, definition: QuotaDefinition, caller: Heeding, { percent, tier, regainAfterMs = 0 }: Usage): Promise<boolean> {
  const { destinationNo, accountExternalId, aheadMs } = caller
  const key: Key = [destinationNo, definition.id, scopeOf(definition, accountExternalId), aheadMs]
  const row = await locked(tx, key, tier ?? null, capacityOf(definition, tier ?? null))
  const capacity = await capacityFor(tx, definition, row.tier, caller.accountId ?? null)
  const low = percent >= (row.low ? ROOM_PERCENT : LOW_PERCENT)
  const cost = Math.max(definition.cost.read, definition.cost.write)
  const blocks = regainAfterMs > 0
  const level = levelSaid(drained(row.level, capacity, definition.decaySeconds, row.elapsed), capacity, percent, blocks, cost)
  await tx.query(`UPDATE quota SET capacity = $5, percent = $6, low = $7, level = $8, as_of = ${NOW} WHERE ${KEY}`, [...key, capacity, percent, low, level])
  if (blocks) await block(tx, definition, caller, regainAfterMs)
  return low && !row.low
}
