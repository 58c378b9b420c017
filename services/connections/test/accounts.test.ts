import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type Harness, newTenant, startHarness } from './harness.ts'

let h: Harness
beforeAll(async () => {
  h = await startHarness()
})
afterEach(() => {
  h.far.accounts = [{ externalId: '1001', termsSigned: true, canManageAudiences: true, status: 'active' }]
})
afterAll(() => h.stop())

const seed = (externalId: string, over = {}) => ({ externalId, termsSigned: true, canManageAudiences: true, status: 'active' as const, ...over })
const select = (tenant: string, connectionId: string, selected: string[]) => h.call(tenant, 'PUT', `/v1/connections/${connectionId}/accounts`, { selected })

describe('accounts', () => {
  test('are selected exactly as asked; one that is new at the platform is found', async () => {
    const tenant = newTenant()
    const { connectionId } = await h.connect(tenant)
    h.far.accounts = [seed('1001'), seed('1002'), seed('1003')]
    const answer = await select(tenant, connectionId, ['1002', '1003'])
    expect(answer.body.data.map(({ externalId, selected }: { externalId: string; selected: boolean }) => [externalId, selected])).toEqual([
      ['1001', false],
      ['1002', true],
      ['1003', true],
    ])
    expect((await h.call(tenant, 'GET', '/v1/accounts?selected=true')).body.data).toHaveLength(2)
  })

  test('that the connection does not reach are refused, and nothing is selected', async () => {
    const tenant = newTenant()
    const { connectionId } = await h.connect(tenant)
    const answer = await select(tenant, connectionId, ['1001', '9999'])
    expect([answer.status, answer.body.code]).toEqual([422, 'account_unknown'])
    expect((await h.call(tenant, 'GET', '/v1/accounts')).body.data).toMatchObject([{ externalId: '1001', selected: true }])
  })

  test('of another tenant are not there', async () => {
    const { connectionId, accountId } = await h.connect(newTenant())
    const other = newTenant()
    expect((await h.call(other, 'GET', `/v1/accounts/${accountId}`)).status).toBe(404)
    expect((await select(other, connectionId, ['1001'])).status).toBe(404)
    expect((await h.call(other, 'POST', `/v1/connections/${connectionId}/check`)).status).toBe(404)
    expect((await h.call(other, 'POST', `/v1/connections/${connectionId}/reconnect`, { returnUrl: 'http://127.0.0.1/' })).status).toBe(404)
    expect((await h.call(other, 'DELETE', `/v1/connections/${connectionId}`)).status).toBe(404)
    expect((await h.call(other, 'GET', '/v1/accounts')).body.data).toEqual([])
  })
})

describe('a check', () => {
  const check = async (tenant: string, connectionId: string) => (await h.call(tenant, 'POST', `/v1/connections/${connectionId}/check`)).body

  test('of a good connection is ok in every point', async () => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    const answer = await check(tenant, connectionId)
    expect(answer).toMatchObject({ id: connectionId, status: 'active', ok: true })
    expect(answer.checks.map(({ check: name, ok, accountId: of }: { check: string; ok: boolean; accountId: string | null }) => [name, ok, of])).toEqual([
      ['token', true, null],
      ['permissions', true, null],
      ['terms', true, accountId],
      ['eligibility', true, accountId],
    ])
  })

  test.each([
    [{ termsSigned: false }, 'terms', 'terms_not_signed', 'https://terms.example.com/?act=1001'],
    [{ canManageAudiences: false }, 'eligibility', 'permission_denied', null],
    [{ status: 'disabled' }, 'eligibility', 'account_inactive', null],
    [{ status: 'pending' }, 'eligibility', 'platform_blocked', null],
  ])('says what is wrong with an account and what to do: %j', async (over, point, code, link) => {
    const tenant = newTenant()
    const { connectionId } = await h.connect(tenant)
    h.far.accounts = [seed('1001', over)]
    const before = (await h.events(tenant)).length
    const answer = await check(tenant, connectionId)
    expect(answer.ok).toBe(false)
    expect(answer.checks.filter(({ ok }: { ok: boolean }) => !ok)).toEqual([
      expect.objectContaining({ check: point, code, link, title: expect.any(String), solution: expect.any(String) }),
    ])
    expect((await h.events(tenant)).slice(before)).toEqual(['connection.changed'])
  })

  test('says whose signature is missing where the business has signed and the person has not; exports go on', async () => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    h.far.accounts = [seed('1001', { userTermsSigned: false })]
    const { checks } = await check(tenant, connectionId)
    expect(checks.filter(({ ok }: { ok: boolean }) => !ok)).toEqual([
      expect.objectContaining({ check: 'terms', code: 'terms_not_signed', detail: expect.stringContaining('not by the person who connected') }),
    ])
    expect((await h.call(tenant, 'POST', `/internal/v1/accounts/${accountId}/grant`, {})).status).toBe(200)
  })

  test('says when an account is lost, and when none is selected', async () => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    h.far.accounts = [seed('1002')]
    expect((await check(tenant, connectionId)).checks.at(-1)).toMatchObject({ accountId, code: 'permission_denied' })
    expect((await h.call(tenant, 'GET', `/v1/accounts/${accountId}`)).body).toMatchObject({ status: 'lost', canManageAudiences: false })
    await select(tenant, connectionId, [])
    expect((await check(tenant, connectionId)).checks.at(-1)).toMatchObject({ accountId: null, code: 'account_not_selected' })
  })

  test('renews a token that died early, and is ok', async () => {
    const tenant = newTenant()
    const { connectionId } = await h.connect(tenant)
    h.far.expireAccessTokens()
    expect(await check(tenant, connectionId)).toMatchObject({ status: 'active', ok: true })
  })

  test('of a withdrawn consent ends the connection', async () => {
    const tenant = newTenant()
    const { connectionId } = await h.connect(tenant)
    h.far.withdraw()
    expect(await check(tenant, connectionId)).toMatchObject({ status: 'expired', ok: false, checks: [{ check: 'token', code: 'connection_expired' }] })
  })

  test('while the platform is down says so and changes nothing', async () => {
    const tenant = newTenant()
    const { connectionId } = await h.connect(tenant)
    h.far.down = true
    const answer = await check(tenant, connectionId)
    h.far.down = false
    expect([answer.status, answer.code]).toEqual([503, 'destination_unavailable'])
    expect((await h.call(tenant, 'GET', `/v1/connections/${connectionId}`)).body.status).toBe('active')
  })
})

