/** The gateway's own REST surface: tenants, API keys, the audit log and the status page. */
import { z } from 'zod'

/** What a credential of a tenant may be given. Each route names the one it needs; services check it again. */
export const tenantScopes = [
  'connections:read',
  'connections:write',
  'behaviors:read',
  'behaviors:write',
  'customers:read',
  'customers:write',
  'audiences:read',
  'audiences:write',
  'syncs:write',
  'privacy:erase',
  'webhooks:admin',
  'keys:admin',
  'audit:read',
] as const
export const TenantScope = z.enum(tenantScopes)
export type TenantScope = z.infer<typeof TenantScope>

/** Only the bootstrap key has it: no key and no JWT can be given it. */
export const TENANTS_ADMIN = 'tenants:admin'

const Name = z.string().trim().min(1).max(100)
const Country = z.string().regex(/^[A-Z]{2}$/, 'an ISO 3166-1 alpha-2 code')
/** Requests a second, or bytes a second; left out: the installation's default (RELIABILITY.md §3.4). The burst is twice the rate. */
export const TenantLimits = z.strictObject({
  read: z.int().min(1).max(1_000_000).optional(),
  write: z.int().min(1).max(1_000_000).optional(),
  bulk: z.int().min(1).max(1_000_000).optional(),
  importBytes: z.int().min(1).max(100_000_000_000).optional(),
  streams: z.int().min(1).max(100_000).optional(),
})
export type TenantLimits = z.infer<typeof TenantLimits>

export const Tenant = z
  .object({
    id: z.string(),
    slug: z.string(),
    name: z.string(),
    defaultCountry: z.string().nullable(),
    status: z.enum(['active', 'suspended']),
    limits: TenantLimits,
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Tenant' })

export const NewTenant = z.strictObject({
  slug: z.string().regex(/^[a-z][a-z0-9-]{1,62}$/, 'lower-case letters, digits and dashes'),
  name: Name,
  defaultCountry: Country.nullable().default(null),
  limits: TenantLimits.default({}),
})

export const TenantPatch = z.strictObject({
  name: Name.optional(),
  defaultCountry: Country.nullable().optional(),
  limits: TenantLimits.optional(),
  status: z.enum(['active', 'suspended']).optional(),
})

export const MAX_KEY_LIFETIME_DAYS = 365

export const ApiKey = z
  .object({
    id: z.string().meta({ example: 'key_4fQ0dJx8Zb1K' }),
    name: z.string(),
    scopes: z.array(z.string()),
    status: z.enum(['live', 'expired', 'revoked']),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime(),
    revokedAt: z.iso.datetime().nullable(),
    lastUsedAt: z.iso.datetime().nullable().meta({ description: 'to the minute' }),
  })
  .meta({ id: 'ApiKey' })
export type ApiKey = z.infer<typeof ApiKey>

/** Answered once, when a key is made. A repeat with the same Idempotency-Key answers `key: null`: the secret is stored nowhere. */
export const NewApiKeyAnswer = ApiKey.extend({ key: z.string().nullable() }).meta({ id: 'NewApiKeyAnswer' })

const Scopes = z.array(TenantScope).min(1).max(tenantScopes.length)

export const NewApiKey = z.strictObject({
  name: Name,
  scopes: Scopes,
  expiresInDays: z.int().min(1).max(MAX_KEY_LIFETIME_DAYS).default(MAX_KEY_LIFETIME_DAYS),
})

export const ApiKeyPatch = z.strictObject({ name: Name.optional(), scopes: Scopes.optional() })

/** Both keys live for `overlapHours`; the old one ends then, or earlier if it would have. */
export const RotateApiKey = z.strictObject({ overlapHours: z.int().min(0).max(168).default(24) })

export const AuditEntry = z
  .object({
    seq: z.int(),
    at: z.iso.datetime(),
    actor: z.string(),
    action: z.string(),
    target: z.string(),
    result: z.enum(['ok', 'refused', 'failed']),
    status: z.int(),
    requestId: z.string(),
    previousHash: z.string(),
    hash: z.string(),
  })
  .meta({ id: 'AuditEntry' })

/** How a platform answers this tenant. */
export const PlatformHealth = z
  .object({
    destination: z.string(),
    title: z.string(),
    state: z.enum(['ok', 'degraded', 'down']),
    text: z.string(),
    calls: z.int().meta({ description: 'of the last `windowMinutes`' }),
    failed: z.int().meta({ description: 'of them without an answer, or with a failure of the platform’s own' }),
    windowMinutes: z.int(),
    lastAnswerAt: z.iso.datetime().nullable(),
    blockedUntil: z.iso.datetime().nullable().meta({ description: 'a limit of the platform is reached: no calls before' }),
    warnings: z.array(z.string()).meta({ description: 'for example that the platform will end the API version in use' }),
    statusPage: z.string().meta({ description: 'the platform’s own' }),
  })
  .meta({ id: 'PlatformHealth' })
export type PlatformHealth = z.infer<typeof PlatformHealth>

export const Status = z
  .object({
    status: z.enum(['ok', 'degraded']).meta({ description: 'ok: every service is ready, and every platform answers' }),
    platforms: z.array(PlatformHealth).nullable().meta({ description: 'as we see them; null: not known now' }),
    services: z.array(
      z.object({
        name: z.string(),
        ok: z.boolean(),
        detail: z.string(),
        warnings: z.array(z.string()).meta({ description: 'it works, and will not for ever: for example an API version of a platform that ends' }),
        checkedAt: z.iso.datetime(),
      }),
    ),
  })
  .meta({ id: 'Status' })
