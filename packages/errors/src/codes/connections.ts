/** What can be wrong with a consent, its account, and what the account may do. */
import { entry } from './entry.ts'

export const connections = {
  destination_unknown: entry(422, 'No such destination', 'Use one of the ids that GET /v1/destinations lists.'),
  account_unknown: entry(422, 'No such account', 'Use the id of an account that GET /v1/accounts lists.'),
  account_required: entry(
    422,
    'No account is named, and none is the default',
    'Name one in `accountId`, or set a default account with PUT /v1/default-accounts.',
  ),
  account_not_selected: entry(409, 'The account is not selected for use', 'Select it with PUT /v1/connections/{id}/accounts.'),
  account_inactive: entry(
    409,
    'The platform has closed or disabled the account',
    'Have the platform open it again and check the connection, or export to another account.',
  ),
  terms_not_signed: entry(
    409,
    'The platform’s terms are not signed',
    'Sign them at the link given here with the account’s owner, then check the connection again.',
  ),
  platform_terms_not_signed: entry(
    409,
    'Other terms of the platform are not signed',
    'Sign the terms that the platform’s answer names, in its own settings, with the account’s owner; then check the connection again.',
  ),
  connection_expired: entry(
    409,
    'Failed to sync: the connection has expired',
    'Reconnect the account in Settings > Integrations, or with POST /v1/connections/{id}/reconnect.',
  ),
  connection_revoked: entry(
    409,
    'Failed to sync: the connection was revoked',
    'Reconnect the account in Settings > Integrations, or with POST /v1/connections/{id}/reconnect.',
  ),
  reconnect_soon: entry(
    409,
    'The consent ends soon',
    'Connect again with POST /v1/connections/{id}/reconnect before the date in the detail; exports go on meanwhile.',
  ),
  notice_signature_invalid: entry(
    403,
    'The notice is not signed by the platform',
    'Only the platform posts here; check the app’s secret in the configuration.',
  ),
  return_url_not_allowed: entry(400, 'The return URL is not on the list', 'Use a return URL that is configured for this installation.'),
  authorization_pending: entry(
    409,
    'The consent is not completed',
    'Send the user to the `authorizeUrl`; it is good for 10 minutes, POST /v1/connections/{id}/reconnect makes another.',
  ),
  authorization_denied: entry(409, 'The consent was refused at the platform', 'Connect again and allow the access that is asked for.'),
  authorization_failed: entry(409, 'The platform did not complete the consent', 'Connect again; if it happens again, report the request id.'),
  too_many_connections: entry(409, 'The tenant has as many connections as it may', 'Delete connections that are not needed.'),
  oauth_state_invalid: entry(400, 'The OAuth state is unknown, used or older than 10 minutes', 'Begin again with POST /v1/connections.'),
  permission_denied: entry(
    409,
    'Permission denied',
    'Make sure that the connected person or system user has admin access to this account, with the permission named in the detail; then check the connection again.',
  ),
  plan_limit: entry(403, 'The account’s plan lacks this capability', 'Upgrade the account at the platform, or choose another kind of export.'),
  destination_unavailable: entry(503, 'The destination does not answer', 'Nothing is lost; it is tried again by itself, after a failed run with the next one.'),
} as const
