import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Validator } from '@seriousme/openapi-schema-validator'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { z } from 'zod'
import { type Harness, harness, nobody } from './harness.ts'

const DEMO = '0190de30-0000-7000-8000-000000000001'
let gateway: Harness
let issuer: Server
let sign: (claims?: object, lifetime?: string) => Promise<string>
const Audience = z.object({ id: z.string(), size: z.int() }).meta({ id: 'Audience' })

beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }] }
  issuer = createServer((_, response) => response.setHeader('content-type', 'application/json').end(JSON.stringify(jwks)))
  await new Promise<void>((done) => issuer.listen(0, '127.0.0.1', done))
  sign = (claims, lifetime = '10m') =>
    new SignJWT({ tenant_id: DEMO, scope: 'audiences:read tenants:admin internal', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'k', typ: 'at+jwt' })
      .setIssuer('https://id.example')
      .setAudience('api')
      .setSubject('u1')
      .setIssuedAt()
      .setExpirationTime(lifetime)
      .sign(privateKey)
  gateway = await harness({
    instead: { connections: await nobody() },
    routes: {
      audiences(app) {
        app.get('/v1/audiences/:id', { config: { scope: 'audiences:read' }, schema: { response: { 200: Audience } } }, async ({ auth }) => ({
          id: JSON.stringify(auth),
          size: 1,
        }))
      },
      'behavior-export'(app) {
        app.get('/v1/behaviors/:id', { config: { scope: 'behaviors:read' }, schema: { response: { 200: z.object({ name: z.string() }) } } }, async () => ({
          name: 'x',
        }))
        app.get('/internal/v1/hidden', {}, async () => ({}))
      },
    },
    config: {
      JWT_ISSUERS: [
        {
          issuer: 'https://id.example',
          audience: 'api',
          jwksUrl: `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`,
          tenantClaim: 'tenant_id',
          scopeClaim: 'scope',
        },
      ],
    },
  })
})
afterAll(async () => {
  await gateway.stop()
  issuer.closeAllConnections()
  await new Promise((done) => issuer.close(done))
})

interface Document {
  openapi: string
  paths: Record<string, Record<string, { tags: string[]; operationId: string; security: object[]; responses: Record<string, { content?: object }> }>>
  components: { schemas: Record<string, object>; securitySchemes: object }
}

test('the document describes the routes of the gateway and of every service that answers, and nothing internal', async () => {
  const answer = await gateway.call('/openapi.json', { key: null })
  const document = (await answer.json()) as Document
  expect([answer.status, document.openapi]).toEqual([200, '3.1.0'])
  expect(Object.keys(document.paths)).toEqual([
    '/v1/api-keys',
    '/v1/api-keys/{id}',
    '/v1/api-keys/{id}/rotate',
    '/v1/audiences/{id}',
    '/v1/audit-log',
    '/v1/behaviors/{id}',
    '/v1/privacy/proofs/verification',
    '/v1/status',
    '/v1/tenants',
    '/v1/tenants/{id}',
  ])
  expect(document.paths['/v1/audiences/{id}']?.get).toMatchObject({ tags: ['audiences'], security: [{ bearer: ['audiences:read'] }] })
  expect(document.paths['/v1/status']?.get?.security).toEqual([{ bearer: [] }])
  expect(document.components.securitySchemes).toHaveProperty('bearer')
})

test('the document is valid OpenAPI 3.1', async () => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate((await (await gateway.call('/openapi.json', { key: null })).json()) as Record<string, unknown>)
  expect([valid, errors, validator.version]).toEqual([true, undefined, '3.1'])
})

test('every reference of the document leads somewhere, every operation has an id of its own and a problem answer', async () => {
  const text = await (await gateway.call('/openapi.json', { key: null })).text()
  const document = JSON.parse(text) as Document
  const refs = new Set([...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path ?? ''))
  expect(refs.size).toBeGreaterThan(3)
  for (const ref of refs)
    expect([ref, ref.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document)]).toEqual([ref, expect.anything()])
  const operations = Object.values(document.paths).flatMap((item) => Object.values(item))
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length)
  for (const { responses } of operations) expect(responses.default?.content).toHaveProperty(['application/problem+json'])
})

test('the readable pages are served with what they need and may fetch from here only', async () => {
  const page = await gateway.call('/docs/', { key: null })
  const html = await page.text()
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
  for (const [, source] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
    expect(source).not.toMatch(/^(https?:)?\/\//)
    if (source?.startsWith('data:')) continue
    const file = await gateway.call(new URL(source ?? '', 'http://x/docs/').pathname, { key: null })
    await file.arrayBuffer() // a large answer that is not read keeps its connection, and this process with it
    expect([source, file.status]).toEqual([source, 200])
  }
  expect(((await (await gateway.call('/docs/json', { key: null })).json()) as Document).paths).toHaveProperty(['/v1/audiences/{id}'])
})

test('the status names each service, and probes need no credential', async () => {
  const status = (await (await gateway.call('/v1/status')).json()) as { status: string; services: { name: string; ok: boolean }[] }
  expect([status.status, status.services.map(({ name, ok }) => [name, ok])]).toEqual([
    'degraded',
    [
      ['connections', false],
      ['behavior-export', true],
      ['audiences', true],
      ['webhooks', true],
    ],
  ])
  expect((await gateway.call('/livez', { key: null })).status).toBe(200)
  expect((await gateway.call('/readyz', { key: null })).status).toBe(200)
})

test('a JWT speaks for the tenant of its claim, with the scopes that an issuer may give and no others', async () => {
  const call = async (token: string) => gateway.call('/v1/audiences/x', { key: token })
  const answer = await call(await sign())
  expect(answer.status).toBe(200)
  expect(JSON.parse(((await answer.json()) as { id: string }).id)).toMatchObject({
    tenantId: DEMO,
    subject: 'jwt:https://id.example#u1',
    scopes: ['audiences:read'],
  })
  expect((await gateway.call(`/v1/tenants/ten_${DEMO}`, { key: await sign() })).status).toBe(403)
  expect((await call(await sign({ tenant_id: '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d' }))).status).toBe(401) // no such tenant
  expect((await call(await sign({}, '16m'))).status).toBe(401)
})
