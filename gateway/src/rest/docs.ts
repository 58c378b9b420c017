/** `GET /openapi.json` and the readable pages at `/docs`; nothing there is fetched from elsewhere. */
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { OpenApiDocument } from '../openapi.ts'

// The rest of the site allows nothing at all; these pages are scripts and styles of our own, and pictures inside the styles.
const PAGES_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export async function docs(app: FastifyInstance, document: OpenApiDocument): Promise<void> {
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(JSON.stringify(await document.get())),
  )
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: PAGES_POLICY,
    uiConfig: { docExpansion: 'none', filter: true, persistAuthorization: false },
    uiHooks: { onRequest: async () => void (await document.get()) },
    transformSpecification: () => document.last(),
    transformSpecificationClone: false,
  })
}
