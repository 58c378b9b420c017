import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { MetaTwin } from '../src/twin.ts'
import { APP, type Client, client, control, dialogUrl, exchange, login, NO_TERMS, newAudience, STORE, startTwin, upload } from './helpers.ts'

const DAY_MS = 86_400_000
let twin: MetaTwin
beforeEach(async () => {
  twin = await startTwin()
})
afterEach(() => twin.close())

/** Facebook Login for Business: a token that has no end. */
const systemUser = async (): Promise<Client> => {
  const url = new URL(dialogUrl(twin, { config_id: '1000000000000100', override_default_response_type: 'true' }))
  url.searchParams.delete('scope')
  const code = new URL(twin.authorize(url.href)).searchParams.get('code') ?? ''
  return client(twin, String((await exchange(twin, code)).body.access_token))
}
const statuses = async (call: Client) =>
  Object.fromEntries(((await call('GET', 'me/permissions')).body.data as { permission: string; status: string }[]).map((one) => [one.permission, one.status]))
const patch = (account: string, change: object) => control(twin, 'PATCH', `accounts/${account.slice(4)}`, change)

describe('permissions', () => {
  test('one that is not used for 90 days lapses, for the other tokens of the person, too', async () => {
    const call = await systemUser()
    twin.clock.advance(90 * DAY_MS)
    expect((await call('GET', STORE)).body.error).toMatchObject({ code: 200 })
    expect(await statuses(call)).toEqual({ public_profile: 'granted', ads_management: 'expired', ads_read: 'expired', business_management: 'expired' })
    expect(await statuses(await systemUser())).toMatchObject({ ads_management: 'granted' })
  })

  test('a read now and then keeps them: the accounts those for ads, their businesses the one for businesses', async () => {
    const call = await systemUser()
    for (let month = 0; month < 6; month++) {
      twin.clock.advance(30 * DAY_MS)
      expect((await call('GET', 'me/adaccounts')).status).toBe(200)
    }
    expect(await statuses(call)).toMatchObject({ ads_management: 'granted', ads_read: 'granted', business_management: 'expired' })
    const other = await systemUser()
    for (const path of ['me/adaccounts?fields=id,business{id,name}', 'me/businesses']) {
      twin.clock.advance(60 * DAY_MS)
      expect((await other('GET', path)).status).toBe(200)
    }
    expect(await statuses(other)).toMatchObject({ business_management: 'granted' })
  })

  test('the businesses are listed for who may manage them', async () => {
    expect((await client(twin, await login(twin))('GET', 'me/businesses')).body.data).toEqual([{ id: '2000000000000001', name: 'Demo Business' }])
    expect((await client(twin, await login(twin, ['business_management']))('GET', 'me/businesses')).body.error).toMatchObject({ code: 200 })
  })

  test('debug_token says until when data may be read: 90 days for people, no end for system users', async () => {
    const debug = async (token: string) => {
      const answer = await fetch(`${twin.url}/debug_token?input_token=${token}`, { headers: { authorization: `Bearer ${APP.appId}|${APP.appSecret}` } })
      return ((await answer.json()) as { data: { data_access_expires_at: number; issued_at: number } }).data
    }
    const person = await debug(await login(twin))
    expect(person.data_access_expires_at - person.issued_at).toBe((90 * DAY_MS) / 1000)
  })

  test('logins beyond the limit of the app are refused with 4, Marketing calls are outside it and still tell it', async () => {
    const busy = await startTwin({ limits: { appCallsPerHour: 4 } })
    const call = client(busy, await login(busy))
    for (let turn = 0; turn < 3; turn++) await call('GET', 'me')
    const { body, headers } = await call('GET', 'me')
    expect(body.error).toMatchObject({ code: 4 })
    expect(JSON.parse(headers.get('x-app-usage') ?? '')).toMatchObject({ call_count: 125 })
    const marketing = await call('GET', STORE)
    expect(marketing.status).toBe(200)
    expect(JSON.parse(marketing.headers.get('x-app-usage') ?? '')).toEqual({ call_count: 125, total_cputime: 0, total_time: 0 })
    await busy.close()
  })
})

describe('terms', () => {
  const terms = async (call: Client, account = STORE) => (await call('GET', `${account}?fields=tos_accepted,user_tos_accepted`)).body

  test('of a person: one who did not sign gets 2663, a system user works once somebody did', async () => {
    const [person, system] = [client(twin, await login(twin)), await systemUser()]
    const audience = await newAudience(system)
    await patch(STORE, { userTerms: false })
    expect(await terms(person)).toMatchObject({ tos_accepted: { custom_audience_tos: 1 }, user_tos_accepted: { web_custom_audience_tos: 1 } })
    expect((await terms(person)).user_tos_accepted).not.toHaveProperty('custom_audience_tos')
    expect(await terms(system)).not.toHaveProperty('user_tos_accepted')
    expect((await person('POST', `${audience}/users`, upload(['ann']))).body.error).toMatchObject({ code: 2663 })
    expect((await system('POST', `${audience}/users`, upload(['ann']))).status).toBe(200)
    await patch(STORE, { terms: false })
    expect((await system('POST', `${audience}/users`, upload(['ann']))).body.error).toMatchObject({ code: 200, error_subcode: 1870034 })
  })

  test('of a business: tos_accepted may say yes for another business, and the call is refused with 2664', async () => {
    const call = client(twin, await login(twin))
    await patch(STORE, { businessTerms: false })
    expect(await terms(call)).toMatchObject({ tos_accepted: { custom_audience_tos: 1 } })
    expect(
      (await call('POST', `${STORE}/customaudiences`, { name: 'n', subtype: 'CUSTOM', customer_file_source: 'USER_PROVIDED_ONLY' })).body.error,
    ).toMatchObject({ code: 2664 })
  })

  test('unsigned terms stand nowhere', async () => {
    const { tos_accepted: signed, user_tos_accepted: byPerson } = await terms(client(twin, await login(twin)), NO_TERMS)
    for (const one of [signed, byPerson]) expect(one).not.toHaveProperty('custom_audience_tos')
  })

  test('only the account states of the vendor can be set; closing ones refuse writes and make audiences 470', async () => {
    const call = client(twin, await login(twin))
    const audience = await newAudience(call)
    expect((await patch(STORE, { status: 4 })).status).toBe(400)
    for (const [status, expected] of [
      [3, 200],
      [7, 200],
      [9, 200],
      [100, 403],
      [101, 403],
    ]) {
      await patch(STORE, { status })
      expect((await call('POST', audience, { description: String(status) })).status).toBe(expected)
    }
    expect((await call('GET', `${audience}?fields=operation_status`)).body).toMatchObject({ operation_status: { code: 470 } })
  })
})
