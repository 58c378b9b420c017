/**
 * The platform's quotas, one bucket per scope, shared by all pods through one row each (R5). Points fall linearly to zero over
 * the quota's decay; taking is one statement, so two pods cannot take the same points. What the platform says of itself
 * (headers, a throttled answer) overrules our own count.
 */
import type { Tx } from '@audience-sync/db/database'
import type { QuotaDefinition, Usage } from '@audience-sync/destination-kit/contract'

const SLOW_PERCENT = 75 // vendors/meta.md §1.1: slow down from here …
const STOP_PERCENT = 95 // … and stop here, because calling while throttled lengthens the block
const SLOW_BLOCK_MS = 5_000 // between two calls once the platform says 75 %
const STOP_BLOCK_MS = 60_000 // where the platform does not say when it regains
const LOW_PERCENT = 80 // told from here, in time to spread what is left …
const ROOM_PERCENT = 60 // … and once only until there was room again: use swings by some percent with each call
const UNKNOWN_TIER = ''

export const scopeOf = (definition: QuotaDefinition, accountExternalId: string): string => (definition.scope === 'account' ? accountExternalId : '')

export const capacityOf = ({ capacity }: QuotaDefinition, tier: string | null): number =>
  capacity[tier ?? UNKNOWN_TIER] ?? capacity[UNKNOWN_TIER] ?? Math.min(...Object.values(capacity))

/** Takes the points of one call, or answers how many milliseconds to wait; 0: taken. */
export async function take(
  tx: Tx,
  destinationNo: number,
  definition: QuotaDefinition,
  accountExternalId: string,
  tier: string | null,
  cost: number,
): Promise<number> {
  const key = [destinationNo, definition.id, scopeOf(definition, accountExternalId)]
  const { rows: known } = await tx.query<{ tier: string | null }>('SELECT tier FROM quota WHERE destination_no = $1 AND quota = $2 AND scope = $3', key)
  // Where the connection does not say the tier, the platform's own headers have, from the second call on; until then the smallest is assumed.
  const of = tier ?? known[0]?.tier ?? null
  await tx.query(
    `INSERT INTO quota (destination_no, quota, scope, capacity, tier) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (destination_no, quota, scope) DO UPDATE SET capacity = $4, tier = $5 WHERE quota.capacity <> $4`,
    [...key, capacityOf(definition, of), of],
  )
  const { rows } = await tx.query<{ taken: boolean; wait: number }>(
    `WITH now AS (
       SELECT greatest(0, level - capacity * extract(epoch FROM now() - as_of) / $5::float8) AS level, capacity,
         greatest(0, extract(epoch FROM blocked_until - now())) * 1000 AS blocked
       FROM quota WHERE destination_no = $1 AND quota = $2 AND scope = $3 FOR UPDATE
     ), taken AS (
       UPDATE quota q SET level = now.level + $4, as_of = now() FROM now
       WHERE q.destination_no = $1 AND q.quota = $2 AND q.scope = $3 AND now.level + $4 <= now.capacity AND coalesce(now.blocked, 0) = 0
       RETURNING 1
     )
     SELECT EXISTS (SELECT FROM taken) AS taken,
       ceil(greatest(coalesce(blocked, 0), (level + $4 - capacity) / capacity * $5::float8 * 1000)) AS wait FROM now`,
    [...key, cost, definition.decaySeconds],
  )
  const [row] = rows
  if (!row) throw new Error(`Quota ${definition.id} has no bucket.`)
  return row.taken ? 0 : Math.max(1, row.wait)
}

/** Nobody calls in this scope for so long. */
export async function block(tx: Tx, destinationNo: number, definition: QuotaDefinition, accountExternalId: string, forMs: number): Promise<void> {
  await tx.query(
    `INSERT INTO quota (destination_no, quota, scope, capacity, blocked_until) VALUES ($1, $2, $3, $4, now() + $5 * interval '1 millisecond')
     ON CONFLICT (destination_no, quota, scope) DO UPDATE SET blocked_until = greatest(quota.blocked_until, excluded.blocked_until)`,
    [destinationNo, definition.id, scopeOf(definition, accountExternalId), capacityOf(definition, null), forMs],
  )
}

/** What an answer's headers said. Answers whether the quota has just become low. */
export async function heed(tx: Tx, destinationNo: number, definition: QuotaDefinition, accountExternalId: string, usage: Usage): Promise<boolean> {
  const key = [destinationNo, definition.id, scopeOf(definition, accountExternalId)]
  const { rows } = await tx.query<{ low: boolean }>('SELECT low FROM quota WHERE destination_no = $1 AND quota = $2 AND scope = $3 FOR UPDATE', key)
  const wasLow = rows[0]?.low ?? false
  const low = usage.percent >= (wasLow ? ROOM_PERCENT : LOW_PERCENT)
  const forMs = usage.regainAfterMs || (usage.percent >= STOP_PERCENT ? STOP_BLOCK_MS : usage.percent >= SLOW_PERCENT ? SLOW_BLOCK_MS : 0)
  await tx.query(
    `INSERT INTO quota (destination_no, quota, scope, capacity, percent, tier, low) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (destination_no, quota, scope) DO UPDATE SET percent = $5, tier = coalesce($6, quota.tier), low = $7`,
    [...key, capacityOf(definition, usage.tier ?? null), usage.percent, usage.tier ?? null, low],
  )
  if (forMs > 0 && usage.percent >= SLOW_PERCENT) await block(tx, destinationNo, definition, accountExternalId, forMs)
  return low && !wasLow
}
