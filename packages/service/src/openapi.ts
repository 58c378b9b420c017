/** OpenAPI 3.1 from the routes' own zod schemas: what is documented is what is checked. Only `/v1` is described. */
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { scopeOf } from './auth-hook.ts'

/** RFC 9457 as this API answers it; `code` is what programs branch on. */
export const Problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    solution: z.string(),
    requestId: z.string(),
    platform: z.object({ code: z.string().optional(), message: z.string().optional(), requestId: z.string().optional() }).optional(),
    errors: z.array(z.looseObject({ path: z.string().optional(), message: z.string().optional() })).optional(),
  })
  .meta({ id: 'Problem' })

/** For the document alone: what a route answers in another form than its JSON, for example a stream or a way back for a browser. */
export interface OtherAnswer {
  readonly status: number
  readonly description: string
  /** Left out: without a body. */
  readonly type?: string
}

declare module 'fastify' {
  interface FastifyContextConfig {
    alsoAnswers?: readonly OtherAnswer[]
  }
}

const IDEMPOTENCY = z.object({
  'idempotency-key': z.string().max(255).optional().meta({ description: 'The same key with the same body has one effect and the same answer, for 24 hours' }),
})

const PROBLEM_ANSWER = { description: 'A refusal, with a code', content: { 'application/problem+json': { schema: Problem } } }

type Answers = Readonly<Record<string, unknown>> | undefined

/** Beside its JSON. */
function withMore(answers: Answers, more: readonly OtherAnswer[]): Record<string, unknown> {
  const all: Record<string, unknown> = { ...answers }
  for (const { status, description, type } of more) {
    const json = answers?.[status] ? { 'application/json': { schema: answers[status] } } : {}
    all[status] = type ? { description, content: { ...json, [type]: { schema: z.string() } } } : z.null().meta({ description })
  }
  return all
}

/** Registers the document; routes are described as they are added after it. */
export async function describeRoutes(app: FastifyInstance, name: string, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: name, version },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'API key or JWT' } } },
    },
    transform: (document) => {
      const { url, route } = document
      const given = (document.schema ?? {}) as Record<string, unknown>
      const takesKey = route.method === 'POST' && !route.config?.public
      if (!url.startsWith('/v1/')) return { schema: { hide: true }, url }
      const { config } = route
      const scope = scopeOf(url, config)
      const schema = {
        ...(takesKey && { headers: IDEMPOTENCY }),
        ...given,
        security: config?.public ? [] : [{ bearer: scope ? [scope] : [] }],
        response: { ...withMore(given.response as Answers, config?.alsoAnswers ?? []), default: PROBLEM_ANSWER },
      }
      return jsonSchemaTransform({ ...document, schema })
    },
    transformObject: jsonSchemaTransformObject,
  })
}
