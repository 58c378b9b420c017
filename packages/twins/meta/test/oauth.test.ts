import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { MetaTwin } from '../src/twin.ts'
import { APP, client, control, dialogUrl, exchange, login, newAudience, REDIRECT, startTwin } from './helpers.ts'

let twin: MetaTwin
beforeEach(async () => {
  twin = await startTwin()
})
afterEach(() => twin.close())

const codeOf = (url: string) => new URL(url).searchParams.get('code') ?? ''
const debug = async (token: string) => {
  const answer = await fetch(`${twin.url}/debug_token?input_token=${token}`, { headers: { authorization: `Bearer ${APP.appId}|${APP.appSecret}` } })
  return ((await answer.json()) as { data: Record<string, unknown> }).data
}

describe('dialog', () => {
  test('the page has an Allow and a Deny button, and Allow brings a code and the state back', async () => {
    const page = await (await fetch(dialogUrl(twin))).text()
    expect(page).toContain('value="allow"')
    expect(page).toContain('value="deny"')
    const decision = `${dialogUrl(twin).replace('/oauth?', '/oauth/decide?')}&_granted=ads_read&_granted=ads_management&_decision=allow`
    const answer = await fetch(decision, { redirect: 'manual' })
    expect(answer.status).toBe(302)
    const target = new URL(answer.headers.get('location') ?? '')
    expect(target.searchParams.get('state')).toBe('s')
    const token = String((await exchange(twin, codeOf(target.href))).body.access_token)
    expect((await client(twin, token)('GET', 'me/permissions')).body.data).toContainEqual({ permission: 'business_management', status: 'declined' })
  })

  test('Deny comes back with access_denied', async () => {
    const { redirectUrl } = (await (await control(twin, 'POST', 'authorize', { authorizeUrl: dialogUrl(twin), deny: true })).json()) as { redirectUrl: string }
    expect(Object.fromEntries(new URL(redirectUrl).searchParams)).toMatchObject({ error: 'access_denied', error_reason: 'user_denied', state: 's' })
  })

  test.each([
    ['another app', { client_id: '1' }],
    ['a redirect that is not allowed', { redirect_uri: 'https://evil.example/cb' }],
    ['no state', { state: '' }],
    ['an unknown scope', { scope: 'ads_everything' }],
    ['an unknown configuration', { config_id: '5', scope: '' }],
  ])('%s gets an error page and no redirect', async (_, query) => {
    const answer = await fetch(dialogUrl(twin, query), { redirect: 'manual' })
    expect(answer.status).toBe(400)
    expect((await control(twin, 'POST', 'authorize', { authorizeUrl: dialogUrl(twin, query) })).status).toBe(400)
  })

  test('with a list of redirect URIs only an exact match passes', async () => {
    const strict = await startTwin({ redirectUris: [REDIRECT] })
    expect((await fetch(dialogUrl(strict))).status).toBe(200)
    expect((await fetch(dialogUrl(strict, { redirect_uri: `${REDIRECT}/` }))).status).toBe(400)
    await strict.close()
  })

  test('a login configuration gives a system user token without an end, only with override_default_response_type, and as a whole', async () => {
    const url = new URL(dialogUrl(twin, { config_id: '1000000000000100' }))
    url.searchParams.delete('scope')
    expect(new URL(twin.authorize(url.href)).hash).toContain('access_token=')
    url.searchParams.set('override_default_response_type', 'true')
    expect(codeOf(twin.authorize(url.href, { decline: ['ads_read'] }))).toBe('')
    const { body } = await exchange(twin, codeOf(twin.authorize(url.href)))
    expect(body).not.toHaveProperty('expires_in')
    expect(await debug(String(body.access_token))).toMatchObject({ type: 'SYSTEM_USER', is_valid: true, expires_at: 0 })
    expect((await client(twin, String(body.access_token))('GET', 'me?fields=client_business_id')).body).toMatchObject({
      client_business_id: '2000000000000001',
    })
  })
})

