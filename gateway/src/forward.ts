/**
 * Requests that a service answers. One of them: the path must be plain → the content type and size must suit the route → a change
 * waits for room in the audit log → the body streams through, counted, with a token of ours in place of the caller's credential →
 * the answer streams back → a change is noted in the audit log, however it ended.
 */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { AppError } from '@audience-sync/errors/app-error'
import { traceparent } from '@audience-sync/service/otel'
import { sendProblem } from '@audience-sync/service/problems'
import replyFrom from '@fastify/reply-from'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AuditLog } from './audit-log.ts'
import type { Limiter } from './limits.ts'
import { auditTarget, isPlainPath } from './path.ts'
import { type ForwardedRoute, forwardedRoutes, type ServiceName } from './routes.ts'
import type { ServiceCredentials } from './service-credentials.ts'
import { guardedUpload, tooLarge, type UploadRules } from './upload.ts'

// API.md, RELIABILITY.md §3.4
const BODY_LIMIT = 256 * 1024
const BULK_JSON_LIMIT = 10 * 1024 * 1024
const BULK_NDJSON_LIMIT = 1024 ** 3
const BODY_TIMEOUT_MS = 15_000
const BULK_TIMEOUT_MS = 3_600_000 // 1 GiB at 300 kB/s
const ANSWER_TIMEOUT_MS = 12_000 // services end by themselves after 10 s and say so better than we could
const LONG_TIMEOUT_MS = 62_000 // these end by themselves after 60 s
const STREAM_TIMEOUT_MS = 3_660_000 // services close theirs after an hour; readers come back
const IDLE_TIMEOUT_MS = 60_000 // between two pieces of an answer; streams send something more often
const CONNECT_TIMEOUT_MS = 2_000 // same data centre
const CONNECTIONS = 128 // per service
const RETRY_AFTER_MS = 1_000
const CLIENT_WENT_AWAY = 499

/** What of the caller's headers a service is told. Never its credential, its cookies, or anything about the connection. */
const PASSED_ON = ['accept', 'accept-language', 'content-type', 'idempotency-key', 'if-match', 'if-none-match', 'last-event-id', 'user-agent'] as const
/** What of a service's headers a caller is not told: those of the connection, and those that are the gateway's to say. */
const NOT_PASSED_BACK = new Set(
  'connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade server x-powered-by x-request-id cache-control'.split(' '),
)

export interface ForwardOptions {
  readonly urls: Readonly<Record<ServiceName, string>>
  readonly credentials: ServiceCredentials
  readonly audit: AuditLog
  readonly limits: Limiter
  readonly timeouts?: { readonly bodyMs?: number; readonly answerMs?: number; readonly idleMs?: number } | undefined
}

declare module 'fastify' {
  interface FastifyContextConfig {
    forward?: ForwardedRoute
  }
}

export async function forward(app: FastifyInstance, { urls, credentials, audit, limits, timeouts = {} }: ForwardOptions): Promise<void> {
  const { bodyMs = BODY_TIMEOUT_MS, answerMs = ANSWER_TIMEOUT_MS } = timeouts
  await app.register(replyFrom, {
    undici: {
      connections: CONNECTIONS,
      pipelining: 1,
      headersTimeout: answerMs,
      bodyTimeout: IDLE_TIMEOUT_MS,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    } as object,
    disableRequestLogging: true,
    retryMethods: [], // a service that says 503 is believed; its caller knows whether to try again
    destroyAgent: true,
  })
  // Bodies stay streams; whether they are JSON is the service's to say.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))

  const rulesOf = (request: FastifyRequest, { kind }: ForwardedRoute): UploadRules => {
    if (kind !== 'bulk') return { limit: BODY_LIMIT, timeoutMs: bodyMs }
    const limit = mediaType(request.headers) === 'application/x-ndjson' ? BULK_NDJSON_LIMIT : BULK_JSON_LIMIT
    const { tenantId, limits: own } = request.principal
    return { limit, timeoutMs: BULK_TIMEOUT_MS, pace: (bytes) => limits.bytes(tenantId, own, bytes) }
  }

  const streams = new Set<ServerResponse>()
  function openStream({ principal }: FastifyRequest, { raw }: FastifyReply): void {
    const give = limits.stream(principal.tenantId, principal.limits)
    streams.add(raw)
    raw.once('close', () => {
      give()
      streams.delete(raw)
    })
  }
  // They would keep a stopping server waiting for ever; their readers come back to another pod.
  app.addHook('preClose', async () => {
    for (const stream of streams) stream.destroy()
  })

  app.addHook('onRequest', (request, reply, done) => {
    const route = request.routeOptions.config.forward
    if (!route) return done()
    if (!isPlainPath(pathOf(request))) throw new AppError('not_found', 'There is nothing at this path.')
    if (hasBody(request)) checkBody(request, route, rulesOf(request, route).limit)
    if (route.kind === 'bulk' || route.kind === 'stream') request.raw.socket.setTimeout(IDLE_TIMEOUT_MS) // the server's own 10 s are for the rest
    if (route.kind === 'stream') openStream(request, reply)
    if (isRead(request) || route.public) return done()
    audit.room().then(() => {
      reply.raw.once('close', () => note(audit, request, reply))
      done()
    }, done)
  })

  for (const route of forwardedRoutes) {
    app.route({
      method: [...route.methods],
      url: route.url,
      exposeHeadRoute: false,
      handlerTimeout:
        route.kind === 'bulk' ? BULK_TIMEOUT_MS : route.kind === 'stream' ? STREAM_TIMEOUT_MS : bodyMs + (route.takesLong ? LONG_TIMEOUT_MS : answerMs),
      schema: { hide: true },
      config: { forward: route, ...(route.public && { public: true }) },
      handler: async (request, reply) => {
        const token = route.public ? undefined : await credentials(route.service, request.principal)
        const rules = rulesOf(request, route)
        if (request.body) request.body = guardedUpload(request.body as Readable, rules)
        reply.from(pathOf(request), {
          getUpstream: () => urls[route.service],
          ...(route.kind === 'bulk' && { timeout: BULK_TIMEOUT_MS }),
          ...(route.takesLong && { timeout: LONG_TIMEOUT_MS }),
          rewriteRequestHeaders: ({ headers }) => sent(headers as IncomingHttpHeaders, request, token),
          rewriteHeaders: (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !NOT_PASSED_BACK.has(name))),
          onError: (_reply, { error }) => void failed(request, reply, error, route),
        })
        return reply
      },
    })
  }
}

