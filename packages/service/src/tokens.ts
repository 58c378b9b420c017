/**
 * Service tokens: who asks, for which tenant, with which scopes, signed by the calling service for one other service.
 *
 * A token lives 60 seconds and is made for each call. Keys are Ed25519; a key's id is `<service>:<random>`, and a token is
 * refused when its issuer is not the service that its key belongs to. The algorithm is fixed and keys come from the
 * configured set only; what a token says of its own key or algorithm counts for nothing (RELIABILITY.md §3.3).
 */
import { randomBytes } from 'node:crypto'
import { AppError } from '@audience-sync/errors/app-error'
import {
  CompactSign,
  type CryptoKey,
  compactVerify,
  createLocalJWKSet,
  errors,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  jwtVerify,
  SignJWT,
} from 'jose'
import { z } from 'zod'

const ALGORITHM = 'EdDSA'
const TYPE = 'at+jwt' // RFC 9068; keeps other JWTs of the same keys out
const LIFETIME_SECONDS = 60 // one call with its retries
const LEEWAY_SECONDS = 30 // F33: clocks of two pods

export interface Auth {
  /** UUID. */
  readonly tenantId: string
  /** The credential that the gateway saw (`key_…`, or a JWT's subject), or the calling service. */
  readonly subject: string
  readonly scopes: readonly string[]
  /** Name of the calling service. */
  readonly issuer: string
  /** Goes with the request through all services. */
  readonly requestId: string | undefined
}

export interface Claims {
  readonly tenantId: string
  readonly subject: string
  readonly scopes: readonly string[]
  readonly requestId?: string | undefined
}

export interface ServiceTokens {
  /** Name of this service: the issuer of what it signs, the audience of what it verifies. */
  readonly name: string
  sign(audience: string, claims: Claims): Promise<string>
  /** Signs something to be shown to others, and answers the key to check it with. `type` keeps it apart from tokens. */
  attest(type: string, payload: Readonly<Record<string, unknown>>): Promise<{ jws: string; key: Record<string, unknown> }>
  /** Whether the service attested just this. `key_unknown`: its key is trusted no longer, so nobody here can say. */
  attested(service: string, type: string, jws: string): Promise<'good' | 'bad' | 'key_unknown'>
  /** Public keys with which what this service signed can be checked: every one that the installation still trusts. */
  publicKeys(): (JWK & { kty: string; kid: string })[]
  /** Throws `unauthenticated`. */
  verify(token: string): Promise<Auth>
}

const Payload = z.object({ iss: z.string(), sub: z.string().max(256), tenant: z.uuid(), scope: z.string(), req: z.string().max(64).optional() })

export interface ServiceTokensOptions {
  readonly name: string
  readonly privateJwk: JWK
  readonly jwks: { keys: JWK[] }
  readonly now?: () => Date
}

/** A key's id says whose it is. */
const ownerOf = (kid: string | undefined) => kid?.split(':')[0]

export function createServiceTokens({ name, privateJwk, jwks, now = () => new Date() }: ServiceTokensOptions): ServiceTokens {
  const keys = createLocalJWKSet(jwks)
  let signingKey: Promise<CryptoKey> | undefined
  return {
    name,
    async sign(audience, { tenantId, subject, scopes, requestId }) {
      signingKey ??= importJWK(privateJwk, ALGORITHM) as Promise<CryptoKey>
      const issuedAt = Math.floor(now().getTime() / 1000)
      return new SignJWT({ tenant: tenantId, scope: scopes.join(' '), ...(requestId && { req: requestId }) })
        .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: privateJwk.kid ?? name })
        .setIssuer(name)
        .setAudience(audience)
        .setSubject(subject)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + LIFETIME_SECONDS)
        .sign(await signingKey)
    },
    async attest(type, payload) {
      signingKey ??= importJWK(privateJwk, ALGORITHM) as Promise<CryptoKey>
      const jws = await new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
        .setProtectedHeader({ alg: ALGORITHM, typ: type, kid: privateJwk.kid ?? name })
        .sign(await signingKey)
      const { d: _secret, ...key } = privateJwk
      return { jws, key }
    },
    async attested(service, type, jws) {
      try {
        const { protectedHeader } = await compactVerify(jws, keys, { algorithms: [ALGORITHM] })
        return protectedHeader.typ === type && ownerOf(protectedHeader.kid) === service ? 'good' : 'bad'
      } catch (error) {
        return error instanceof errors.JWKSNoMatchingKey ? 'key_unknown' : 'bad'
      }
    },
    publicKeys: () =>
      jwks.keys.flatMap((jwk) => {
        const { d: _secret, kty, kid, ...rest } = jwk
        return kty && kid && ownerOf(kid) === name ? [{ ...rest, kty, kid, use: 'sig' }] : []
      }),
    async verify(token) {
      try {
        const { payload, protectedHeader } = await jwtVerify(token, keys, {
          algorithms: [ALGORITHM],
          typ: TYPE,
          audience: name,
          clockTolerance: LEEWAY_SECONDS,
          maxTokenAge: LIFETIME_SECONDS,
          currentDate: now(),
        })
        const { iss, sub, tenant, scope, req } = Payload.parse(payload)
        if (ownerOf(protectedHeader.kid) !== iss) throw new Error('The key belongs to another service.')
        return { tenantId: tenant, subject: sub, scopes: scope.split(' ').filter(Boolean), issuer: iss, requestId: req }
      } catch (cause) {
        throw new AppError('unauthenticated', 'The token is missing, expired or not for this service.', { cause })
      }
    },
  }
}

/** A new key pair of a service. The public half goes into everybody's `SERVICE_JWKS`. */
export async function generateServiceKey(name: string): Promise<{ privateJwk: JWK; publicJwk: JWK }> {
  const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, { extractable: true })
  const kid = `${name}:${randomBytes(6).toString('hex')}`
  return { privateJwk: { ...(await exportJWK(privateKey)), kid, alg: ALGORITHM }, publicJwk: { ...(await exportJWK(publicKey)), kid, alg: ALGORITHM } }
}

/** Tokens for several services that trust each other: for one process that runs them all, and for tests. */
export async function generateServiceTokens<N extends string>(names: readonly N[]): Promise<Record<N, ServiceTokens>> {
  const pairs = await Promise.all(names.map(async (name) => ({ name, ...(await generateServiceKey(name)) })))
  const jwks = { keys: pairs.map(({ publicJwk }) => publicJwk) }
  return Object.fromEntries(pairs.map(({ name, privateJwk }) => [name, createServiceTokens({ name, privateJwk, jwks })])) as Record<N, ServiceTokens>
}
