/**
 * The public door.
 *
 * One request: an id → headers for browsers → who is asking (authenticator) → what that costs (limits) → its own route, or
 * `forward` to the service that owns the path → an answer with the id and the limits → one log line. Everything under `/v1` needs
 * a credential unless the route says that it is public; what no service owns is answered 404 here.
 */

import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { PlatformHealth } from '@audience-sync/contracts/rest/gateway'
import type { Database } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { App } from '@audience-sync/service/app'
import { type ServiceClient, serviceClient } from '@audience-sync/service/client'
import { closeConnections } from '@audience-sync/service/closing'
import { waitForOurselves } from '@audience-sync/service/idle'
import { acceptJson } from '@audience-sync/service/json-body'
import { describeRoutes } from '@audience-sync/service/openapi'
import { addProbes } from '@audience-sync/service/probes'
import { answerProblems } from '@audience-sync/service/problems'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import cors from '@fastify/cors'
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { KeyMode } from './api-key.ts'
import type { AuditLog } from './audit-log.ts'
import type { Authenticator, Principal } from './authenticator.ts'
import { answerClientError, readableUrl } from './client-error.ts'
import { type ForwardOptions, forward, isRead } from './forward.ts'
import type { Limiter } from './limits.ts'
import { openApiDocument } from './openapi.ts'
import type { OpenApi } from './openapi-merge.ts'
import { auditTarget } from './path.ts'
import { auditRoutes } from './rest/audit.ts'
import { docs } from './rest/docs.ts'
import { keyRoutes } from './rest/keys.ts'
import { proofRoutes } from './rest/proofs.ts'
import { status } from './rest/status.ts'
import { tenantRoutes } from './rest/tenants.ts'
import type { ServiceName } from './routes.ts'
import { serviceCredentials } from './service-credentials.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Any good credential will do. */
    anyScope?: boolean
  }
  interface FastifyRequest {
    /** Set under `/v1` unless the route is public. */
    principal: Principal
  }
}

// RELIABILITY.md §3.4; Fastify's defaults are "none".
const CONNECTION_TIMEOUT_MS = 10_000
const HEAD_TIMEOUT_MS = 15_000
const BODY_TIMEOUT_MS = 3_600_000 // the longest upload; other bodies are timed by `upload.ts` or the next line
const HANDLER_TIMEOUT_MS = 10_000
const KEEP_ALIVE_TIMEOUT_MS = 72_000 // longer than a balancer's
const BODY_LIMIT = 256 * 1024
const PLATFORMS_TIMEOUT_MS = 3_000 // the status page answers when others do not
const MAX_PARAM_LENGTH = 16_384 // the whole head's limit: how long an id may be is said by who knows it
const PROBES = new Set(['/livez', '/readyz'])

const Platforms = z.object({ data: z.array(PlatformHealth) })

/** RELIABILITY.md §3.4. Written out: helmet builds them anew for each request, which costs more than looking the caller up. */
const SECURITY_HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains', // two years
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
}

export interface GatewayAppOptions {
  readonly log: Logger
  readonly db: Database
  readonly tokens: ServiceTokens
  readonly behaviorExport: ServiceClient
  readonly authenticator: Authenticator
  readonly limits: Limiter
  readonly audit: AuditLog
  readonly keyMode: KeyMode
  readonly urls: Readonly<Record<ServiceName, string>>
  /** Also shown by `/v1/status`. */
  readonly schedulerUrl?: string | undefined
  readonly corsOrigins?: readonly string[]
  readonly trustedProxies?: number
  readonly timeouts?: ForwardOptions['timeouts'] | undefined
}

