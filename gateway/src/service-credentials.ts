/**
 * What the gateway sends along: a service token that says which tenant asks, through which credential, with which scopes.
 *
 * A signature costs more CPU than the rest of forwarding a request, so a token is used again for 30 of its 60 seconds by the
 * same caller to the same service. It therefore names no request; the request id travels beside it, in `x-request-id`.
 * Nothing widens by that: a token holds for exactly what its caller may do anyway, and ends after a minute.
 */
import type { ServiceTokens } from '@audience-sync/service/tokens'
import type { Principal } from './authenticator.ts'
import type { ServiceName } from './routes.ts'
import { TtlCache } from './ttl-cache.ts'

const REUSE_MS = 30_000 // leaves 30 s for a request that waits in line

export type ServiceCredentials = (service: ServiceName, caller: Pick<Principal, 'tenantId' | 'subject' | 'scopes'>) => Promise<string>

export function serviceCredentials(tokens: ServiceTokens, now?: () => number): ServiceCredentials {
  const cache = new TtlCache<string>(
    (key) => {
      const [service, tenantId, subject, scopes] = JSON.parse(key) as [string, string, string, string[]]
      return tokens.sign(service, { tenantId, subject, scopes })
    },
    { ttlMs: REUSE_MS, ...(now && { now }) },
  )
  return (service, { tenantId, subject, scopes }) => cache.get(JSON.stringify([service, tenantId, subject, scopes]))
}
