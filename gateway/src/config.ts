/** The gateway's configuration; the descriptions are the manual. */
import { baseConfig, zInteger, zJson, zList, zPort } from '@audience-sync/service/config'
import { z } from 'zod'
import { JwtIssuer } from './jwt.ts'
import { DEFAULT_LIMITS } from './limits.ts'

const zRate = (fallback: number, what: string) => zInteger({ min: 1, max: 100_000_000_000, fallback }).describe(what)

export const gatewayConfig = z.object({
  ...baseConfig,
  PORT: zPort(8080).describe('port to listen on; 0 takes any free one'),
  CONNECTIONS_URL: z.url().describe('where the service connections answers'),
  BEHAVIOR_EXPORT_URL: z.url().describe('where the service behavior-export answers'),
  AUDIENCES_URL: z.url().describe('where the service audiences answers'),
  WEBHOOKS_URL: z.url().describe('where the service webhooks answers'),
  SCHEDULER_URL: z.url().optional().describe('where the scheduler answers its probes; shown by /v1/status'),
  ADMIN_API_KEY: z
    .string()
    .min(32, 'must have 32 characters or more')
    .max(256)
    .optional()
    .describe('bootstrap key of the tenant demo, with all scopes; unset: there is none'),
  API_KEY_MODE: z.enum(['live', 'test']).default('live').describe('kind of API keys that are made and taken'),
  JWT_ISSUERS: zJson(z.array(JwtIssuer)).prefault('[]').describe('trusted issuers of JWTs: [{issuer, audience, jwksUrl, tenantClaim?, scopeClaim?, tenants?}]'),
  CORS_ORIGINS: zList.optional().describe('origins whose pages may call the API: exact, comma-separated'),
  TRUSTED_PROXIES: zInteger({ min: 0, max: 10, fallback: 0 }).describe('how many proxies stand before the gateway; their X-Forwarded-For is believed'),
  LIMIT_READ: zRate(DEFAULT_LIMITS.read, 'reads a second, per tenant and pod; bursts of twice that'),
  LIMIT_WRITE: zRate(DEFAULT_LIMITS.write, 'changes a second, per tenant and pod'),
  LIMIT_BULK: zRate(DEFAULT_LIMITS.bulk, 'bulk requests a second, per tenant and pod'),
  LIMIT_IMPORT_BYTES: zRate(DEFAULT_LIMITS.importBytes, 'bytes a second of bulk bodies, per tenant and pod; faster ones are slowed down'),
  LIMIT_STREAMS: zRate(DEFAULT_LIMITS.streams, 'open event streams, per tenant and pod'),
  PROOF_CHAIN_MS: zInteger({ min: 10, max: 600_000, fallback: 5_000 }).describe(
    'how often proofs are looked for that the audit log does not name yet, in milliseconds',
  ),
  LIMIT_LOGIN_FAILURES: zRate(10, 'failed logins a minute, per address'),
  DEMO_LIMIT_FACTOR: zInteger({ min: 1, max: 1_000_000, fallback: 100 }).describe('how much more the tenant demo may'),
})
export type GatewayConfig = z.output<typeof gatewayConfig>
