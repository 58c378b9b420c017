/** What people complain of at Meta, and what to do: PRODUCT.md «Troubleshooting», with the codes under which each shows. */
import type { Trouble } from '@audience-sync/destination-kit/manifest-contract'

export const troubleshooting: readonly Trouble[] = [
  {
    title: 'Audience too small',
    text: 'The behavior has fewer than 100 customers who may be sent.',
    solution: 'Wait for more customers to match the behavior, or combine it with similar behaviors. The export goes on by itself then.',
    codes: ['audience_too_small'],
  },
  {
    title: 'Failed to sync',
    text: 'The Meta connection may have expired, or was revoked.',
    solution: 'Reconnect the Meta account in Settings > Integrations.',
    codes: ['connection_expired', 'connection_revoked'],
  },
  {
    title: 'Permission denied',
    text: 'The connected Meta account lacks a permission, or the terms of the ad account are not signed.',
    solution: 'Make sure that the connected person has admin access to the ad account; sign the terms at the link that the error names.',
    codes: ['permission_denied', 'terms_not_signed', 'platform_terms_not_signed', 'account_inactive'],
  },
  {
    title: 'Audience not appearing in Meta Ads Manager',
    text: 'The sync may still be in progress: often 15 to 30 minutes, usually up to 24 hours.',
    solution: 'Look at the audience’s status and its last run, and check that Ads Manager shows the ad account to which the audience was exported.',
    codes: ['platform_slow', 'platform_busy', 'unconfirmed'],
  },
  {
    title: 'Low match rate, or an audience that stays too small',
    text: 'Meta takes well-formed hashes of wrong data without a word, and never says which rows found a person.',
    solution: 'Look at the behavior’s data quality, and let more identifiers leave: e-mail and phone match best.',
    codes: ['no_usable_identifier', 'email_malformed', 'phone_not_e164'],
  },
]