describe('default accounts', () => {
  const put = (tenant: string, defaults: unknown[]) => h.call(tenant, 'PUT', '/v1/default-accounts', { defaults })
  const behaviorId = 'beh_01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'

  test('are replaced as a whole, and the narrowest wins', async () => {
    const tenant = newTenant()
    const { connectionId } = await h.connect(tenant)
    h.far.accounts = ['1001', '1002', '1003', '1004'].map((id) => seed(id))
    const { data } = (await select(tenant, connectionId, ['1001', '1002', '1003', '1004'])).body
    const [whole, kind, purpose, behavior] = data.map(({ id }: { id: string }) => id)
    const defaults = [
      { destination: 'strict', accountId: whole },
      { destination: 'strict', behaviorKind: 'custom', accountId: kind },
      { destination: 'strict', purpose: 'seed', accountId: purpose },
      { destination: 'strict', behaviorId, accountId: behavior },
    ]
    expect((await put(tenant, defaults)).status).toBe(200)
    expect((await h.call(tenant, 'GET', '/v1/default-accounts')).body.data).toEqual(expect.arrayContaining(defaults))
    const resolve = async (query: string) => (await h.call(tenant, 'GET', `/internal/v1/default-account?destination=strict${query}`)).body.accountId
    expect(await resolve('')).toBe(whole)
    expect(await resolve('&behaviorKind=custom')).toBe(kind)
    expect(await resolve('&behaviorKind=custom&purpose=seed')).toBe(purpose)
    expect(await resolve(`&behaviorKind=custom&purpose=seed&behaviorId=${behaviorId}`)).toBe(behavior)
    expect((await put(tenant, [])).body.data).toEqual([])
    expect(await resolve('')).toBeNull()
  })

  test.each([
    ['a foreign account', [{ destination: 'strict', accountId: behaviorId.replace('beh', 'acc') }], 422, 'account_unknown'],
    ['two scopes at once', [{ destination: 'strict', purpose: 'seed', behaviorKind: 'custom', accountId: 'acc_x' }], 400, 'validation_failed'],
  ])('with %s are refused', async (_what, defaults, status, code) => {
    const answer = await put(newTenant(), defaults)
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  test('of another destination or named twice are refused, and the list stays', async () => {
    const tenant = newTenant()
    const { accountId } = await h.connect(tenant)
    await put(tenant, [{ destination: 'strict', accountId }])
    for (const defaults of [
      [{ destination: 'meta', accountId }],
      [
        { destination: 'strict', accountId },
        { destination: 'strict', accountId },
      ],
    ])
      expect((await put(tenant, defaults)).status).toBe(400)
    expect((await h.call(tenant, 'GET', '/v1/default-accounts')).body.data).toEqual([{ destination: 'strict', accountId }])
  })
})
