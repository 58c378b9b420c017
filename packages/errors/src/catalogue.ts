/**
 * Every code a caller can meet, with the HTTP status, a title and what to do (R8). Data only; `GET /v1/errors` answers it.
 * Codes are stable: they are added, never renamed.
 */
export interface CatalogueEntry {
  readonly status: number
  readonly title: string
  readonly solution: string
}

const entry = (status: number, title: string, solution: string): CatalogueEntry => ({ status, title, solution })

const request = {
  unauthenticated: entry(401, 'No valid credential', 'Send `Authorization: Bearer <API key or JWT>` with a key that is live and not expired.'),
  forbidden_scope: entry(403, 'The credential lacks a scope', 'Use a key that has the scope named in the detail, or have an administrator add it.'),
  tenant_suspended: entry(403, 'The tenant is suspended', 'Ask the operator of this installation to make the tenant active again.'),
  not_found: entry(404, 'Not found', 'Check the id and the path; an id of another tenant answers the same.'),
  method_not_allowed: entry(405, 'Method not allowed', 'Use one of the methods that the documentation lists for this path.'),
  validation_failed: entry(400, 'The request is malformed', 'Correct the fields named in `errors` and send the request again.'),
  unsupported_media_type: entry(415, 'Unsupported content type', 'Send application/json; bulk routes also take application/x-ndjson.'),
  payload_too_large: entry(413, 'The body is too large', 'Split the request; bulk routes take NDJSON of up to 1 GiB, JSON bodies up to 10 MiB.'),
  idempotency_key_reused: entry(
    422,
    'Idempotency-Key was used for another request',
    'Use a new key for a new request; repeat the same body to repeat the old one.',
  ),
  idempotency_in_flight: entry(409, 'The first request with this Idempotency-Key is still running', 'Wait for the first answer, then repeat the request.'),
  rate_limited: entry(429, 'Too many requests', 'Wait as long as Retry-After says.'),
  conflict: entry(409, 'The state does not allow this', 'Read the resource again and decide anew.'),
  request_timeout: entry(503, 'The request took too long', 'Try again; make the request smaller if it happens again.'),
  service_unavailable: entry(503, 'A part of the system is not available', 'Try again after Retry-After; nothing was stored unless an answer said so.'),
  internal: entry(500, 'Internal error', 'Try again; if it happens again, report the request id.'),
} as const

const behaviors = {
  behavior_unknown: entry(422, 'No such behavior', 'Create the behavior first, or correct the id.'),
  behavior_key_taken: entry(409, 'The key belongs to another behavior', 'Choose another key, or use the behavior that has it.'),
  customer_unknown: entry(404, 'No such customer', 'Send the customer first, or correct the customerId.'),
  customer_empty: entry(
    400,
    'The customer has no identifier',
    'Send at least one identifier, or leave the line out; a customer without any cannot be matched.',
  ),
  occurred_at_in_future: entry(400, 'occurredAt lies in the future', 'Send the time at which it happened, at most 5 minutes ahead of ours.'),
  line_malformed: entry(
    400,
    'A line is not valid JSON or misses a field',
    'Correct the lines named in `errors`; the other lines were stored unless atomic=true.',
  ),
  identifier_unusable: entry(400, 'An identifier cannot be normalised', 'Correct the value; the customer was stored and is matched by the other identifiers.'),
} as const