export async function gatewayApp(options: GatewayAppOptions): Promise<FastifyInstance> {
  const { log, db, tokens, behaviorExport, authenticator, limits, audit, keyMode, urls, schedulerUrl, corsOrigins = [], trustedProxies = 0, timeouts } = options
  const app: App = fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: () => publicId('request', newUuid()), // never the caller's: it goes into logs and the audit log
    trustProxy: (_address, hop) => hop < trustedProxies,
    connectionTimeout: timeouts?.idleMs ?? CONNECTION_TIMEOUT_MS,
    requestTimeout: BODY_TIMEOUT_MS,
    http: { headersTimeout: HEAD_TIMEOUT_MS },
    handlerTimeout: HANDLER_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    bodyLimit: BODY_LIMIT,
    return503OnClosing: false, // what still comes over open connections while stopping is answered
    clientErrorHandler: answerClientError,
    rewriteUrl: readableUrl,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
  }).withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  const plain = app as unknown as FastifyInstance
  await forBrowsers(plain, corsOrigins) // before answerProblems, which would take the route of preflights for one of ours
  acceptJson(plain)
  answerProblems(plain)
  closeConnections(plain)
  waitForOurselves(plain)
  admit(plain, { authenticator, limits, audit })
  answer(plain, limits)
  await describeRoutes(plain, 'gateway', 'v1')
  addProbes(plain, [async () => ({ ok: (await db.pool.query('SELECT 1')).rowCount === 1, detail: 'database' })])
  const audiences = serviceClient({ name: 'audiences', url: urls.audiences, tokens, log })
  app.addHook('onClose', () => audiences.close())
  status(
    app,
    { ...urls, ...(schedulerUrl && { scheduler: schedulerUrl }) },
    async (tenantId) => (await audiences.get('/internal/v1/platforms', { tenantId, schema: Platforms, timeoutMs: PLATFORMS_TIMEOUT_MS, retries: 0 })).data,
  )
  keyRoutes(app, { db, mode: keyMode, onChanged: authenticator.forgetKey })
  tenantRoutes(app, { db, mode: keyMode, onChanged: authenticator.forgetTenant })
  auditRoutes(app, { db, audit })
  proofRoutes(app, { db, tokens, behaviorExport, audit })
  await docs(plain, openApiDocument({ urls, tokens, log, own: () => plain.swagger() as unknown as OpenApi }))
  await plain.register(async (scope) => forward(scope, { urls, credentials: serviceCredentials(tokens), audit, limits, timeouts }))
  return plain
}

async function forBrowsers(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(SECURITY_HEADERS)
    done()
  })
  if (origins.length === 0) return
  await app.register(cors, {
    origin: [...origins], // exact; `Vary: Origin` comes with it
    credentials: false,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key', 'last-event-id', 'traceparent'],
    exposedHeaders: ['x-request-id', 'ratelimit', 'ratelimit-policy', 'retry-after', 'location'],
    maxAge: 600,
  })
}

const BEARER = /^Bearer ([\x21-\x7e]+)$/i

/** Who is asking, whether they may, and what it counts as. */
function admit(app: FastifyInstance, { authenticator, limits, audit }: Pick<GatewayAppOptions, 'authenticator' | 'limits' | 'audit'>): void {
  app.decorateRequest('principal', null as unknown as Principal)
  app.decorateRequest('auth', null as unknown as FastifyRequest['auth'])
  app.addHook('onRequest', async (request, reply) => {
    const { url = '', config } = request.routeOptions
    const tell = (headers: Record<string, string>) => void reply.headers(headers)
    if (request.is404 || config.public || !url.startsWith('/v1/')) return limits.address(request.ip, tell, !PROBES.has(url))
    const token = BEARER.exec(request.headers.authorization ?? '')?.[1]
    const principal = await authenticator.authenticate(token, request)
    request.principal = principal
    request.auth = { tenantId: principal.tenantId, subject: principal.subject, scopes: principal.scopes, issuer: 'gateway', requestId: request.id }
    limits.request(principal.tenantId, principal.limits, config.forward?.kind ?? (isRead(request) ? 'read' : 'write'), tell)
    // Of forwarded routes the owning service knows the scope, and checks it against the token that goes along.
    if (config.forward || config.anyScope || (config.scope && principal.scopes.includes(config.scope))) return
    audit.record(principal.tenantId, {
      actor: principal.subject,
      action: request.method,
      target: auditTarget(request.url),
      result: 'refused',
      status: 403,
      requestId: request.id,
    })
    throw new AppError('forbidden_scope', `This needs the scope ${config.scope ?? 'of nobody'}.`)
  })
}

/** What every answer has, and one line of log for each. */
function answer(app: FastifyInstance, limits: Limiter): void {
  app.addHook('onSend', (request, reply, _payload, done) => {
    reply.header('x-request-id', request.id)
    if (reply.statusCode === 401) reply.header('www-authenticate', 'Bearer')
    if (!reply.hasHeader('ratelimit')) limits.address(request.ip, (headers) => void reply.headers(headers), false)
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { method, principal } = request
    request.log.info(
      {
        method,
        path: auditTarget(request.url),
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        tenantId: principal?.tenantId,
        subjectId: principal?.subject,
      },
      'answered',
    )
    done()
  })
}
