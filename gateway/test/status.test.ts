import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { PlatformHealth } from '@audience-sync/contracts/rest/gateway'
import type { App } from '@audience-sync/service/app'
import { expect, test } from '@jest/globals'
import fastify from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { status } from '../src/rest/status.ts'

test('a service that works and warns is ok, and its warning is shown; an answer that is no probe’s is none', async () => {
  const answers: Record<string, unknown> = {
    '/warns/readyz': {
      status: 'ready',
      checks: [
        { ok: true, detail: 'a' },
        { ok: true, detail: 'b', warning: 'Its API version ends.' },
      ],
    },
    '/odd/readyz': 'hello',
  }
  const server = createServer((request, response) => response.end(JSON.stringify(answers[request.url ?? ''])))
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const app = fastify()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.addHook('onRequest', async (request) => void Object.assign(request, { auth: { tenantId: 'tenant' } }))
  status(app as unknown as App, { warns: `${url}/warns`, odd: `${url}/odd` }, () => Promise.reject(new Error('away')))
  const { services, platforms } = (await app.inject('/v1/status')).json()
  expect(platforms).toBeNull()
  expect(services).toEqual([
    { name: 'warns', ok: true, detail: 'ready', warnings: ['Its API version ends.'], checkedAt: expect.any(String) },
    { name: 'odd', ok: false, detail: 'does not answer', warnings: [], checkedAt: expect.any(String) },
  ])
  await app.close()
  server.close()
})

test.each([
  ['ok', 'ok'],
  ['degraded', 'degraded'],
  ['down', 'degraded'],
])('a platform that is %s makes the whole %s; the tenant is the one who asks', async (state, whole) => {
  const app = fastify()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.addHook('onRequest', async (request) => void Object.assign(request, { auth: { tenantId: String(request.headers['x-test']) } }))
  const health = (tenantId: string): PlatformHealth => ({
    destination: 'some',
    title: tenantId,
    state: state as PlatformHealth['state'],
    text: 'It answers.',
    calls: 2,
    failed: 0,
    windowMinutes: 15,
    lastAnswerAt: null,
    blockedUntil: null,
    warnings: [],
    statusPage: 'https://status.example.com/',
  })
  status(app as unknown as App, {}, async (tenantId) => [health(tenantId)])
  for (const tenant of ['one', 'other']) {
    const answer = (await app.inject({ url: '/v1/status', headers: { 'x-test': tenant } })).json()
    expect(answer).toEqual({ status: whole, platforms: [health(tenant)], services: [] })
  }
  await app.close()
})
