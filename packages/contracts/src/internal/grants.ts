/**
 * What connectors and audiences ask of connections, with a service token (audience `connections`, scope `internal`).
 * Access tokens live in a caller's memory for 5 minutes at most and are never stored or logged.
 */
import { z } from 'zod'

/**
 * POST /internal/v1/accounts/{accountId}/grant → a token to speak for the account with. Refused with `account_not_selected`,
 * `connection_expired`, `connection_revoked` or `terms_not_signed` (409).
 */
export const Grant = z.object({
  connectionId: z.string(),
  accountId: z.string(),
  /** The platform's id, for Meta without `act_`. */
  accountExternalId: z.string(),
  accessToken: z.string(),
  /** Goes with the token on each call where the platform wants it (Meta: appsecret_proof). */
  proof: z.string().optional(),
  expiresAt: z.iso.datetime().nullable(),
  /** Of the credential: a report about an older one is ignored. */
  version: z.int(),
  /** The account's limits where the platform has tiers (Meta: `development_access` or `standard_access`). */
  tier: z.string().nullable(),
  /** The portfolio that the account belongs to; without one, Meta ignores an opt-out for all audiences without saying so (vendors/meta.md §4.4). */
  businessId: z.string().nullable(),
})
export type Grant = z.infer<typeof Grant>

/** POST /internal/v1/connections/{connectionId}/report: the platform no longer takes the token. 204. */
export const GrantReport = z.strictObject({
  version: z.int(),
  problem: z.enum(['token_dead', 'permission_denied', 'terms_not_signed']),
  platform: z
    .strictObject({ code: z.string().max(64).optional(), message: z.string().max(2_000).optional(), requestId: z.string().max(256).optional() })
    .optional(),
})
export type GrantReport = z.infer<typeof GrantReport>

/** GET /internal/v1/accounts/{accountId} → what an audience needs to know before it is made. 404 for a foreign one. */
export const AccountSummary = z.object({
  id: z.string(),
  connectionId: z.string(),
  destination: z.string(),
  externalId: z.string(),
  name: z.string(),
  selected: z.boolean(),
  /** At the platform, when it was looked at last. */
  status: z.enum(['active', 'disabled', 'pending', 'closed']),
  statusDetail: z.string(),
  connectionStatus: z.enum(['pending', 'active', 'expired', 'revoked', 'failed']),
  termsSigned: z.boolean(),
  termsUrl: z.string().nullable(),
  canManageAudiences: z.boolean(),
})
export type AccountSummary = z.infer<typeof AccountSummary>

/** GET /internal/v1/default-account?destination&behaviorId&purpose&behaviorKind → the account to take where a caller names none. */
export const ResolvedDefault = z.object({ accountId: z.string().nullable() })
export type ResolvedDefault = z.infer<typeof ResolvedDefault>
