import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { codeOf, type Harness, harness } from './harness.ts'

/** What a socket may rest, for want of the other side. */
const IDLE_MS = 700

let gateway: Harness
let silent: Server
beforeAll(async () => {
  silent = createServer((request) => void request.resume())
  await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done))
  gateway = await harness({
    instead: { 'behavior-export': `http://127.0.0.1:${(silent.address() as AddressInfo).port}` },
    timeouts: { bodyMs: 500, answerMs: 500, idleMs: IDLE_MS },
    routes: {
      audiences(app) {
        app.post('/v1/audiences/:id/plan', { config: { scope: 'audiences:write' } }, async () => {
          await new Promise((resolve) => setTimeout(resolve, 3 * IDLE_MS))
          return { made: true }
        })
      },
    },
  })
})
afterAll(async () => {
  await gateway.stop()
  silent.closeAllConnections()
  await new Promise((done) => silent.close(done))
})

test('a service that never answers is a 503 that says that the outcome is not known', async () => {
  const answer = await gateway.call('/v1/behaviors', { method: 'POST', body: '{}' })
  expect(answer.headers.get('retry-after')).toBe('1')
  expect(await codeOf(answer)).toEqual([503, 'request_timeout'])
})

test('a body that never ends is cut off', async () => {
  const endless = new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('{')) })
  const init = { method: 'POST', body: endless, duplex: 'half', headers: { 'content-type': 'application/json' } } as RequestInit
  expect(await codeOf(await gateway.call('/v1/behaviors', init))).toEqual([503, 'request_timeout'])
})

test('an answer that takes longer than a socket may rest comes all the same', async () => {
  const answer = await gateway.call('/v1/audiences/aud_1/plan', { method: 'POST', body: '{}' })
  expect([answer.status, await answer.json()]).toEqual([200, { made: true }])
})