const connections = {
  destination_unknown: entry(404, 'No such destination', 'Use one of the ids that GET /v1/destinations lists.'),
  account_unknown: entry(422, 'No such account', 'Use the id of an account that GET /v1/accounts lists.'),
  account_not_selected: entry(409, 'The account is not selected for use', 'Select it with PUT /v1/connections/{id}/accounts.'),
  terms_not_signed: entry(
    409,
    'The platform’s terms are not signed',
    'Sign them at the link in the detail with the account’s owner, then check the connection again.',
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
  destination_unavailable: entry(503, 'The destination does not answer', 'Nothing is lost; the work is tried again by itself.'),
} as const

const audiences = {
  audience_unknown: entry(422, 'No such audience', 'Correct the audience id.'),
  name_taken: entry(409, 'Another audience of this account has the name', 'Use the name in `suggestion`, or another one.'),
  name_flagged: entry(
    422,
    'The platform may flag the audience for its name',
    'Take out the words that hint at health or money: a flagged audience takes no uploads and stops its ads.',
  ),
  audience_too_small: entry(409, 'Audience too small', 'Wait for more customers to match the behavior, or combine it with a similar one.'),
  audience_held: entry(409, 'The run is held by the brake', 'Look at the figures, then approve the run or cancel it.'),
  audience_paused: entry(409, 'The audience is paused', 'Resume it with POST /v1/audiences/{id}/resume.'),
  audience_deleting: entry(409, 'The audience is being deleted', 'Create a new audience.'),
  audience_missing: entry(
    409,
    'The audience no longer exists at the platform',
    'Make a new one and send everyone again with POST /v1/audiences/{id}/heal, or delete it here. Until then nothing is sent.',
  ),
  audience_not_shown: entry(
    409,
    'The platform does not show us the audience',
    'Give the connection access again and look with POST /v1/audiences/{id}/check; or make a new one with /heal, or delete it here. Until then nothing is sent.',
  ),
  audience_renamed: entry(
    409,
    'The audience was renamed at the platform',
    'Rename it here or there; `drift.renamed` says what to do by itself: restore, accept or report.',
  ),
  audience_expiring: entry(
    409,
    'The platform will delete the audience soon',
    'Use it in an active campaign, or read the platform’s rules on unused audiences.',
  ),
  audience_shrunk: entry(
    409,
    'The audience has become smaller at the platform',
    'Send everyone again with a full refresh, or by itself with `drift.size`: resync. Look into the platform’s own history of the audience.',
  ),
  audience_swollen: entry(
    409,
    'More people are in the audience than were sent',
    'Look at the platform who else adds people to it; removals by us take away only whom we sent.',
  ),
  nothing_to_heal: entry(409, 'There is nothing to heal', 'GET the audience: `drift.findings` says what asks for healing.'),
  audience_flagged: entry(409, 'The platform flagged the audience', 'Rename it or appeal at the platform, then look with POST /v1/audiences/{id}/check.'),
  audience_not_shared: entry(
    409,
    'The audience is not shared with this account',
    'Have its owner share it with the account again, or export the behavior to a new audience.',
  ),
  audience_limit: entry(
    409,
    'The account has as many audiences as the platform allows',
    'Delete audiences that are no longer used, here or at the platform, or export to another account. The figure is in the detail.',
  ),
  setting_fixed: entry(
    409,
    'The platform takes this choice only once',
    'Export the behavior to a new audience with the other choice, use that one in your campaigns, then delete this one.',
  ),
  adopt_kind: entry(
    409,
    'The audience to adopt is of another kind',
    'Adopt an audience that was made from a customer list, or export the behavior to a new audience.',
  ),
  adopt_not_editable: entry(
    409,
    'The audience to adopt may not be edited by this connection',
    'Have its owner let this account edit it, adopt one of the account’s own, or export the behavior to a new audience.',
  ),
  adopt_setting: entry(
    409,
    'The audience to adopt was made with other settings',
    'Change the setting named in the detail to what the audience has, then refresh; or export the behavior to a new audience.',
  ),
  adopted_members_unknown: entry(
    202,
    'Who was in the audience before stays, unknown to us',
    'Nothing to do if that is wanted. If only this behavior’s customers may be in it, export the behavior to a new audience.',
  ),
  exclusion_only: entry(202, 'The audience can only be excluded', 'Exclude it in ad sets; the platform refuses to target it.'),
  seed_needs_people: entry(
    202,
    'A seed needs more people',
    'Wait for more customers to match the behavior, or combine it with similar ones; lookalikes are made when the seed is large enough.',
  ),
  seed_without_values: entry(
    202,
    'A seed with values finds better customers',
    'Send a `value` with each customer and make the seed value-based; that cannot be changed once it exists.',
  ),
  audience_update_refused: entry(
    409,
    'The platform refuses changes to this audience',
    'See the platform’s own answer. An audience that another tool filled in another form takes no rows from us: export the behavior to a new audience.',
  ),
  lookalikes_exist: entry(
    409,
    'Lookalike audiences are built on this audience',
    'Delete them first, or all at once with ?deleteLookalikes=true; those that were made at the platform are deleted there. ?keepRemote=true leaves everything there as it is.',
  ),
  lookalikes_unsupported: entry(409, 'The destination makes no lookalikes', 'Use an audience of another destination as the seed.'),
  lookalike_needs_values: entry(409, 'The seed has no values', 'Make the seed a value-based audience: that cannot be changed once it exists.'),
  lookalike_duplicate: entry(409, 'The seed has a lookalike like this', 'Use that one, or choose another place or ratio.'),
  lookalike_refused: entry(
    409,
    'The platform refuses to make this lookalike',
    'See its own answer: mostly too few people of the seed live in the chosen place, or the account has as many lookalikes as it may. It is tried again by itself.',
  ),
  lookalike_missing: entry(409, 'The lookalike no longer exists at the platform', 'Delete it here, and make it anew if it is needed.'),
  lookalike_building: entry(202, 'The platform is building the lookalike', 'Nothing to do: it takes some hours. Ads may use it meanwhile.'),
  lookalike_failed: entry(503, 'The platform could not build the lookalike', 'Nothing to do; the platform tries again by itself.'),
  lookalike_inactive: entry(409, 'The lookalike rests because no ad used it', 'Use it in an ad set: the platform then builds it anew.'),
  lookalike_unusable: entry(409, 'The lookalike cannot be used', 'See the platform’s own words for it.'),
  seed_not_exported: entry(202, 'The seed is not at the platform yet', 'Nothing to do but to sync the seed; the lookalike is made after that.'),
  seed_not_ready: entry(202, 'The seed is still being filled', 'Nothing to do; the lookalike is made when the platform has applied everything.'),
  seed_too_small: entry(409, 'The seed has too few people', 'Wait for more customers to match the behavior, or take a larger audience as the seed.'),
  seed_paused: entry(409, 'The seed is paused', 'Resume it: the lookalike is made once the seed is in step again.'),
  seed_flagged: entry(409, 'The platform flagged the seed', 'Rename the seed or appeal at the platform; the lookalike is made when the flag is gone.'),
  seed_disabled: entry(409, 'The platform does not let the seed be used', 'See the platform’s own words for it.'),
  audience_disabled: entry(
    409,
    'The audience is disabled at the platform',
    'See the platform’s own answer; POST /v1/audiences/{id}/heal makes a new audience in its place.',
  ),
  settings_invalid: entry(
    400,
    'The destination refuses these settings',
    'Correct the settings named in `errors`; GET /v1/destinations/{destination} has their schema.',
  ),
  replacement_finished: entry(409, 'The platform has finished replacing the list', 'Nothing to do: whoever was not in it yet is added one by one.'),
  replacement_failed: entry(
    409,
    'The platform did not finish replacing the list',
    'Nothing to do: everyone is looked at again, and added or removed one by one.',
  ),
  removal_refused: entry(
    409,
    'The platform refuses to shrink the audience that far',
    'Nothing is lost: these people are removed as soon as the audience has grown. Or refresh it in full, so that its whole list is replaced, or delete it. Opt-outs are removed from the whole account.',
  ),
  run_not_held: entry(409, 'No run of this audience is held', 'Nothing needs approval.'),
  run_finished: entry(409, 'The run has already ended', 'Start a new run with refresh.'),
  normaliser_unknown: entry(
    409,
    'There is no such normaliser to look at',
    'Use one of `versions`; where the destination has only one, there is nothing to compare.',
  ),
  plan_stale: entry(409, 'What the plan rests on has changed', 'Make a new plan.'),
  plan_expired: entry(410, 'The plan has expired', 'Make a new plan.'),
} as const

const platform = {
  platform_throttled: entry(429, 'The platform’s limit is reached', 'Nothing to do; the work goes on by itself when the platform allows it.'),
  gave_way: entry(429, 'Other audiences of the account have their turn', 'Nothing to do; the platform’s limit is shared, and the work goes on where it was.'),
  platform_blocked: entry(403, 'The platform has blocked this account for now', 'Look into the platform’s own messages for this account; we try again later.'),
  advertiser_banned: entry(
    403,
    'The platform has banned this advertiser',
    'Appeal at the platform, or export to an account of another advertiser; nothing more is sent to this one.',
  ),
  platform_rejected_row: entry(422, 'The platform refused this person’s data', 'Correct the identifiers; the person is tried again when they change.'),
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
  consent_denied: entry(422, 'The person has not consented', 'Nothing to do; the person is sent when consent is given.'),
  opted_out: entry(422, 'The person has opted out', 'Nothing to do.'),
  erased: entry(422, 'The person was erased', 'Nothing to do.'),
  dropped_by_rule: entry(422, 'A rule of the audience leaves the person out', 'Nothing to do, or change the audience’s transformations.'),
  identifier_shared: entry(
    422,
    'Somebody who may not be sent has the same identifier',
    'Nothing to do: it is sent again when that person may be sent, or has it no more.',
  ),
  identifier_missing: entry(422, 'The person has no such identifier', 'Send it with the customer, if there is one.'),
  no_usable_identifier: entry(422, 'No chosen identifier is usable', 'Add or correct an identifier, or choose more identifiers for the audience.'),
} as const

const identifiers = {
  email_malformed: entry(422, 'Not an e-mail address', 'Correct the address.'),
  phone_not_e164: entry(422, 'Not an international phone number', 'Send the number with its country code, or set a default country.'),
  gender_unknown: entry(422, 'Gender is neither m nor f', 'Send m or f, or leave it out.'),
  birth_date_malformed: entry(422, 'Not a date of birth', 'Send YYYY-MM-DD between 1900 and today.'),
  name_empty: entry(422, 'Nothing is left of the name', 'Correct the name.'),
  city_empty: entry(422, 'Nothing is left of the city', 'Write it in Latin letters.'),
  region_malformed: entry(422, 'Not a region', 'Send the region’s name, or its two-letter code in the United States.'),
  postal_code_malformed: entry(422, 'Not a postal code', 'Correct the postal code.'),
  country_malformed: entry(422, 'Not a country', 'Send the ISO 3166-1 alpha-2 code.'),
  mobile_ad_id_malformed: entry(422, 'Not a mobile advertising id', 'Send the id as the device gives it.'),
  external_id_malformed: entry(422, 'Not an external id', 'Send a non-empty id.'),
  value_missing: entry(422, 'The person has no value', 'Send `value` with the customer; until then they count for nothing.'),
  value_malformed: entry(422, 'Not a value', 'Send a number of zero or more.'),
  hash_malformed: entry(422, 'Not a SHA-256 digest', 'Send 64 hexadecimal digits, or the plain value.'),
} as const

const webhooks = {
  webhook_url_not_allowed: entry(400, 'Webhooks may not be sent to this address', 'Give an https URL with a public host, on port 443 or 8443.'),
  too_many_webhook_endpoints: entry(409, 'The tenant has as many webhook endpoints as it may', 'Delete endpoints that are not needed.'),
  webhook_endpoint_disabled: entry(409, 'The webhook endpoint is disabled', 'Enable it with PATCH /v1/webhook-endpoints/{id} {"enabled": true}.'),
  webhook_disabled_by_user: entry(409, 'Somebody disabled the endpoint', 'Enable it with PATCH {"enabled": true}, then replay what was missed.'),
  webhook_endpoint_gone: entry(409, 'The endpoint answered 410 Gone', 'Put it back or correct the URL, enable it, then replay what was missed.'),
  webhook_endpoint_failing: entry(409, 'The endpoint did nothing but fail for 120 hours', 'Mend it, enable it, then replay what was missed.'),
} as const

export const catalogue = { ...request, ...behaviors, ...connections, ...audiences, ...platform, ...identifiers, ...webhooks } satisfies Record<
  string,
  CatalogueEntry
>

export type Code = keyof typeof catalogue

export const isCode = (code: string): code is Code => Object.hasOwn(catalogue, code)
