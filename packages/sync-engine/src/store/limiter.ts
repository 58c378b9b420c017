/**
 * The platform's quotas, one bucket per scope, shared by all pods through one row each (R5). The row is locked, `pure/pace.ts` decides,
 * and the row is written, in one transaction: two pods cannot take the same points. Of a bucket of the whole installation each
 * tenant has a bucket of its own beside it, by which the shares are kept. What the platform says of itself (headers, a throttled
 * answer) overrules our own count.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Tx } from '@audience-sync/db/database'
import type { Usage } from '@audience-sync/destination-kit/contract'
import type { QuotaDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { type Bucket, gapAfter, heard, levelOf, type Share, SLOW, type Spent, spend, waitFor } from '../pure/pace.ts'
import type { Points } from '../pure/placement.ts'

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

/** Everything of the row but the key. `now` in milliseconds since 1970, on the limiter's clock; `blocked` and `paced` in milliseconds from then. */
interface Row {
  readonly spent: Spent
  readonly now: number
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
    `INSERT INTO quota (destination_no, quota, scope, capacity, tier) VALUES ($1, $2, $3, $6, $5)
     ON CONFLICT (destination_no, quota, scope) DO UPDATE SET tier = coalesce($5, quota.tier)
     RETURNING spent, tier, low, floor(extract(epoch FROM ${NOW}) * 1000)::float8 AS now,
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

interface Taking {
  readonly key: Key
  readonly cost: number
  readonly bucket: Bucket
  /** Of the tenant, where the quota is the installation's. */
  readonly share: (Share & { readonly key: Key }) | undefined
}

async function takingsOf(tx: Tx, quotas: readonly QuotaDefinition[], caller: Caller, kind: 'read' | 'write'): Promise<Taking[]> {
  const { destinationNo, tenantId, accountId, accountExternalId, aheadMs } = caller
  const takings: Taking[] = []
  for (const definition of concerning(quotas, kind)) {
    const { id, scope, decaySeconds } = definition
    const cost = definition.cost[kind]
    const key: Key = [destinationNo, id, scopeOf(definition, accountExternalId), aheadMs]
    const { spent, now, tier, blocked, paced } = await locked(tx, key, caller.tier, capacityOf(definition, caller.tier))
    const capacity = await capacityFor(tx, definition, tier, accountId)
    const bucket = { capacity, decaySeconds, spent, now, blockedMs: blocked, pacedMs: paced }
    const shared = scope === 'installation' && cost > 0
    takings.push({ key, cost, bucket, share: shared ? await shareOf(tx, [destinationNo, id, tenantId, aheadMs], bucket) : undefined })
  }
  return takings
}

/** `waitMs` 0: taken. Else until one call may go, and until a whole turn may: `calls` of them, as far as the bucket holds them. */
export interface Taken {
  readonly waitMs: number
  readonly turnMs: number
  /** Whose points are missing. */
  readonly quota: string
}

/**
 * Takes the points of one call from every quota that it costs, all or none. A quota that counts without us (cost 0) is only looked at.
 * Quotas are locked in the manifest's order.
 */
export async function take(tx: Tx, quotas: readonly QuotaDefinition[], caller: Caller, kind: 'read' | 'write', calls = 1): Promise<Taken> {
  const takings = await takingsOf(tx, quotas, caller, kind)
  const waits = takings.map(({ key, cost, bucket, share }) => ({
    quota: key[1],
    waitMs: waitFor(bucket, cost, share),
    turnMs: waitFor(bucket, cost, share, calls),
  }))
  const slowest = waits.reduce((a, b) => (b.waitMs > a.waitMs ? b : a), { quota: '', waitMs: 0, turnMs: 0 })
  if (slowest.waitMs > 0) return { ...slowest, turnMs: Math.max(...waits.map(({ turnMs }) => turnMs)) }
  for (const { key, cost, bucket, share } of takings) {
    if (cost === 0) continue
    const { now, decaySeconds, capacity } = bucket
    const spent = spend(bucket.spent, cost, now, decaySeconds)
    await set(tx, key, capacity, spent, gapAfter(bucket, levelOf(spent, now), cost))
    if (share) await set(tx, share.key, capacity, spend(share.spent, cost, now, decaySeconds), 0)
  }
  return slowest
}

const set = (tx: Tx, key: Key, capacity: number, spent: Spent, gapMs: number): Promise<unknown> =>
  tx.query(`UPDATE quota SET capacity = $5, spent = $6, paced_until = CASE WHEN $7::float8 > 0 THEN ${NOW} + $7 * interval '1 millisecond' END WHERE ${KEY}`, [
    ...key,
    capacity,
    JSON.stringify(spent),
    gapMs,
  ])

/** What the tenant has out of the installation's bucket, and how many want some; counted only where points are scarce. */
async function shareOf(tx: Tx, key: Key, { spent, now, capacity }: Bucket): Promise<Share & { readonly key: Key }> {
  const own = await locked(tx, key, null, capacity)
  const tenants = levelOf(spent, now) < SLOW * capacity ? 1 : 1 + (await otherTenants(tx, key[0], key[2]))
  return { key, spent: own.spent, tenants }
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

/** How these accounts stand, for calls that write: what bounds them, and how long until one may go. Only looks. */
export async function look(
  db: Pick<Tx, 'query'>,
  quotas: readonly QuotaDefinition[],
  destinationNo: number,
  accounts: readonly string[],
  aheadMs: number,
): Promise<Map<string, { points: Points[]; waitMs: number }>> {
  const { rows } = await db.query<Pick<Row, 'spent' | 'now' | 'blocked' | 'paced'> & { quota: string | null; scope: string; capacity: number }>(
    `SELECT q.quota, q.scope, q.capacity, q.spent, floor(extract(epoch FROM at) * 1000)::float8 AS now,
       coalesce(greatest(0, extract(epoch FROM q.blocked_until - at)) * 1000, 0)::float8 AS blocked, coalesce(greatest(0, extract(epoch FROM q.paced_until - at)) * 1000, 0)::float8 AS paced
     FROM (SELECT now() + $3 * interval '1 millisecond' AS at) clock LEFT JOIN quota q ON q.destination_no = $1 AND q.scope = ANY($2)`,
    [destinationNo, [...accounts, ''], aheadMs],
  )
  const now = rows[0]?.now ?? 0
  return new Map(
    accounts.map((account) => {
      const of = concerning(quotas, 'write').map((definition) => {
        const row = rows.find(({ quota, scope }) => quota === definition.id && scope === scopeOf(definition, account))
        const spent = row?.spent ?? []
        const limit = { capacity: row?.capacity ?? capacityOf(definition, null), decaySeconds: definition.decaySeconds }
        const bucket = { ...limit, spent, now, blockedMs: row?.blocked ?? 0, pacedMs: row?.paced ?? 0 }
        return { bucket, points: { ...limit, spent, cost: definition.cost.write, level: levelOf(spent, now) } }
      })
      const waitMs = Math.max(0, ...of.map(({ bucket, points }) => waitFor(bucket, points.cost)))
      return [account, { points: of.map(({ points }) => points), waitMs }]
    }),
  )
}

type Heeding = Pick<Caller, 'destinationNo' | 'accountExternalId' | 'aheadMs'> & { readonly accountId?: string }

/** Nobody calls in this scope for so long. */
export async function block(tx: Tx, definition: QuotaDefinition, { destinationNo, accountExternalId, aheadMs }: Heeding, forMs: number): Promise<void> {
  await tx.query(
    `INSERT INTO quota (destination_no, quota, scope, capacity, blocked_until) VALUES ($1, $2, $3, $5, ${NOW} + $6 * interval '1 millisecond')
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

/**
 * What the headers of some answers said, in the order in which `take` locks: in that of the headers, two workers of an account would each
 * hold what the other waits for. Answers what made a quota low just now.
 */
export async function heedAll(tx: Tx, quotas: readonly QuotaDefinition[], caller: Heeding, usages: readonly Usage[]): Promise<Usage[]> {
  const low: Usage[] = []
  for (const definition of quotas) {
    for (const usage of usages) if (usage.quota === definition.id && (await heed(tx, definition, caller, usage))) low.push(usage)
  }
  return low
}

/** What an answer's headers said. Answers whether the quota has just become low. */
export async function heed(tx: Tx, definition: QuotaDefinition, caller: Heeding, { percent, tier, regainAfterMs = 0 }: Usage): Promise<boolean> {
  const { destinationNo, accountExternalId, aheadMs } = caller
  const key: Key = [destinationNo, definition.id, scopeOf(definition, accountExternalId), aheadMs]
  const row = await locked(tx, key, tier ?? null, capacityOf(definition, tier ?? null))
  const capacity = await capacityFor(tx, definition, row.tier, caller.accountId ?? null)
  const low = percent >= (row.low ? ROOM_PERCENT : LOW_PERCENT)
  // Where it says when it takes calls again, that is believed: nobody calls until then, and what is beyond our own count is back.
  const spent = regainAfterMs > 0 ? row.spent : heard(row.spent, { capacity, decaySeconds: definition.decaySeconds }, row.now, percent)
  await tx.query(`UPDATE quota SET capacity = $4, percent = $5, low = $6, spent = $7 WHERE ${KEY}`, [
    ...key.slice(0, 3),
    capacity,
    percent,
    low,
    JSON.stringify(spent),
  ])
  if (regainAfterMs > 0) await block(tx, definition, caller, regainAfterMs)
  return low && !row.low
}
