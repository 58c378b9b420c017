import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { MetaTwin } from '../src/twin.ts'
import { type Client, client, control, hash, login, members, newAudience, STORE, startTwin, until, upload } from './helpers.ts'

let twin: MetaTwin
let call: Client
let audience: string
let token: string
beforeEach(async () => {
  twin = await startTwin()
  token = await login(twin)
  call = client(twin, token)
  audience = await newAudience(call)
})
afterEach(() => twin.close())

const add = (emails: string[]) => call('POST', `${audience}/users`, upload(emails))
describe('limits', () => {
  test('an account on the Limited tier is blocked after twenty writes, others are not', async () => {
    await control(twin, 'PATCH', 'accounts/1000000000000001', { tier: 'development_access' })
    const answers = []
    for (let number = 0; number < 21; number++) answers.push(await call('POST', audience, { description: String(number) }))
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(19)
    expect(answers.at(-1)?.body.error).toMatchObject({ code: 17, error_subcode: 2446079 })
    expect((await call('GET', 'act_1000000000000002')).status).toBe(200)
    twin.clock.advance(300_001)
    expect((await call('GET', audience)).status).toBe(200)
  })

  test('every answer tells the usage, and logins that of the app', async () => {
    const { headers } = await call('GET', audience)
    expect(JSON.parse(headers.get('x-ad-account-usage') ?? '')).toMatchObject({ ads_api_access_tier: 'standard_access' })
    expect(JSON.parse(headers.get('x-business-use-case-usage') ?? '')).toHaveProperty('2000000000000001')
    expect(JSON.parse((await call('GET', 'me')).headers.get('x-app-usage') ?? '')).toMatchObject({ call_count: 1 })
  })
})

describe('control', () => {
  test('the journal has every call as it was, and can be read from a place on', async () => {
    const journal = (await (await control(twin, 'GET', 'journal')).json()) as { seq: number; method: string; path: string }[]
    expect(journal.at(-1)).toMatchObject({
      method: 'POST',
      path: `/v26.0/${STORE}/customaudiences`,
      headers: { authorization: `Bearer ${token}` },
      body: { subtype: 'CUSTOM' },
      status: 200,
      response: { id: audience },
    })
    await add(['ann'])
    const news = (await (await control(twin, 'GET', `journal?after=${journal.at(-1)?.seq}`)).json()) as object[]
    expect(news).toMatchObject([{ path: `/v26.0/${audience}/users`, body: upload(['ann']) }])
  })

  test('pushing the clock applies what is due at once, and answers carry the twin’s time', async () => {
    await add(['ann'])
    expect((await control(twin, 'POST', 'clock', { advanceMs: 60_000 })).status).toBe(200)
    expect(await (await control(twin, 'GET', `audiences/${audience}`)).json()).toEqual({ members: [{ EMAIL: hash('ann') }], size: 1, pending: 0 })
    const { headers } = await call('GET', audience)
    expect(new Date(headers.get('date') ?? '').getTime()).toBeGreaterThan(Date.now() + 50_000)
  })

  test('without a push people show by themselves after a moment', async () => {
    const quick = await startTwin({ applyAfterMs: 5 })
    const quickCall = client(quick, await login(quick))
    const id = await newAudience(quickCall)
    await quickCall('POST', `${id}/users`, upload(['ann']))
    await until(() => quick.audience(id)?.pending === 0)
    expect(members(quick, id)).toEqual([hash('ann')])
    await quick.close()
  })

  test('state and health say how things are; unknown control routes are 404', async () => {
    expect(await (await control(twin, 'GET', 'state')).json()).toMatchObject({
      audiences: [{ id: audience, name: 'Comfort seekers', size: 0 }],
      tokens: [{ type: 'USER', dead: null }],
    })
    expect(await (await control(twin, 'GET', 'health')).json()).toMatchObject({ status: 'ok' })
    expect((await control(twin, 'GET', 'unicorns')).status).toBe(404)
    expect((await fetch(`${twin.url}/_twin/clock`, { method: 'POST', body: 'no json', headers: { 'content-type': 'application/json' } })).status).toBe(400)
  })

  test('a body that is no JSON, or of an unknown kind, is refused with 100', async () => {
    for (const type of ['application/json', 'text/csv']) {
      const answer = await fetch(`${twin.url}/v26.0/${audience}/users`, {
        method: 'POST',
        body: '{"payload":',
        headers: { authorization: `Bearer ${token}`, 'content-type': type },
      })
      expect([answer.status, ((await answer.json()) as { error: { code: number } }).error.code]).toEqual([400, 100])
    }
  })
})
