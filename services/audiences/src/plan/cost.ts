/** What a plan would cost: calls, points of the platform's quotas, time. Estimates, from the figures alone. */
import type { Plan, PlanCounts } from '@audience-sync/contracts/rest/plans'
import type { Manifest } from '@audience-sync/destination-kit/manifest-contract'
import type { quotasOf } from '../quota.ts'

/** Fetched, hashed, packed and stored by one worker on a small machine; calls come on top. */
const PEOPLE_PER_SECOND = 5_000
/** Of a call to a platform we have not called yet for this audience. */
export const UNKNOWN_CALL_MS = 2_000

export interface CostInput {
  readonly counts: PlanCounts
  /** It is found by its marker, or made, before the first upload. */
  readonly newAudience: boolean
  readonly quotas: Awaited<ReturnType<typeof quotasOf>>
  /** Of the audience's latest calls. */
  readonly callMs: number
  readonly now: Date
}

export function costOf(
  { limits, quotas: definitions }: Manifest,
  { counts, newAudience, quotas, callMs, now }: CostInput,
): Pick<Plan, 'apiCalls' | 'expectedSeconds' | 'quota'> {
  const { add, replace, remove } = counts
  const people = add + replace + remove
  const calls = (rows: number) => Math.ceil(rows / limits.rowsPerCall)
  // One row each; a replacement takes away what is no longer true, besides (SYNC.md C1).
  const uploads = calls(add + replace) + calls(remove + replace)
  const [reads, writes] = people === 0 ? [0, 0] : newAudience ? [1, uploads + 1] : [0, uploads]
  const quota: Plan['quota'] = {}
  let waitSeconds = 0
  for (const { id, capacity, used, decaySeconds, blockedUntil } of quotas) {
    const definition = definitions.find((one) => one.id === id)
    if (!definition) continue
    const cost = reads * definition.cost.read + writes * definition.cost.write
    const over = Math.max(0, used + cost - capacity)
    const blocked = blockedUntil ? Math.max(0, Date.parse(blockedUntil) - now.getTime()) / 1_000 : 0
    quota[id] = { cost, used, capacity, fits: over === 0 && blocked === 0 }
    if (cost > 0) waitSeconds = Math.max(waitSeconds, blocked + (over / capacity) * decaySeconds)
  }
  const expected = people === 0 ? 0 : people / PEOPLE_PER_SECOND + ((reads + writes) * callMs) / 1_000 + waitSeconds
  return { apiCalls: reads + writes, expectedSeconds: Math.ceil(expected), quota }
}
