/** What a credential may do. `internal` is for calls between services and is never given to a tenant's key. */
export const scopes = [
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
  'keys:admin',
  'audit:read',
  'tenants:admin',
  'internal',
] as const

export type Scope = (typeof scopes)[number]
