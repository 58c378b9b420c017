/** Settings and purpose → the fields of `POST …/customaudiences` and `POST /{audience_id}` (vendors/meta.md §4.1). Pure. */
import type { AudiencePurpose } from '@audience-sync/destination-kit/manifest-contract'
import type { MetaSettings } from './manifest.ts'

/** What may be said again of an audience that exists. */
export const changeableFields = ({ customerFileSource, retentionDays, optOutLink, useForProducts, labels }: MetaSettings) => ({
  customer_file_source: customerFileSource,
  ...(retentionDays !== undefined && { retention_days: retentionDays }),
  ...(optOutLink !== undefined && { opt_out_link: optOutLink }),
  ...(useForProducts !== undefined && { use_for_products: useForProducts }),
  ...(labels !== undefined && { audience_labels: labels }),
})

export const newFields = (settings: MetaSettings, purpose: AudiencePurpose = 'targeting') => ({
  subtype: 'CUSTOM',
  ...changeableFields(settings),
  ...(settings.valueBased && { is_value_based: true }),
  ...(purpose === 'exclusion' && { usage_restriction: 'EXCLUSION_ONLY' }),
})

/** Meta's list of labels changed twice in 2026, and its page and its SDK disagree: an audience is never lost over them. */
export function withoutLabels<T extends object>(fields: T): Omit<T, 'audience_labels'> | undefined {
  if (!('audience_labels' in fields)) return undefined
  const { audience_labels: _, ...others } = fields as T & { audience_labels: unknown }
  return others
}