describe('tokens', () => {
  test('a code is good once, for its redirect URI and for ten minutes', async () => {
    const code = codeOf(twin.authorize(dialogUrl(twin)))
    expect((await exchange(twin, code, { redirect_uri: `${REDIRECT}/` })).body.error).toMatchObject({ code: 100, error_subcode: 36008 })
    expect((await exchange(twin, code)).body).toMatchObject({ token_type: 'bearer', expires_in: 5400 })
    expect((await exchange(twin, code)).body.error).toMatchObject({ code: 100, error_subcode: 36009 })
    const late = codeOf(twin.authorize(dialogUrl(twin)))
    twin.clock.advance(600_001)
    expect((await exchange(twin, late)).body.error).toMatchObject({ code: 100, error_subcode: 36007 })
  })

  test('a wrong secret and a missing redirect URI are refused', async () => {
    const code = codeOf(twin.authorize(dialogUrl(twin)))
    expect((await exchange(twin, code, { client_secret: 'x' })).body.error).toMatchObject({ code: 1, message: 'Error validating client secret.' })
    expect((await fetch(`${twin.url}/v26.0/oauth/access_token?client_id=${APP.appId}&client_secret=${APP.appSecret}&code=${code}`)).status).toBe(400)
  })

  test('a short token becomes one of sixty days; a dead one does not', async () => {
    const short = await login(twin)
    const query = { grant_type: 'fb_exchange_token', fb_exchange_token: short }
    const { body } = await exchange(twin, '', query)
    expect(body.expires_in).toBe(5_183_944)
    twin.clock.advance(5_400_001)
    expect((await exchange(twin, '', query)).body.error).toMatchObject({ code: 190, error_subcode: 463 })
    expect((await client(twin, String(body.access_token))('GET', 'me')).status).toBe(200)
    expect((await exchange(twin, '', { grant_type: 'refresh_token' })).body.error).toMatchObject({ code: 100 })
  })

  test('debug_token wants the app token and tells the dead from the living', async () => {
    const token = await login(twin)
    expect(await debug(token)).toMatchObject({ app_id: APP.appId, type: 'USER', is_valid: true, user_id: '3000000000000001' })
    twin.clock.advance(5_400_001)
    expect(await debug(token)).toMatchObject({ is_valid: false, error: { code: 190, subcode: 463 } })
    expect(await debug('nonsense')).toMatchObject({ is_valid: false })
    expect((await fetch(`${twin.url}/debug_token?input_token=${token}&access_token=${token}`)).status).toBe(400)
  })

  test('a token is taken from the header or as a parameter; none is 104, an unknown one 190', async () => {
    const token = await login(twin)
    expect((await fetch(`${twin.url}/v26.0/me?access_token=${token}`)).status).toBe(200)
    expect((await client(twin, 'nonsense')('GET', 'me')).body.error).toMatchObject({ code: 190, type: 'OAuthException' })
    const none = (await (await fetch(`${twin.url}/v26.0/me`)).json()) as { error: object }
    expect(none.error).toMatchObject({ code: 104 })
  })

  test('revoking kills every token of the person with 190/458; revoking one permission takes that one', async () => {
    const [one, other] = [await login(twin), await login(twin)]
    const call = client(twin, one)
    await call('DELETE', 'me/permissions/?permission=ads_management')
    expect(
      (await call('POST', 'act_1000000000000001/customaudiences', { name: 'n', subtype: 'CUSTOM', customer_file_source: 'USER_PROVIDED_ONLY' })).body.error,
    ).toMatchObject({ code: 200 })
    expect((await call('DELETE', 'me/permissions')).body).toEqual({ success: true })
    for (const token of [one, other]) expect((await client(twin, token)('GET', 'me')).body.error).toMatchObject({ code: 190, error_subcode: 458 })
  })

  test('a declined permission is missing: without ads_management nothing can be made', async () => {
    const call = client(twin, await login(twin, ['ads_management']))
    expect((await call('GET', 'me/adaccounts')).status).toBe(200)
    expect((await call('POST', 'act_1000000000000001/customaudiences', { name: 'n' })).body.error).toMatchObject({ code: 200 })
  })

  test('appsecret_proof is checked when sent, and can be required', async () => {
    const strict = await startTwin({ requireAppSecretProof: true })
    const token = await login(strict)
    const call = client(strict, token)
    const sign = (text: string) => createHmac('sha256', APP.appSecret).update(text).digest('hex')
    expect((await call('GET', 'me')).body.error?.code).toBe(100)
    expect((await call('GET', `me?appsecret_proof=${sign('other')}`)).body.error?.message).toContain('appsecret_proof')
    expect((await call('GET', `me?appsecret_proof=${sign(token)}`)).status).toBe(200)
    const time = Math.floor(strict.clock.now() / 1000)
    expect((await call('GET', `me?appsecret_time=${time}&appsecret_proof=${sign(`${token}|${time}`)}`)).status).toBe(200)
    expect((await call('GET', `me?appsecret_time=${time}&appsecret_proof=${sign(token)}`)).status).toBe(400)
    await strict.close()
  })

  test('a reset keeps tokens and forgets the rest', async () => {
    const call = client(twin, await login(twin))
    const id = await newAudience(call)
    expect((await control(twin, 'POST', 'reset')).status).toBe(204)
    expect((await call('GET', 'me')).status).toBe(200)
    expect((await call('GET', id)).body.error).toMatchObject({ code: 100, error_subcode: 33 })
    expect(await newAudience(call)).not.toBe(id)
  })
})
