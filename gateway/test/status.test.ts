import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
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
  status(app as unknown as App, { warns: `${url}/warns`, odd: `${url}/odd` })
  const { services } = (await app.inject('/v1/status')).json()
  expect(services).toEqual([
    { name: 'warns', ok: true, detail: 'ready', warnings: ['Its API version ends.'], checkedAt: expect.any(String) },
    { name: 'odd', ok: false, detail: 'does not answer', warnings: [], checkedAt: expect.any(String) },
  ])
  await app.close()
  server.close()
})
