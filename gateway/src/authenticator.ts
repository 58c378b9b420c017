/**
 * Who is asking: the bootstrap key, an API key or a JWT, to a tenant, a subject and scopes.
 *
 * Keys and tenants are looked up once per `CACHE_MS` and pod, so a revocation is seen everywhere within that time (the promise
 * is 60 s) and at once by the pod that made it. Failed attempts are counted per address; when there were too many, only
 * credentials that this pod already knows to be good still pass, so guessing is slow and a neighbour behind the same address is
 * not locked out. No credential at all is not an attempt.
 */
import { TENANTS_ADMIN, type TenantLimits, tenantScopes } from '@audience-sync/contracts/rest/gateway'
import type { Database } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { Logger } from 'pino'
import { type KeyMode, parseApiKey, sameDigest, sha256 } from './api-key.ts'
import { INSTALLATION } from './audit-log.ts'
import type { JwtVerifier } from './jwt.ts'
import { findKey, keyStatus, type StoredKey, touchKey } from './key-store.ts'
import type { Rate, TokenBuckets } from './rate-limit.ts'
import { DEMO_TENANT, findTenant, type TenantRow } from './tenants.ts'
import { TtlCache } from './ttl-cache.ts'

const CACHE_MS = 30_000 // half of the 60 s within which a revocation must be seen everywhere

/** A caller whose credential is good. */
export interface Principal {
  /** UUID. */
  readonly tenantId: string
  /** `bootstrap`, `key_<id>` or `jwt:<issuer>#<sub>`. */
  readonly subject: string
  readonly scopes: readonly string[]
  readonly limits: TenantLimits
}

/** The request, as far as it matters here. */
export interface Asker {
  readonly id: string
  readonly ip: string
  readonly method: string
  readonly url: string
}

export interface AuthenticatorOptions {
  readonly db: Database
  readonly log: Logger
  readonly buckets: TokenBuckets
  readonly mode: KeyMode
  readonly jwt: JwtVerifier
  /** The bootstrap key of the demo tenant. */
  readonly adminKey?: string | undefined
  /** Failed attempts per address. */
  readonly loginRate: Rate
  /** Told once an hour for each subject of this pod: an audit row for each request would say no more. */
  readonly onSuccess: (caller: Principal, from: Asker) => void
  readonly onFailure: (failure: { tenantId: string; actor: string; why: string; from: Asker }) => void
  readonly now?: () => number
}

export interface Authenticator {
  /** Throws `unauthenticated`, `rate_limited` (after too many failures) or `tenant_suspended`. `token` undefined: none was sent. */
  authenticate(token: string | undefined, from: Asker): Promise<Principal>
  /** A key or a tenant was changed here: look it up anew. */
  forgetKey(id: string): void
  forgetTenant(id: string): void
}

type Found = Omit<Principal, 'limits'>
type Refused = { readonly why: string; readonly tenantId?: string; readonly actor?: string }

export function authenticator(options: AuthenticatorOptions): Authenticator {
  const { db, log, buckets, mode, jwt, loginRate, onSuccess, onFailure, now = Date.now } = options
  const adminDigest = options.adminKey === undefined ? undefined : sha256(options.adminKey)
  const keys = new TtlCache<StoredKey | undefined>((id) => findKey(db, id), { ttlMs: CACHE_MS, now })
  const tenants = new TtlCache<TenantRow | undefined>((id) => findTenant(db, id), { ttlMs: CACHE_MS, now })
  const touched = new TtlCache<void>(
    async (id) => {
      const key = await keys.get(id)
      if (key) await touchKey(db, key).catch((error: unknown) => log.warn({ err: error, keyId: id }, 'use of a key could not be noted'))
    },
    { ttlMs: 60_000, now },
  )

  const seen = new TtlCache<true>(async () => true, { ttlMs: SEEN_MS, now })

  function judge(key: StoredKey | undefined, digest: Buffer): Found | Refused {
    // The comparison is made for an unknown id too, so that both take the same time.
    const same = sameDigest(digest, key?.secretSha256 ?? EMPTY)
    if (!key) return { why: 'key unknown' }
    if (!same) return { why: 'key secret wrong', tenantId: key.tenantId, actor: `key_${key.id}` }
    const status = keyStatus(key, now())
    if (status !== 'live') return { why: `key ${status}`, tenantId: key.tenantId, actor: `key_${key.id}` }
    return { tenantId: key.tenantId, subject: `key_${key.id}`, scopes: key.scopes }
  }

  /** `guess`: may look up what is not known yet. Without it answers undefined for that. */
  async function identify(token: string, guess: boolean): Promise<Found | Refused | undefined> {
    if (adminDigest && sameDigest(sha256(token), adminDigest)) return { tenantId: DEMO_TENANT.id, subject: 'bootstrap', scopes: ALL_SCOPES }
    const parsed = parseApiKey(token, mode)
    if (parsed) {
      const known = keys.known(parsed.id)
      if (!known && !guess) return undefined
      const found = judge(known ?? (await keys.get(parsed.id)), parsed.secretSha256)
      if ('subject' in found) void touched.get(parsed.id)
      return found
    }
    if (!guess) return undefined
    if (!JWT_SHAPE.test(token)) return { why: 'malformed' }
    const verified = await jwt.verify(token)
    if (!verified.identity) return { why: verified.why }
    const { tenantId, subject, scopes } = verified.identity
    return { tenantId, subject, scopes: scopes.filter((scope) => GRANTABLE.has(scope)) }
  }

  return {
    async authenticate(token, from) {
      if (token === undefined) throw new AppError('unauthenticated', 'The request has no bearer credential.')
      const login = buckets.peek(from.ip, loginRate)
      const found = await identify(token, login.allowed)
      if (!found) throw tooMany(login.resetMs)
      if ('why' in found) {
        const { allowed, resetMs } = buckets.take(from.ip, loginRate)
        if (!allowed) throw tooMany(resetMs)
        onFailure({ tenantId: found.tenantId ?? INSTALLATION, actor: found.actor ?? 'anonymous', why: found.why, from })
        throw new AppError('unauthenticated', 'The credential is not valid.')
      }
      const tenant = await tenants.get(found.tenantId)
      if (!tenant) throw new AppError('unauthenticated', 'The credential is not valid.')
      if (tenant.status !== 'active') throw new AppError('tenant_suspended', 'The tenant is suspended.')
      const principal = { ...found, limits: tenant.limits }
      if (seen.known(found.subject) === undefined) void seen.get(found.subject).then(() => onSuccess(principal, from))
      return principal
    },
    forgetKey: (id) => keys.forget(id),
    forgetTenant: (id) => tenants.forget(id),
  }
}

const SEEN_MS = 3_600_000
const EMPTY = Buffer.alloc(32)
const JWT_SHAPE = /^[\w-]+\.[\w-]+\.[\w-]+$/
const GRANTABLE: ReadonlySet<string> = new Set(tenantScopes)
const ALL_SCOPES: readonly string[] = [...tenantScopes, TENANTS_ADMIN]

const tooMany = (retryAfterMs: number) => new AppError('rate_limited', 'Too many failed logins from this address.', { retryAfterMs: Math.max(retryAfterMs, 1) })
