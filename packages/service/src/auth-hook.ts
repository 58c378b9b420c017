/**
 * Who may call what. Every route under `/v1` names its scope (or says that it is public) or the service does not start;
 * every route under `/internal/v1` needs the scope `internal`. Credentials are service tokens: the gateway has already
 * looked at the caller's own, and each service looks again at what the gateway says (RELIABILITY.md §3.3).
 */
import { AppError } from '@audience-sync/errors/app-error'
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import type { Scope } from './scopes.ts'
import type { Auth, ServiceTokens } from './tokens.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a credential needs for this route. */
    scope?: Scope
    /** Without a credential: `request.auth` is null there. */
    public?: boolean
    /** Nesting of a JSON body at most; 10 unless given. */
    maxDepth?: number
  }
  interface FastifyRequest {
    /** Set on every route that is not public. */
    auth: Auth
  }
}

/** The scope that a route needs, or undefined when it needs no credential. */
export function scopeOf(url: string, config: RouteOptions['config']): Scope | undefined {
  if (config?.public) return undefined
  if (url.startsWith('/internal/v1/')) return 'internal'
  return config?.scope
}

export function requireScopes(app: FastifyInstance, tokens: ServiceTokens): void {
  app.decorateRequest('auth', null as unknown as Auth)
  app.addHook('onRoute', ({ url, method, config }) => {
    if (url.startsWith('/v1/') && !config?.public && !config?.scope)
      throw new Error(`${String(method)} ${url} names no scope: config: { scope } or { public: true }.`)
  })
  app.addHook('onRequest', async (request, reply) => {
    try {
      await admit(request, tokens)
    } finally {
      // Not before: where a route needs a credential, a request id counts only beside a verified token.
      request.log = request.log.child({ requestId: request.id })
      reply.log = request.log
    }
  })
}

async function admit(request: FastifyRequest, tokens: ServiceTokens): Promise<void> {
  if (request.is404) {
    // Nothing to guard, but the answer should carry the caller's id.
    const known = await tokens.verify(bearer(request)).catch(() => undefined)
    if (known) request.id = known.requestId ?? idBeside(request) ?? request.id
    return
  }
  const scope = scopeOf(request.routeOptions.url ?? '', request.routeOptions.config)
  if (scope === undefined) {
    request.id = idBeside(request) ?? request.id // nobody vouches for a caller here: what the gateway called the request, for the answer and the log
    return
  }
  const verified = await tokens.verify(bearer(request))
  const auth = { ...verified, requestId: verified.requestId ?? idBeside(request) }
  request.id = auth.requestId ?? request.id
  if (!auth.scopes.includes(scope)) throw new AppError('forbidden_scope', `This needs the scope ${scope}.`)
  request.auth = auth
}

/** The gateway uses one token for many requests of a caller; the request's id then travels beside it, and is ours by its shape. */
function idBeside({ headers }: FastifyRequest): string | undefined {
  const id = headers['x-request-id']
  return typeof id === 'string' && /^req_[0-9a-f-]{36}$/.test(id) ? id : undefined
}

const bearer = (request: FastifyRequest) => /^Bearer ([\w.~+/=-]+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
