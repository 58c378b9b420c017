/**
 * The HTTP side of a service. `buildApp` gives a Fastify with everything that all services owe their callers; routes and
 * their schemas are the service's own.
 *
 * One request: a request id → the service token and its scope → the body, checked → the route's schemas → the handler →
 * an answer built from the output schema, or a problem document → one log line.
 * Routes that stream set `handlerTimeout` and `bodyLimit` of their own; `bulk` lets a whole service take long uploads.
 */
import './auth-hook.ts' // the declarations keep only such an import, and with it the type of `request.auth`
import type { IncomingMessage, ServerResponse } from 'node:http'
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController, type RawServerDefault } from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { requireScopes } from './auth-hook.ts'
import { closeConnections } from './closing.ts'
import { waitForOurselves } from './idle.ts'
import { acceptJson, refuseNul } from './json-body.ts'
import type { Logger } from './log.ts'
import { describeRoutes } from './openapi.ts'
import { addProbes, type ReadyCheck } from './probes.ts'
import { answerProblems, sendProblem } from './problems.ts'
import type { ServiceTokens } from './tokens.ts'

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

// RELIABILITY.md §3.4; Fastify's defaults are "none".
const CONNECTION_TIMEOUT_MS = 10_000 // a socket on which nothing moves, and not because of us (`idle.ts`)
const REQUEST_TIMEOUT_MS = 15_000 // head and body received
const BULK_REQUEST_TIMEOUT_MS = 3_600_000 // 1 GiB at 300 kB/s; ordinary routes of such a service still end by the next line
const HANDLER_TIMEOUT_MS = 10_000 // from the head to the answer, body included
const KEEP_ALIVE_TIMEOUT_MS = 72_000 // longer than a balancer's 60 s, so that it is the balancer who closes
const BODY_LIMIT = 256 * 1024
const MAX_PARAM_LENGTH = 100

export interface AppOptions {
  readonly name: string
  readonly log: Logger
  readonly tokens: ServiceTokens
  readonly version?: string
  /** What `/readyz` asks; nothing of it concerns `/livez`. */
  readonly ready?: readonly ReadyCheck[]
  readonly bodyLimit?: number
  /** The service takes streamed uploads. */
  readonly bulk?: boolean
}

export async function buildApp({ name, log, tokens, version = '0.0.0', ready = [], bodyLimit = BODY_LIMIT, bulk = false }: AppOptions): Promise<App> {
  const app: App = fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }), // its lines hold addresses with their queries
    childLoggerFactory: (logger) => logger.child({}), // gets the request id when that is known
    genReqId: () => publicId('request', newUuid()),
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: bulk ? BULK_REQUEST_TIMEOUT_MS : REQUEST_TIMEOUT_MS,
    http: { headersTimeout: REQUEST_TIMEOUT_MS },
    handlerTimeout: HANDLER_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    bodyLimit,
    return503OnClosing: false, // what still comes over open connections while stopping is answered
    frameworkErrors: (error, request, reply) => void sendProblem(request, reply, error), // paths that no route can be sought for
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
  }).withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  const plain = app as unknown as FastifyInstance
  acceptJson(plain)
  answerProblems(plain)
  requireScopes(plain, tokens)
  refuseNul(plain)
  answerHeaders(plain)
  closeConnections(plain)
  waitForOurselves(plain)
  await describeRoutes(plain, name, version)
  addProbes(plain, ready)
  app.get('/internal/openapi.json', { config: { public: true } }, async () => app.swagger() as unknown)
  return app
}

/** Headers of every answer, and one log line for each. */
function answerHeaders(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply) => {
    reply.header('x-request-id', request.id)
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  })
  app.addHook('onResponse', async (request, reply) => {
    const { method, auth } = request
    request.log.info(
      { method, route: request.routeOptions.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime), tenantId: auth?.tenantId, issuer: auth?.issuer },
      'answered',
    )
  })
}
