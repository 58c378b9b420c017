/** What can be wrong with an endpoint of the tenant’s own. */
import { entry } from './entry.ts'

export const webhooks = {
  webhook_url_not_allowed: entry(400, 'Webhooks may not be sent to this address', 'Give an https URL with a public host, on port 443 or 8443.'),
  too_many_webhook_endpoints: entry(409, 'The tenant has as many webhook endpoints as it may', 'Delete endpoints that are not needed.'),
  webhook_endpoint_disabled: entry(409, 'The webhook endpoint is disabled', 'Enable it with PATCH /v1/webhook-endpoints/{id} {"enabled": true}.'),
  webhook_disabled_by_user: entry(409, 'Somebody disabled the endpoint', 'Enable it with PATCH {"enabled": true}, then replay what was missed.'),
  webhook_endpoint_gone: entry(409, 'The endpoint answered 410 Gone', 'Put it back or correct the URL, enable it, then replay what was missed.'),
  webhook_endpoint_failing: entry(409, 'The endpoint did nothing but fail for 120 hours', 'Mend it, enable it, then replay what was missed.'),
} as const
