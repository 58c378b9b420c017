/** What a credential may do. `internal` is for calls between services and is never given to a tenant's key. */
import { TENANTS_ADMIN, tenantScopes } from '@audience-sync/contracts/rest/gateway'

export const scopes = [...tenantScopes, TENANTS_ADMIN, 'internal'] as const

export type Scope = (typeof scopes)[number]
