import { DestinationError } from '@audience-sync/destination-kit/failure'
import { HttpFailure } from '@audience-sync/http/failure'
import { describe, expect, test } from '@jest/globals'
import { type FakeAnswer, fakeGraph, graphError } from '../test/fake-graph.ts'
import { createMetaConnect } from './connect.ts'
import { farAccount } from './far-account.ts'

const day = 86_400_000
const redirectUri = 'http://127.0.0.1:8080/v1/oauth/meta/callback'

function connect(answers: readonly (FakeAnswer | Error)[], configId?: string) {
  const http = fakeGraph(answers)
  const adapter = createMetaConnect({
    dialogBaseUrl: 'https://www.facebook.com',
    graphBaseUrl: 'http://127.0.0.1:9',
    appId: '42',
    appSecret: 'key',
    configId,
    http,
  })
  return { adapter, http }
}

const debug = (info: object): FakeAnswer => ({
  body: { data: { app_id: '42', is_valid: true, type: 'USER', expires_at: 0, scopes: ['ads_management'], user_id: '7', ...info } },
})
const failed = async (work: Promise<unknown>) => {
  const error: unknown = await work.catch((thrown: unknown) => thrown)
  return error instanceof DestinationError ? error.failure : error
}

describe('connecting Meta', () => {
  test('the classic dialog asks for scopes, a business configuration for a code in place of its own answer', () => {
    const classic = new URL(connect([]).adapter.authorizeUrl({ state: 's', redirectUri }))
    expect(classic.origin + classic.pathname).toBe('https://www.facebook.com/v26.0/dialog/oauth')
    expect(Object.fromEntries(classic.searchParams)).toEqual({
      client_id: '42',
      redirect_uri: redirectUri,
      state: 's',
      response_type: 'code',
      scope: 'ads_management,ads_read,business_management',
    })
    const business = new URL(connect([], 'cfg').adapter.authorizeUrl({ state: 's', redirectUri }))
    expect(Object.fromEntries(business.searchParams)).toEqual({
      client_id: '42',
      redirect_uri: redirectUri,
      state: 's',
      response_type: 'code',
      config_id: 'cfg',
      override_default_response_type: 'true',
    })
  })

  test('a person’s code becomes a token of 60 days, to be renewed from day 45', async () => {
    const { adapter, http } = connect([{ body: { access_token: 'short' } }, debug({}), { body: { access_token: 'long', expires_in: 60 * 86_400 } }])
    const before = Date.now()
    const credential = await adapter.exchange('code', redirectUri)
    expect(credential).toMatchObject({ accessToken: 'long', refreshToken: null, kind: 'USER' })
    expect(((credential.expiresAt?.getTime() ?? 0) - before) / day).toBeCloseTo(60, 3)
    expect(((credential.renewAt?.getTime() ?? 0) - before) / day).toBeCloseTo(45, 3)
    expect(http.requests.map(({ method, path, query }) => [method, path, query])).toEqual([
      ['GET', '/v26.0/oauth/access_token', { client_id: '42', client_secret: 'key', redirect_uri: redirectUri, code: 'code' }],
      ['GET', '/v26.0/debug_token', { input_token: 'short', appsecret_proof: adapter.proof('42|key') }],
      ['GET', '/v26.0/oauth/access_token', { grant_type: 'fb_exchange_token', client_id: '42', client_secret: 'key', fb_exchange_token: 'short' }],
    ])
  })

  test('a life that the exchange does not name is asked for; a token without end needs no renewal', async () => {
    const ends = connect([{ body: { access_token: 's' } }, debug({}), { body: { access_token: 'l' } }, debug({ expires_at: 4_000_000_000 })])
    expect((await ends.adapter.exchange('c', redirectUri)).expiresAt).toEqual(new Date(4_000_000_000_000))
    const endless = connect([{ body: { access_token: 's' } }, debug({}), { body: { access_token: 'l' } }, debug({})])
    expect(await endless.adapter.exchange('c', redirectUri)).toMatchObject({ expiresAt: null, renewAt: null })
  })

  test('a system user’s token is kept as it comes', async () => {
    const { adapter, http } = connect([{ body: { access_token: 'sys' } }, debug({ type: 'SYSTEM_USER' })])
    expect(await adapter.exchange('c', redirectUri)).toEqual({ accessToken: 'sys', refreshToken: null, expiresAt: null, renewAt: null, kind: 'SYSTEM_USER' })
    expect(http.requests).toHaveLength(2)
  })

  test('a person’s token is renewed by exchanging it, a system user’s is not, a dead one must be connected again', async () => {
    const user = connect([debug({ type: undefined }), { body: { access_token: 'new', expires_in: 100 } }])
    expect(await user.adapter.renew({ accessToken: 'old', refreshToken: null })).toMatchObject({ accessToken: 'new' })
    expect(await connect([debug({ type: 'SYSTEM_USER' })]).adapter.renew({ accessToken: 'old', refreshToken: null })).toBeNull()
    expect(await failed(connect([debug({}), graphError(190, 463)]).adapter.renew({ accessToken: 'old', refreshToken: null }))).toMatchObject({ kind: 'auth' })
  })

  test('a check reads what the person did grant, and names what is missing', async () => {
    const permissions = {
      body: { data: [{ permission: 'ads_read', status: 'granted' }, { permission: 'ads_management', status: 'declined' }, { status: 'granted' }] },
    }
    const { adapter, http } = connect([debug({ user_id: 7, data_access_expires_at: 1_800_000_000 }), permissions])
    expect(await adapter.check('t')).toEqual({
      valid: true,
      subject: '7',
      grantedScopes: ['ads_read'],
      missingScopes: ['ads_management'],
      expiresAt: null,
      accessEndsAt: new Date(1_800_000_000_000),
      businessId: null,
    })
    expect(http.requests[1]).toMatchObject({
      path: '/v26.0/me/permissions',
      headers: { authorization: 'Bearer t' },
      query: { appsecret_proof: adapter.proof('t') },
    })
  })

  test('a system user’s scopes are the token’s, and its business is named where Meta tells it', async () => {
    const system = debug({ type: 'SYSTEM_USER', user_id: undefined })
    const told = connect([system, { body: { id: '9', client_business_id: '77' } }])
    expect(await told.adapter.check('t')).toMatchObject({ valid: true, subject: null, missingScopes: [], businessId: '77' })
    expect(told.http.requests[1]).toMatchObject({ path: '/v26.0/me', query: { fields: 'client_business_id', appsecret_proof: told.adapter.proof('t') } })
    expect(await connect([system, graphError(100)]).adapter.check('t')).toMatchObject({ valid: true, businessId: null })
    expect(await failed(connect([system, graphError(190)]).adapter.check('t'))).toMatchObject({ kind: 'auth' })
  })

  test('where a configuration of Facebook Login for Business is set, the classic dialog can be had all the same', () => {
    const { adapter } = connect([], 'cfg')
    expect(adapter.logins).toEqual(['business', 'classic'])
    expect(connect([]).adapter.logins).toEqual(['classic'])
    expect(new URL(adapter.authorizeUrl({ state: 's', redirectUri, login: 'classic' })).searchParams.get('scope')).toBe(
      'ads_management,ads_read,business_management',
    )
    expect(new URL(adapter.authorizeUrl({ state: 's', redirectUri, login: 'business' })).searchParams.get('config_id')).toBe('cfg')
  })

  test('a token of another app, or a dead one, is not valid', async () => {
    expect((await connect([debug({ app_id: '43' })]).adapter.check('t')).valid).toBe(false)
    expect((await connect([debug({ is_valid: false })]).adapter.check('t')).valid).toBe(false)
  })

  test('the proof is the token signed with the app’s secret', () => {
    expect(connect([]).adapter.proof('token')).toBe('646b8eac0c4ae4178299c9bd924e2bf073dfb07e024901a8c864f65b9462bf0d')
  })

  test('all pages of ad accounts are read', async () => {
    const { adapter, http } = connect([
      { body: { data: [{ account_id: '1' }], paging: { cursors: { after: 'c' }, next: 'x' } } },
      { body: { data: [{ account_id: '2' }], paging: { cursors: { after: 'd' } } } },
    ])
    expect((await adapter.accounts('t')).map(({ externalId }) => externalId)).toEqual(['1', '2'])
    expect(http.requests.map(({ query }) => query?.after)).toEqual([undefined, 'c'])
  })

  test('pages without end are left', async () => {
    const endless = Array.from({ length: 60 }, (): FakeAnswer => ({ body: { data: [], paging: { cursors: { after: 'c' }, next: 'x' } } }))
    const { adapter, http } = connect(endless)
    expect(await adapter.accounts('t')).toEqual([])
    expect(http.requests).toHaveLength(50)
  })

  test('revoking a dead token is done already', async () => {
    const { adapter, http } = connect([{ body: { success: true } }, graphError(190), graphError(2), new HttpFailure('not_sent', 'm'), new TypeError('ours')])
    await adapter.revoke('t')
    await adapter.revoke('t')
    expect(await failed(adapter.revoke('t'))).toMatchObject({ kind: 'unavailable' })
    expect(await failed(adapter.revoke('t'))).toMatchObject({ kind: 'unavailable', message: 'm' })
    expect(await failed(adapter.revoke('t'))).toBeInstanceOf(TypeError)
    expect(http.requests[0]).toMatchObject({ method: 'DELETE', path: '/v26.0/me/permissions' })
  })

  test('an exchange without a token is a bad answer', async () => {
    expect(await failed(connect([{ body: {} }]).adapter.exchange('c', redirectUri))).toMatchObject({ code: 'platform_bad_reply' })
    expect(await failed(connect([{ body: {} }]).adapter.check('c'))).toMatchObject({ code: 'platform_bad_reply' })
  })
})

