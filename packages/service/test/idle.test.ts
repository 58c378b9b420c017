import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type App, buildApp } from '../src/app.ts'
import { createLogger } from '../src/log.ts'
import { generateServiceTokens } from '../src/tokens.ts'

/** What a socket may rest, for want of the other side. */
const IDLE_MS = 300

let app: App
let url = ''
beforeAll(async () => {
  const tokens = await generateServiceTokens(['gateway', 'audiences'])
  app = await buildApp({ name: 'audiences', tokens: tokens.audiences, log: createLogger({ name: 'audiences', level: 'silent' }) })
  app.server.setTimeout(IDLE_MS)
  const work = async () => {
    await wait(3 * IDLE_MS)
    return { done: true }
  }
  app.get('/v1/work', { config: { public: true } }, work)
  app.get('/v1/too-much', { config: { public: true }, handlerTimeout: 2 * IDLE_MS }, work)
  app.post('/v1/take', { config: { public: true } }, work)
  url = await app.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(() => app.close())

test('a socket is kept while its request is worked on, for as long as the route may take', async () => {
  const answer = await fetch(`${url}/v1/work`)
  expect([answer.status, await answer.json()]).toEqual([200, { done: true }])
})

test('a route that takes longer than it may answers 503, and does not just hang up', async () => {
  const answer = await fetch(`${url}/v1/too-much`)
  expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([503, 'request_timeout'])
})

test('a body that stops coming ends its socket', async () => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write('POST /v1/take HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{')
  socket.resume()
  await once(socket, 'close')
})
