/** How a request can fail at any route: credential, form, idempotency, load. */
import { entry } from './entry.ts'

export const request = {
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