describe('an ad account', () => {
  test('whole', () => {
    const node = {
      id: 'act_1',
      account_id: '1',
      name: 'Shop',
      account_status: 1,
      currency: 'EUR',
      timezone_name: 'Europe/Berlin',
      business: { id: '5', name: 'Biz' },
      user_tasks: ['ADVERTISE'],
      tos_accepted: { custom_audience_tos: 1 },
    }
    expect(farAccount(node)).toEqual([
      {
        externalId: '1',
        name: 'Shop',
        status: 'active',
        statusDetail: 'active',
        currency: 'EUR',
        timeZone: 'Europe/Berlin',
        business: { id: '5', name: 'Biz' },
        termsSigned: true,
        userTermsSigned: null,
        termsUrl: 'https://business.facebook.com/ads/manage/customaudiences/tos/?act=1',
        canManageAudiences: true,
      },
    ])
  })
  test('with hardly anything', () => {
    expect(farAccount({ id: 'act_1', business: { id: '5' } })).toMatchObject([
      {
        externalId: '1',
        name: '1',
        status: 'disabled',
        statusDetail: 'status 0',
        currency: null,
        timeZone: null,
        business: { id: '5', name: '5' },
        termsSigned: false,
        userTermsSigned: null,
      },
    ])
    expect(farAccount({ account_id: '1', business: {}, user_tasks: ['ANALYZE'] })).toMatchObject([{ business: null, canManageAudiences: false }])
    expect(farAccount({ account_id: '1' })).toMatchObject([{ business: null, canManageAudiences: true }])
    expect(farAccount({})).toEqual([])
  })
  test.each([
    [1, 'active'],
    [2, 'disabled'],
    [3, 'pending'],
    [7, 'pending'],
    [8, 'pending'],
    [9, 'active'],
    [100, 'pending'],
    [101, 'closed'],
    [55, 'disabled'],
  ])('status %s is %s', (code, status) => expect(farAccount({ account_id: '1', account_status: code })[0]?.status).toBe(status))

  test('terms are per user and business: what the person signed is told apart', () => {
    const [account] = farAccount({ account_id: '1', tos_accepted: { custom_audience_tos: 1 }, user_tos_accepted: { web_custom_audience_tos: 1 } })
    expect(account).toMatchObject({ termsSigned: true, userTermsSigned: false })
  })
})
