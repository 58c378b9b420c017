/**
 * JWT access tokens of configured issuers (RFC 9068; RELIABILITY.md §3.3). The signature is checked with the keys at the issuer's
 * configured JWKS address and no others: `jku`, `x5u` and `jwk` in a token's header are never looked at.
 */
import { createRemoteJWKSet, decodeJwt, type JWTPayload, jwtVerify } from 'jose'
import { z } from 'zod'

const ALGORITHMS = ['EdDSA', 'ES256', 'RS256'] // no `none`, nothing symmetric
const MAX_LIFETIME_SECONDS = 15 * 60
const LEEWAY_SECONDS = 30 // clocks of two well-kept hosts
const JWKS_CACHE_MS = 10 * 60_000
const JWKS_COOLDOWN_MS = 30_000 // an unknown `kid` makes at most one look-up in that time
const JWKS_TIMEOUT_MS = 3_000 // a request has 10 s in all
const MAX_TOKEN_LENGTH = 8_192

/** One trusted issuer. `tenants` limits which tenants (UUIDs) it may speak for; left out, all: only for the operator's own. */
export const JwtIssuer = z.strictObject({
  issuer: z.string().min(1),
  audience: z.string().min(1),
  jwksUrl: z.url(),
  tenantClaim: z.string().min(1).default('tenant_id'),
  scopeClaim: z.string().min(1).default('scope'),
  tenants: z.array(z.uuid()).optional(),
})
export type JwtIssuer = z.input<typeof JwtIssuer>

export interface JwtIdentity {
  readonly tenantId: string
  readonly subject: string
  readonly scopes: readonly string[]
  readonly expiresAt: number
}

export interface JwtVerifier {
  /** What the token says, or undefined for every reason not to believe it. Never throws. `why` goes to our log, not to the caller. */
  verify(token: string): Promise<{ identity: JwtIdentity } | { identity?: undefined; why: string }>
}

const UUID = /^(?:ten_)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

export function jwtVerifier(issuers: readonly JwtIssuer[], now: () => Date = () => new Date()): JwtVerifier {
  const trusted = new Map(
    issuers.map((given) => {
      const issuer = JwtIssuer.parse(given)
      const options = { cacheMaxAge: JWKS_CACHE_MS, cooldownDuration: JWKS_COOLDOWN_MS, timeoutDuration: JWKS_TIMEOUT_MS }
      return [issuer.issuer, { ...issuer, keys: createRemoteJWKSet(new URL(issuer.jwksUrl), options) }]
    }),
  )
  return {
    async verify(token) {
      try {
        if (token.length > MAX_TOKEN_LENGTH) return { why: 'too long' }
        const issuer = trusted.get(decodeJwt(token).iss ?? '') // only chooses the keys; jwtVerify compares it again
        if (!issuer) return { why: 'unknown issuer' }
        const { payload } = await jwtVerify(token, issuer.keys, {
          algorithms: ALGORITHMS,
          issuer: issuer.issuer,
          audience: issuer.audience,
          typ: 'at+jwt',
          requiredClaims: ['exp', 'iat', 'sub', issuer.tenantClaim],
          clockTolerance: LEEWAY_SECONDS,
          currentDate: now(),
        })
        return identityOf(payload, issuer)
      } catch (error) {
        return { why: (error as { code?: string }).code ?? (error as Error).name }
      }
    },
  }
}

function identityOf(payload: JWTPayload, issuer: z.output<typeof JwtIssuer>) {
  const { exp = 0, iat = 0, sub = '' } = payload
  if (exp - iat > MAX_LIFETIME_SECONDS) return { why: 'lives too long' }
  const tenantId = UUID.exec(String(payload[issuer.tenantClaim]))?.[1]
  if (!tenantId) return { why: 'tenant claim is not a tenant' }
  if (issuer.tenants && !issuer.tenants.includes(tenantId)) return { why: 'tenant is not of this issuer' }
  const scopes = payload[issuer.scopeClaim]
  return {
    identity: {
      tenantId,
      subject: `jwt:${issuer.issuer}#${sub}`.slice(0, 200),
      scopes: Array.isArray(scopes) ? scopes.map(String) : typeof scopes === 'string' ? scopes.split(' ').filter(Boolean) : [],
      expiresAt: exp * 1000,
    },
  }
}
