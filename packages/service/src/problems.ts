/** Every failure leaves as RFC 9457 `application/problem+json`; only what nobody foresaw is logged, under the request id. */
import { databaseUnavailable } from '@audience-sync/db/unavailable'
import { AppError, toProblem } from '@audience-sync/errors/app-error'
import type { Code } from '@audience-sync/errors/catalogue'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'

const PROBLEM = 'application/problem+json'
const MOST_ERRORS = 100 // the first hundred tell enough
const PLACES: Record<string, string> = { body: 'body', querystring: 'query', params: 'path', headers: 'header' }

/** Fastify's own refusals. Anything else of its 4xx is `validation_failed`: it is about how the request was written. */
const FASTIFY_CODES: Record<string, readonly [Code, string]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['payload_too_large', 'The body is larger than this route takes.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', 'This route does not take that content type.'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['validation_failed', 'The body is empty.'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['validation_failed', 'The body is not valid JSON.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['validation_failed', 'Content-Length does not fit the body.'],
  FST_ERR_HANDLER_TIMEOUT: ['request_timeout', 'The request took longer than this route allows.'],
  FST_ERR_MAX_PARAM_LENGTH: ['not_found', 'There is nothing at this path.'],
}

const RETRY_MS = 5_000 // a database's fail-over takes longer, its restart does not

/** What the caller is told of an error. */
function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (hasZodFastifySchemaValidationErrors(error)) {
    const place = PLACES[error.validationContext ?? ''] ?? 'body'
    const errors = error.validation.slice(0, MOST_ERRORS).map(({ instancePath, message }) => ({
      in: place,
      path: instancePath.slice(1).replaceAll('/', '.'),
      message: message ?? 'is not valid',
    }))
    return new AppError('validation_failed', `The ${place} is not valid.`, { cause: error, extra: { errors } })
  }
  const { code, statusCode } = Object(error) as Partial<FastifyError>
  const known = FASTIFY_CODES[code ?? '']
  if (known) return new AppError(known[0], known[1], { cause: error })
  if (code?.startsWith('FST_ERR_') && statusCode && statusCode >= 400 && statusCode < 500) {
    return new AppError('validation_failed', 'The request is malformed.', { cause: error })
  }
  if (databaseUnavailable(error)) {
    return new AppError('service_unavailable', 'The database is not available.', { cause: error, retryAfterMs: RETRY_MS })
  }
  return new AppError('internal', 'Something went wrong on our side; it is logged under the request id.', { cause: error })
}

export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: unknown): FastifyReply {
  const refusal = toAppError(error)
  if (refusal.status >= 500 && refusal !== error) request.log.error({ err: error, method: request.method, route: request.routeOptions.url }, 'request failed')
  const { retryAfterMs } = refusal.options
  if (retryAfterMs !== undefined) reply.header('retry-after', Math.ceil(retryAfterMs / 1000))
  // As text: a route's response schemas are for its own answers.
  return reply
    .code(refusal.status)
    .type(PROBLEM)
    .send(JSON.stringify(toProblem(refusal, request.id)))
}

/** Sets the handlers for errors, unknown paths and known paths with another method. */
export function answerProblems(app: FastifyInstance): void {
  const routes: { method: string; pattern: RegExp }[] = []
  app.addHook('onRoute', ({ method, url }) => {
    const pattern = new RegExp(
      `^${url
        .replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&')
        .replaceAll(/:[^/]+/g, '[^/]+')
        .replaceAll('*', '.*')}$`,
    )
    for (const one of [method].flat()) routes.push({ method: one, pattern })
  })
  app.setErrorHandler((error, request, reply) => sendProblem(request, reply, error))
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    const allowed = [...new Set(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method))].sort()
    if (allowed.length === 0) return sendProblem(request, reply, new AppError('not_found', 'There is nothing at this path.'))
    reply.header('allow', allowed.join(', '))
    return sendProblem(request, reply, new AppError('method_not_allowed', `This path takes ${allowed.join(', ')}.`))
  })
}
