import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { MetaTwin } from '../src/twin.ts'
import { type Client, client, hash, login, newAudience, STORE, startTwin } from './helpers.ts'

let twin: MetaTwin
let call: Client
let audience: string
beforeAll(async () => {
  twin = await startTwin()
  call = client(twin, await login(twin))
  audience = await newAudience(call)
})
afterAll(() => twin.close())

/** Values of every kind, among them some that are nearly right. */
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(
    null,
    '',
    '[]',
    '{}',
    'null',
    '[1',
    'CUSTOM',
    'LOOKALIKE',
    'USER_PROVIDED_ONLY',
    ['EMAIL'],
    [[hash('a')]],
    { schema: ['EMAIL'], data: [[hash('a')]] },
    { session_id: 1, batch_seq: 1 },
  ),
)
const name = fc.constantFrom(
  'payload',
  'session',
  'name',
  'description',
  'subtype',
  'customer_file_source',
  'lookalike_spec',
  'origin_audience_id',
  'retention_days',
  'use_for_products',
  'fields',
  'limit',
  'after',
  'method',
  'appsecret_proof',
  'x',
)

test('whatever is asked, the twin answers with an envelope of the platform and never fails itself', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('POST', 'DELETE', 'PUT', 'PATCH'),
      fc.constantFrom(
        `${STORE}/customaudiences`,
        `${audience}/users`,
        `${audience}/usersreplace`,
        `${audience}/sessions`,
        `${STORE}/usersofanyaudience`,
        'me/permissions/x',
        'oauth/access_token',
        'act_x',
        '0',
        '',
      ),
      fc.dictionary(name, value, { maxKeys: 5 }),
      async (method, path, body) => {
        const answer = await call(method, path, body)
        if (answer.status !== 200)
          expect(answer.body.error).toMatchObject({ code: expect.any(Number), type: expect.any(String), fbtrace_id: expect.any(String) })
        // 1 is "an unknown error": only for more rows or a bigger page than the platform takes, which are not asked for here.
        if (answer.body.error?.message !== "Please reduce the amount of data you're asking for, then retry your request")
          expect(answer.status).toBeLessThan(500)
      },
    ),
    { numRuns: 400 },
  )
})

test('a path that cannot be decoded and a query beyond 60 kB are refused before anything is looked at', async () => {
  expect((await fetch(`${twin.url}/v26.0/%zz`)).status).toBe(400)
  expect((await fetch(`${twin.url}/v26.0/${audience}/users?payload=${'x'.repeat(70_000)}`, { method: 'POST' })).status).toBe(431)
})
