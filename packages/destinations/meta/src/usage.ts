/** What the answer's headers say of the quotas (vendors/meta.md §1.1). They come with refusals and with successes. */
import type { Usage } from '@audience-sync/destination-kit/contract'
import { isRecord, numberOf } from './json.ts'

export interface QuotaReport {
  readonly usages: readonly Usage[]
  /** Until calls are taken again; undefined when no header says that they are refused. */
  readonly regainAfterMs: number | undefined
}

type Headers = Readonly<Record<string, string>>

function json(headers: Headers, name: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(headers[name] ?? '')
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Meta throttles when any of the three reaches 100. */
const highest = (values: Record<string, unknown>): number =>
  Math.max(numberOf(values.call_count) ?? 0, numberOf(values.total_cputime) ?? 0, numberOf(values.total_time) ?? 0)

const tierOf = (values: Record<string, unknown>): { tier?: string } =>
  typeof values.ads_api_access_tier === 'string' ? { tier: values.ads_api_access_tier } : {}

/** Keyed by business; the time to wait is in MINUTES. The quota's id is the use case: `custom_audience`, `ads_management`, … */
function useCases(headers: Headers): Usage[] {
  const perBusiness = Object.values(json(headers, 'x-business-use-case-usage') ?? {})
  const entries = perBusiness.flatMap((list) => (Array.isArray(list) ? list : [])).filter(isRecord)
  return entries.map((entry) => {
    const minutes = numberOf(entry.estimated_time_to_regain_access) ?? 0
    return {
      quota: typeof entry.type === 'string' ? entry.type : 'unnamed',
      percent: highest(entry),
      ...(minutes > 0 && { regainAfterMs: minutes * 60_000 }),
      ...tierOf(entry),
    }
  })
}

/** The API-level score of the ad account; the time is in SECONDS, and is named when nothing is refused, too. */
function account(headers: Headers): Usage[] {
  const values = json(headers, 'x-ad-account-usage')
  if (values === undefined) return []
  const percent = numberOf(values.acc_id_util_pct) ?? 0
  const seconds = numberOf(values.reset_time_duration) ?? 0
  return [{ quota: 'api_score', percent, ...(percent >= 100 && seconds > 0 && { regainAfterMs: seconds * 1_000 }), ...tierOf(values) }]
}

function app(headers: Headers): Usage[] {
  const values = json(headers, 'x-app-usage')
  return values === undefined ? [] : [{ quota: 'app', percent: highest(values) }]
}

/** An account has one tier, but only what is said of ads and of the score names it (vendors/meta.md §1.1): it sizes this quota, too. */
function withTier(usages: readonly Usage[]): Usage[] {
  const tier = usages.find((usage) => usage.tier !== undefined)?.tier
  return usages.map((usage) => (tier !== undefined && usage.quota === 'custom_audience' ? { tier, ...usage } : usage))
}

export function readUsage(headers: Headers): QuotaReport {
  const usages = [...withTier([...useCases(headers), ...account(headers)]), ...app(headers)]
  const waits = usages.flatMap(({ regainAfterMs }) => regainAfterMs ?? [])
  return { usages, regainAfterMs: waits.length > 0 ? Math.max(...waits) : undefined }
}
