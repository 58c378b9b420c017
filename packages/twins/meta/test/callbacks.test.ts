import { createHmac } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { MetaTwin } from '../src/twin.ts'
import { APP, client, control, login, startTwin } from './helpers.ts'

let twin: MetaTwin
let server: Server
let callbackUrl: string
const heard: { type: string | undefined; body: string }[] = []
beforeEach(async () => {
  twin = await startTwin()
  heard.length = 0
  server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    heard.push({ type: request.headers['content-type'], body })
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"url":"https://example.com/s","confirmation_code":"c1"}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  callbackUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/cb`
})
afterEach(async () => {
  server.close()
  await twin.close()
})

const PERSON = '3000000000000001'
const callBack = async (more: object) => {
  const answer = await control(twin, 'POST', 'deauthorize', { callbackUrl, kind: 'deauthorize', ...more })
  return { status: answer.status, body: (await answer.json()) as object }
}
/** As an app reads it. */
const read = () => {
  const signed = new URLSearchParams(heard.at(-1)?.body).get('signed_request') ?? ''
  const [signature, payload = ''] = signed.split('.')
  const isGood = createHmac('sha256', APP.appSecret).update(payload).digest('base64url') === signature
  return { signed, isGood, payload: payload === '' ? undefined : JSON.parse(Buffer.from(payload, 'base64url').toString()) }
}

test('data deletion posts a signed request as a form, without padding, and hands back what the app answered', async () => {
  const token = await login(twin)
  expect(await callBack({ kind: 'data_deletion' })).toEqual({
    status: 200,
    body: { status: 200, body: { url: 'https://example.com/s', confirmation_code: 'c1' } },
  })
  expect(heard[0]?.type).toContain('application/x-www-form-urlencoded')
  const { signed, isGood, payload } = read()
  expect(signed).not.toContain('=')
  expect({ isGood, payload }).toMatchObject({ isGood: true, payload: { algorithm: 'HMAC-SHA256', user_id: PERSON, issued_at: expect.any(Number) } })
  expect((await client(twin, token)('GET', 'me')).status).toBe(200)
})

test('a deauthorization kills every token of the person with 458, of whom may be said', async () => {
  const token = await login(twin)
  await callBack({ userId: '7' })
  expect(read().payload).toMatchObject({ user_id: '7' })
  expect((await client(twin, token)('GET', 'me')).status).toBe(200)
  await callBack({})
  expect((await client(twin, token)('GET', 'me')).body.error).toMatchObject({ code: 190, error_subcode: 458 })
})

test.each([[true], ['secret'], ['payload'], ['cut']])('tamper %p: the signature does not hold, and no token dies', async (tamper) => {
  const token = await login(twin)
  await callBack({ tamper })
  expect(read().isGood).toBe(false)
  expect((await client(twin, token)('GET', 'me')).status).toBe(200)
})

test('an old one and one with another algorithm are signed well, so that they must be refused for what they say', async () => {
  await callBack({ tamper: 'stale' })
  expect(read()).toMatchObject({ isGood: true })
  expect(read().payload.issued_at).toBeLessThan(Date.now() / 1000 - 80_000)
  await callBack({ tamper: 'algorithm' })
  expect(read()).toMatchObject({ isGood: true, payload: { algorithm: 'HMAC-MD5' } })
})

test('only loopback addresses are called', async () => {
  expect((await callBack({ callbackUrl: 'https://example.com/cb' })).status).toBe(400)
  expect(heard).toEqual([])
})
