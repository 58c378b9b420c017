/**
 * What Meta's error codes mean and what follows from them: vendors/meta.md §2 as data, row by row. `when` holds codes,
 * `code/subcode` pairs (`613/-`: no subcode) and ranges. Texts are never looked at: Meta changes them.
 */
import type { FailureKind } from '@audience-sync/destination-kit/failure'
import type { PlatformCodes } from '@audience-sync/destination-kit/manifest-contract'
import type { Code } from '@audience-sync/errors/catalogue'

export interface ErrorRow {
  readonly when: readonly string[]
  readonly kind: FailureKind
  readonly code: Code
  /** Time to wait where the headers name none. */
  readonly waitMs?: number
  /** Wait at least this long, whatever the headers say. */
  readonly minWaitMs?: number
  /** The user mends it by signing the Custom Audience terms of the account. */
  readonly termsLink?: true
  /** On an upload a row's data may be to blame: the batch is split (RELIABILITY.md §2b); SYNC.md C18 stops a split that leads nowhere. */
  readonly rowsOnUpload?: true
  /** The manifest's quota that is used up; unnamed, the account's score is taken to be. */
  readonly quota?: 'custom_audience' | 'ads_management' | 'app'
  /** Somebody has to look: Meta takes what we do for abuse. */
  readonly alarm?: true
}

const minute = 60_000
const hour = 60 * minute

export const errorTable: readonly ErrorRow[] = [
  { when: ['1', '1/99', '2', '5000', '21009'], kind: 'unavailable', code: 'destination_unavailable' },
  // A new audience cannot be written to for a short while.
  { when: ['803'], kind: 'unavailable', code: 'destination_unavailable', waitMs: minute / 2 },

  { when: ['17', '32', '613', '613/5044001', '80000-80014'], kind: 'throttled', code: 'platform_throttled' },
  // Not the account's, the whole app's.
  { when: ['4', '4/1504022', '4/1504039', '341'], kind: 'throttled', code: 'platform_throttled', quota: 'app' },
  { when: ['80003'], kind: 'throttled', code: 'platform_throttled', quota: 'custom_audience' },
  { when: ['80004'], kind: 'throttled', code: 'platform_throttled', quota: 'ads_management' },
  // The API-level score blocks for 300 s in the Limited tier.
  { when: ['17/2446079', '613/1487742'], kind: 'throttled', code: 'platform_throttled', waitMs: 5 * minute },
  // Abnormal traffic: calling on would lengthen it.
  { when: ['613/-', '613/1996'], kind: 'throttled', code: 'platform_throttled', minWaitMs: 15 * minute, alarm: true },
  // Deemed abusive. Peers retry after hours.
  { when: ['368', '1404078', '2859015'], kind: 'blocked', code: 'platform_blocked', minWaitMs: 2 * hour, alarm: true },
  // Advertiser banned: no time heals it.
  { when: ['1404163'], kind: 'permission', code: 'advertiser_banned' },

  {
    when: ['190', '190/459', '190/460', '190/463', '190/464', '190/467', '190/492', '102', '104'],
    kind: 'auth',
    code: 'connection_expired',
  },
  { when: ['190/458'], kind: 'auth', code: 'connection_revoked' },
  { when: ['3', '10', '200-299', '200/1870050', '2654', '2654/1713092', '100/33'], kind: 'permission', code: 'permission_denied' },
  { when: ['200/1870034', '200/1870090', '1870090', '2663', '2664'], kind: 'terms', code: 'terms_not_signed', termsLink: true },
  // Business Tools and Marketing Messaging terms: signed elsewhere, and no page says where.
  { when: ['1870092', '2655'], kind: 'terms', code: 'platform_terms_not_signed' },

  { when: ['200/1870047'], kind: 'too_small', code: 'removal_refused' },
  { when: ['2650/1870145'], kind: 'busy', code: 'platform_busy', waitMs: minute },
  { when: ['1870065'], kind: 'gone', code: 'audience_disabled' },
  { when: ['1487301'], kind: 'gone', code: 'audience_not_shared' },
  { when: ['1487366'], kind: 'gone', code: 'audience_missing' },
  { when: ['100/1713228', '100/1713230', '100/1713231', '100/1713232'], kind: 'integrity', code: 'audience_flagged' },

  { when: ['100'], kind: 'invalid', code: 'platform_invalid_request', rowsOnUpload: true },
  {
    when: ['100/1713098', '100/1752129', '100/1487534', '105', '194', '2500', '2650/1870147', '2650/1870158', '2650/1870144', '3018'],
    kind: 'invalid',
    code: 'platform_invalid_request',
  },
  // "Update failed", and the clash of data sources: an adopted audience that another tool filled with single-key uploads.
  { when: ['2650'], kind: 'invalid', code: 'audience_update_refused' },
  // Of the last batch, sent again: it was taken.
  { when: ['2650/1870159'], kind: 'invalid', code: 'replacement_finished' },
  // Partly done: the same again finishes it.
  { when: ['2650/1870148'], kind: 'unavailable', code: 'destination_unavailable' },
  { when: ['2654/1713007'], kind: 'invalid', code: 'lookalike_duplicate' },
  { when: ['2656'], kind: 'invalid', code: 'lookalikes_exist' },
  { when: ['2635'], kind: 'invalid', code: 'platform_version_dead' },
]

/** Subcodes from here on name one thing whatever the code beside them, which for internal errors is negative. */
const firstUniqueSubcode = 1_000_000

const index = new Map<string, ErrorRow>()
for (const row of errorTable) {
  for (const entry of row.when) {
    const [from = '', to = from] = entry.split('-')
    const [code = '', subcode] = entry.split('/')
    if (subcode === undefined && to !== from) for (let each = Number(from); each <= Number(to); each++) setDefault(String(each), row)
    else index.set(entry, row)
    const unique = subcode ?? code
    if (Number(unique) >= firstUniqueSubcode) index.set(`/${unique}`, row)
  }
}

/** A range gives way to a row that names one of its codes. */
function setDefault(key: string, row: ErrorRow): void {
  if (!index.has(key)) index.set(key, row)
}

/** The most specific row; undefined for a code that nobody described. */
export function rowOf(code: number, subcode: number | undefined): ErrorRow | undefined {
  return (
    (subcode === undefined ? undefined : index.get(`/${subcode}`)) ?? index.get(`${code}/${subcode ?? '-'}`) ?? (code < 0 ? undefined : index.get(String(code)))
  )
}

/** The table as `GET /v1/errors` shows it: by our code. What is a row's fault on an upload stands under both codes. */
export function platformCodes(): PlatformCodes[] {
  const byCode = new Map<Code, string[]>()
  for (const { when, code, rowsOnUpload } of errorTable) {
    for (const ours of rowsOnUpload ? [code, 'platform_rejected_row' as const] : [code]) byCode.set(ours, [...(byCode.get(ours) ?? []), ...when])
  }
  return [...byCode].map(([code, platform]) => ({ code, platform }))
}
