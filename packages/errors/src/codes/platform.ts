/** What the platform answers, or remarks, for a whole call, an account or a run. */
import { entry } from './entry.ts'

export const platform = {
  platform_throttled: entry(429, 'The platform’s limit is reached', 'Nothing to do; the work goes on by itself when the platform allows it.'),
  gave_way: entry(429, 'Other audiences of the account have their turn', 'Nothing to do; the platform’s limit is shared, and the work goes on where it was.'),
  platform_blocked: entry(403, 'The platform has blocked this account for now', 'Look into the platform’s own messages for this account; we try again later.'),
  advertiser_banned: entry(
    403,
    'The platform has banned this advertiser',
    'Appeal at the platform, or export to an account of another advertiser; nothing more is sent to this one.',
  ),
  platform_invalid_request: entry(422, 'The platform refused the request', 'Report it with the platform’s answer; it is a fault in how we spoke to it.'),
  platform_version_dead: entry(503, 'The platform no longer serves this API version', 'Raise the configured API version.'),
  platform_bad_reply: entry(503, 'The platform’s answer could not be understood', 'Nothing to do; the same request is sent again.'),
  platform_busy: entry(503, 'The platform is still working on this audience', 'Nothing to do; the work goes on by itself when it is done.'),
  many_invalid_rows: entry(
    202,
    'The platform found many rows invalid',
    'Look at the run’s rejections and at the behavior’s data quality, and correct the identifiers.',
  ),
  few_matches: entry(202, 'The platform matched few of the people', 'Let more identifiers leave, and look at the behavior’s data quality.'),
  platform_remark: entry(202, 'The platform remarks on the audience', 'See the platform’s own words in the detail.'),
  delivery_too_small: entry(
    202,
    'Too few people were matched for ads',
    'Wait for more customers, let more identifiers leave, or combine the behavior with similar ones; the platform uses the audience when it is large enough.',
  ),
  platform_slow: entry(202, 'The platform has not confirmed for two days', 'Nothing to do; we keep looking for seven days.'),
  unconfirmed: entry(202, 'The platform never confirmed', 'Refresh the audience in full if the platform’s figures look wrong.'),
} as const
