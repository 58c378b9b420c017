/** Which service answers which path (API.md «Ownership»), and how a route counts. What is not here is not forwarded. */
import type { HTTPMethods } from 'fastify'
import type { RouteClass } from './limits.ts'

export const services = ['connections', 'behavior-export', 'audiences', 'webhooks'] as const
export type ServiceName = (typeof services)[number]

export interface ForwardedRoute {
  readonly methods: readonly HTTPMethods[]
  readonly url: string
  readonly service: ServiceName
  /** Left out: `read` or `write`, by the method. */
  readonly kind?: RouteClass
  /** Without a credential; nothing of the caller is vouched for. */
  readonly public?: boolean
  /** Platforms post forms there. */
  readonly form?: boolean
  /** The service asks a platform, some times over, or looks at everyone, before it answers. */
  readonly takesLong?: boolean
}

const ALL: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
const NOT_POST = ALL.filter((method) => method !== 'POST')

const owned: Record<ServiceName, readonly string[]> = {
  connections: ['connections', 'accounts', 'default-accounts'],
  'behavior-export': ['behaviors', 'customers', 'privacy'],
  webhooks: ['webhook-endpoints', 'event-types'],
  audiences: ['audiences', 'runs', 'plans', 'destinations', 'campaigns', 'errors', 'lookalikes'],
}

/** Routes that differ from the rest of their prefix. */
const special: readonly ForwardedRoute[] = [
  { methods: ['GET'], url: '/v1/oauth/:destination/callback', service: 'connections', public: true, takesLong: true },
  { methods: ['POST'], url: '/v1/oauth/:destination/deauthorize', service: 'connections', public: true, form: true },
  { methods: ['POST'], url: '/v1/oauth/:destination/data-deletion', service: 'connections', public: true, form: true },
  { methods: ['GET'], url: '/v1/oauth/:destination/data-deletion/:code', service: 'connections', public: true },
  { methods: ['POST'], url: '/v1/connections/:id/check', service: 'connections', takesLong: true },
  { methods: ['GET', 'HEAD', 'PUT'], url: '/v1/connections/:id/accounts', service: 'connections', takesLong: true },
  { methods: ['DELETE'], url: '/v1/connections/:id', service: 'connections', takesLong: true },
  { methods: ['GET', 'HEAD'], url: '/v1/accounts/:id/quota', service: 'audiences' },
  { methods: ['GET', 'HEAD'], url: '/v1/privacy/erasures/:id/proof', service: 'audiences' },
  { methods: ['GET'], url: '/v1/privacy/keys', service: 'audiences', public: true },
  { methods: ['POST'], url: '/v1/audiences/:id/plan', service: 'audiences', takesLong: true },
  { methods: ['POST'], url: '/v1/plans/:id/apply', service: 'audiences', takesLong: true },
  { methods: ['POST'], url: '/v1/behaviors/:id/members', service: 'behavior-export', kind: 'bulk' },
  { methods: ['GET', 'HEAD'], url: '/v1/customers/:customerId', service: 'audiences' },
  { methods: ['POST'], url: '/v1/customers', service: 'behavior-export', kind: 'bulk' },
  { methods: ['GET', 'HEAD'], url: '/v1/runs/:id/rejections', service: 'audiences', takesLong: true }, // all at once, as NDJSON
  { methods: ['GET'], url: '/v1/runs/:id/stream', service: 'audiences', kind: 'stream' },
  { methods: ['GET'], url: '/v1/events', service: 'webhooks', kind: 'stream' },
]

export const forwardedRoutes: readonly ForwardedRoute[] = [
  ...special,
  ...services.flatMap((service) =>
    owned[service].flatMap((name): ForwardedRoute[] => [
      { methods: name === 'customers' ? NOT_POST : ALL, url: `/v1/${name}`, service },
      { methods: ALL, url: `/v1/${name}/*`, service },
    ]),
  ),
]