function sent(headers: IncomingHttpHeaders, request: FastifyRequest, token: string | undefined): IncomingHttpHeaders {
  const passed = Object.fromEntries(PASSED_ON.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])))
  const length = request.body ? headers['content-length'] : undefined
  const cookie = request.routeOptions.config.public ? headers.cookie : undefined // the consent's own cookie comes back to the callback
  // With tracing on, the HTTP client adds the header of its own span; otherwise the caller's trace goes through untouched.
  const trace = traceparent() ? {} : { traceparent: headers.traceparent, tracestate: headers.tracestate }
  return {
    ...passed,
    ...Object.fromEntries(Object.entries(trace).filter(([, value]) => value !== undefined)),
    'x-request-id': request.id,
    ...(length && { 'content-length': length }),
    ...(cookie && { cookie }),
    ...(token && { authorization: `Bearer ${token}` }),
  }
}

function checkBody(request: FastifyRequest, { kind, form }: ForwardedRoute, limit: number): void {
  const type = mediaType(request.headers)
  const taken = form ? ['application/x-www-form-urlencoded'] : kind === 'bulk' ? ['application/json', 'application/x-ndjson'] : ['application/json']
  if (!taken.includes(type)) throw new AppError('unsupported_media_type', `This route takes ${taken.join(' or ')}.`)
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
}

/** The service did not answer. Where our own rule ended the request, that is what the caller is told. */
function failed(request: FastifyRequest, reply: FastifyReply, { cause }: Error, { service }: ForwardedRoute): void {
  const own = [cause, (request.body as { errored?: Error } | undefined)?.errored].find((error) => error instanceof AppError)
  // The rest of the body is not read: another request on this connection would wait behind it.
  if (!request.raw.complete) reply.header('connection', 'close')
  if (own) return void sendProblem(request, reply, own)
  const late = (cause as { code?: string } | undefined)?.code === 'UND_ERR_HEADERS_TIMEOUT'
  const refusal = late
    ? new AppError('request_timeout', 'The request took too long; whether it was done is not known.', { retryAfterMs: RETRY_AFTER_MS })
    : new AppError('service_unavailable', `The service «${service}» cannot be reached.`, { retryAfterMs: RETRY_AFTER_MS })
  void sendProblem(request, reply, refusal)
}

function note(audit: AuditLog, request: FastifyRequest, reply: FastifyReply): void {
  const status = reply.raw.writableFinished ? reply.statusCode : CLIENT_WENT_AWAY
  audit.record(request.principal.tenantId, {
    actor: request.principal.subject,
    action: request.method,
    target: auditTarget(pathOf(request)),
    result: status < 400 ? 'ok' : status < 500 ? 'refused' : 'failed',
    status,
    requestId: request.id,
  })
}

const pathOf = (request: FastifyRequest) => request.raw.url?.split('?')[0] ?? ''
const mediaType = (headers: IncomingHttpHeaders) => (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
const hasBody = ({ headers }: FastifyRequest) => headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
export const isRead = ({ method }: FastifyRequest) => method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
