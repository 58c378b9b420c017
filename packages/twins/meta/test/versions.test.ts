import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { MetaTwin } from '../src/twin.ts'
import { type Client, client, control, login, newAudience, startTwin, upload } from './helpers.ts'

let twin: MetaTwin
let call: Client
beforeEach(async () => {
  twin = await startTwin()
  call = client(twin, await login(twin))
})
afterEach(() => twin.close())

const WARNING = 'x-ad-api-version-warning'

test('a version that has expired is upgraded in silence where the endpoint is unchanged, with a warning header; where it changed it is 2635', async () => {
  const audience = await newAudience(call)
  expect((await call('GET', audience)).headers.get(WARNING)).toBeNull()
  const set = await control(twin, 'PATCH', 'versions', { expired: ['v26.0'], changed: ['usersreplace'] })
  expect(await set.json()).toEqual({ alive: [], expired: ['v26.0'], changed: ['usersreplace'] })

  const { status, headers } = await call('POST', `${audience}/users`, upload(['ann']))
  expect(status).toBe(200)
  expect(headers.get(WARNING)).toBe('The call has been auto-upgraded to v27.0 as v26.0 has been deprecated.')
  expect(headers.get('facebook-api-version')).toBe('v27.0')
  expect((await call('POST', `${audience}/usersreplace`, upload(['ann'], { session_id: 1, batch_seq: 1 }))).body.error).toMatchObject({ code: 2635 })
  expect((await call('GET', 'me')).headers.get(WARNING)).toBeNull()
})

test('a version that is neither alive nor just expired is dead for every endpoint: 2635', async () => {
  await control(twin, 'PATCH', 'versions', { alive: ['v28.0', 'v27.0'], expired: [] })
  expect((await call('GET', 'me/adaccounts')).body.error).toMatchObject({ code: 2635, message: expect.stringContaining('v28.0') })
  expect((await call('GET', 'me')).status).toBe(200)
  await control(twin, 'POST', 'reset')
  expect((await call('GET', 'me/adaccounts')).status).toBe(200)
})

test('a twin can begin with an expired version', async () => {
  const old = await startTwin({ versions: ['v27.0'], expiredVersions: ['v26.0'] })
  expect((await client(old, await login(old))('GET', 'me/adaccounts')).headers.get(WARNING)).toContain('auto-upgraded to v27.0')
  await old.close()
})
