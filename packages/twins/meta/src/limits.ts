/**
 * The two limits that audience work meets, per ad account (vendors/meta.md §1.1): the API-level score (a read costs 1, a write 3, points fade after
 * 300 s) and the hourly calls of business use case `custom_audience`. Calling while blocked starts the block anew. Both are told in the headers.
 */
import { GraphError } from './errors.ts'
import type { LimitOptions, Tier } from './options.ts'

const LIMITS: Readonly<Record<Tier, Omit<LimitOptions, 'appCallsPerHour'>>> = {
  development_access: { score: 60, blockMs: 300_000, audienceCallsPerHour: 5_000 },
  standard_access: { score: 9_000, blockMs: 60_000, audienceCallsPerHour: 190_000 },
}
const READ_POINTS = 1
const WRITE_POINTS = 3
const SCORE_WINDOW_MS = 300_000
const HOUR_MS = 3_600_000
const CALLS_PER_ACTIVE_AUDIENCE = 40
const MOST_CALLS_PER_HOUR = 700_000
/** 200 for each daily user (§1.1) of an app with a hundred of them. */
const APP_CALLS_PER_HOUR = 20_000

type Spent = { at: number; amount: number }
type Usage = { points: Spent[]; calls: Spent[]; blockedUntil: number }

export type Charge = {
  accountId: string
  businessId: string
  tier: Tier
  write: boolean
  audience: boolean
  activeAudiences: number
  /** Shares of the allowed CPU and wall time that are used; any of the three percentages throttles at 100. */
  cpuPercent?: number
  timePercent?: number
}

export type Limiter = {
  /** Counts one call. @returns the usage headers @throws GraphError 17/2446079 or 80003 while the account is blocked; headers are sent even then */
  charge(now: number, charge: Charge): { headers: Record<string, string>; refusal?: GraphError }
  /** Counts one call that belongs to no account: Marketing calls are outside the app's limit, logins are inside. @returns the app's usage header */
  chargeApp(now: number): { headers: Record<string, string>; refusal?: GraphError }
  score(now: number, accountId: string): number
  reset(): void
}

export const createLimiter = (override: Partial<LimitOptions> = {}): Limiter => {
  const accounts = new Map<string, Usage>()
  let appCalls: Spent[] = []
  const appLimit = override.appCallsPerHour ?? APP_CALLS_PER_HOUR
  const appUsage = (now: number) => {
    appCalls = appCalls.filter(({ at }) => at > now - HOUR_MS)
    return { 'x-app-usage': JSON.stringify({ call_count: Math.ceil((100 * sum(appCalls)) / appLimit), total_cputime: 0, total_time: 0 }) }
  }
  const usageOf = (accountId: string, now: number): Usage => {
    const usage = accounts.get(accountId) ?? { points: [], calls: [], blockedUntil: 0 }
    accounts.set(accountId, usage)
    usage.points = usage.points.filter(({ at }) => at > now - SCORE_WINDOW_MS)
    usage.calls = usage.calls.filter(({ at }) => at > now - HOUR_MS)
    return usage
  }

  return {
    charge: (now, charge) => {
      const limits = { ...LIMITS[charge.tier], ...override }
      const usage = usageOf(charge.accountId, now)
      const callLimit = Math.min(limits.audienceCallsPerHour + CALLS_PER_ACTIVE_AUDIENCE * charge.activeAudiences, MOST_CALLS_PER_HOUR)

      const wasBlocked = usage.blockedUntil > now
      if (!wasBlocked && usage.blockedUntil > 0) {
        usage.blockedUntil = 0
        usage.points = []
      }
      spend(usage.points, now, charge.write ? WRITE_POINTS : READ_POINTS)
      if (charge.audience) spend(usage.calls, now, 1)
      if (wasBlocked || sum(usage.points) > limits.score) usage.blockedUntil = now + limits.blockMs

      const blockedMs = Math.max(0, usage.blockedUntil - now)
      const { cpuPercent = 0, timePercent = 0 } = charge
      const overTime = charge.audience && (cpuPercent >= 100 || timePercent >= 100)
      const overCalls = sum(usage.calls) > callLimit || overTime
      const callsFreeMs = Math.max(freeAt(usage.calls, callLimit) - now, overTime ? limits.blockMs : 0, 0)
      const usageNow = usageHeaders(charge, {
        scorePercent: blockedMs > 0 ? 100 : (100 * sum(usage.points)) / limits.score,
        resetMs: blockedMs > 0 ? blockedMs : SCORE_WINDOW_MS,
        callPercent: (100 * sum(usage.calls)) / callLimit,
        cpuPercent,
        timePercent,
        regainMs: callsFreeMs,
      })
      const headers = { ...usageNow, ...appUsage(now) }
      if (blockedMs > 0)
        return { headers, refusal: new GraphError(17, '(#17) User request limit reached', { subcode: 2446079, title: 'Ad Account Has Too Many API Calls' }) }
      if (overCalls) return { headers, refusal: new GraphError(80003, '(#80003) There have been too many calls to this ad-account. Wait a bit and try again.') }
      return { headers }
    },
    chargeApp: (now) => {
      appUsage(now)
      spend(appCalls, now, 1)
      const headers = appUsage(now)
      return sum(appCalls) > appLimit ? { headers, refusal: new GraphError(4, '(#4) Application request limit reached') } : { headers }
    },
    score: (now, accountId) => sum(usageOf(accountId, now).points),
    reset: () => {
      accounts.clear()
      appCalls = []
    },
  }
}

/** Usage headers in the recorded shapes: business use cases regain in MINUTES, the ad account resets in SECONDS. */
export const usageHeaders = (
  { businessId, tier }: Pick<Charge, 'businessId' | 'tier'>,
  {
    scorePercent,
    resetMs,
    callPercent,
    cpuPercent = 0,
    timePercent = 0,
    regainMs,
  }: { scorePercent: number; resetMs: number; callPercent: number; cpuPercent?: number; timePercent?: number; regainMs: number },
): Record<string, string> => ({
  'x-business-use-case-usage': JSON.stringify({
    // Up to 32 use cases stand there, in any order; only those on ads name the tier.
    [businessId]: [
      { type: 'ads_management', call_count: 1, total_cputime: 0, total_time: 0, estimated_time_to_regain_access: 0, ads_api_access_tier: tier },
      {
        type: 'custom_audience',
        call_count: Math.ceil(callPercent),
        total_cputime: cpuPercent,
        total_time: timePercent,
        estimated_time_to_regain_access: Math.ceil(regainMs / 60_000),
      },
    ],
  }),
  'x-ad-account-usage': JSON.stringify({
    acc_id_util_pct: Math.round(scorePercent * 100) / 100,
    reset_time_duration: Math.ceil(resetMs / 1000),
    ads_api_access_tier: tier,
  }),
})

/** One entry a second is exact enough and keeps an hour of calls small. */
const spend = (spent: Spent[], now: number, amount: number) => {
  const last = spent.at(-1)
  if (last !== undefined && now - last.at < 1_000) last.amount += amount
  else spent.push({ at: now, amount })
}
/** When so much has fallen out of the hour that the rest is within the limit; calls made meanwhile push it back. */
const freeAt = (spent: readonly Spent[], limit: number): number => {
  let left = sum(spent)
  for (const { at, amount } of spent) {
    if (left <= limit) break
    left -= amount
    if (left <= limit) return at + HOUR_MS
  }
  return 0
}
const sum = (spent: readonly Spent[]): number => spent.reduce((total, { amount }) => total + amount, 0)
