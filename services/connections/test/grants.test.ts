import { uuidOf } from '@audience-sync/contracts/ids'
import { Grant } from '@audience-sync/contracts/internal/grants'
import { until } from '@audience-sync/testing/until'
import { createDekStore } from '@audience-sync/vault/dek-store'
import { parseKeks } from '@audience-sync/vault/keks'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { createCredentialVault } from '../src/credential-vault.ts'
import { reseal } from '../src/reseal.ts'
import { type Harness, KEK, newTenant, RETURN_URL, startHarness } from './harness.ts'

let h: Harness
beforeAll(async () => {
  h = await startHarness()
})
afterEach(() => {
  h.far.accounts = [{ externalId: '1001', termsSigned: true, canManageAudiences: true, status: 'active' }]
})
afterAll(() => h.stop())

const grant = (tenant: string, accountId: string) => h.call(tenant, 'POST', `/internal/v1/accounts/${accountId}/grant`)
const report = (tenant: string, connectionId: string, body: unknown) => h.call(tenant, 'POST', `/internal/v1/connections/${connectionId}/report`, body)
const status = async (tenant: string, id: string) => (await h.call(tenant, 'GET', `/v1/connections/${id}`)).body.status

describe('a grant', () => {
  test('carries the token, the proof beside it, the account and the version', async () => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    const answer = await grant(tenant, accountId)
    expect(answer.status).toBe(200)
    expect(Grant.parse(answer.body)).toEqual({
      connectionId,
      accountId,
      accountExternalId: '1001',
      accessToken: expect.stringMatching(/^[0-9a-f]{24}$/),
      proof: 'proof-of-24',
      expiresAt: expect.any(String),
      version: 1,
      tier: null,
      businessId: 'b1',
    })
  })

  test('is refused for another tenant’s account like for one that does not exist', async () => {
    const { accountId } = await h.connect(newTenant())
    for (const id of [accountId, 'acc_01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d', 'acc_x', 'con_1']) {
      const answer = await grant(newTenant(), id)
      expect([answer.status, answer.body.code]).toEqual([404, 'not_found'])
    }
  })

  test('needs the internal scope', async () => {
    const answer = await h.call(newTenant(), 'POST', '/internal/v1/accounts/acc_x/grant', undefined, { scopes: ['connections:write'] })
    expect(answer.status).toBe(403)
  })

  test('is refused while the account is not selected, and the terms are not signed', async () => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    await h.call(tenant, 'PUT', `/v1/connections/${connectionId}/accounts`, { selected: [] })
    expect((await grant(tenant, accountId)).body).toMatchObject({ status: 409, code: 'account_not_selected' })
    await h.call(tenant, 'PUT', `/v1/connections/${connectionId}/accounts`, { selected: ['1001'] })
    h.far.accounts = [{ externalId: '1001', termsSigned: false, canManageAudiences: true, status: 'active' }]
    await report(tenant, connectionId, { version: 1, problem: 'terms_not_signed' })
    expect((await grant(tenant, accountId)).body).toMatchObject({
      status: 409,
      code: 'terms_not_signed',
      detail: expect.stringContaining('https://terms.example.com/?act=1001'),
    })
    expect((await h.call(tenant, 'GET', `/internal/v1/accounts/${accountId}`)).body).toMatchObject({
      connectionStatus: 'active',
      selected: true,
      termsSigned: false,
    })
  })
})

describe('a token that the platform takes no more', () => {
  test('is renewed once by force; a second refusal soon after ends the connection', async () => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    expect((await report(tenant, connectionId, { version: 1, problem: 'token_dead', platform: { code: '190', message: 'expired' } })).status).toBe(204)
    expect((await grant(tenant, accountId)).body.version).toBe(2)
    await report(tenant, connectionId, { version: 1, problem: 'token_dead' }) // old news
    expect((await grant(tenant, accountId)).body.version).toBe(2)
    await report(tenant, connectionId, { version: 2, problem: 'token_dead', platform: { code: '190', message: 'Session has expired' } })
    const { body } = await h.call(tenant, 'GET', `/v1/connections/${connectionId}`)
    expect(body.status).toBe('expired')
    expect(body.statusReason.detail).toContain('190: Session has expired')
    expect((await grant(tenant, accountId)).body.code).toBe('connection_expired')
  })

  test('ends the connection at once when the consent was withdrawn; a reconnect brings back the same account, still selected', async () => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    h.far.withdraw()
    await report(tenant, connectionId, { version: 1, problem: 'token_dead' })
    expect(await status(tenant, connectionId)).toBe('expired')
    const again = await h.call(tenant, 'POST', `/v1/connections/${connectionId}/reconnect`, { returnUrl: RETURN_URL })
    await h.follow(h.far.consent(again.body.authorizeUrl))
    expect(await status(tenant, connectionId)).toBe('active')
    expect((await grant(tenant, accountId)).body).toMatchObject({ accountId, version: 2 })
  })

  test('reported by fifty at once is renewed once', async () => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    await Promise.all(Array.from({ length: 50 }, () => report(tenant, connectionId, { version: 1, problem: 'token_dead' })))
    expect(await status(tenant, connectionId)).toBe('active')
    expect((await grant(tenant, accountId)).body.version).toBe(2)
  })
})

describe('deleting a connection', () => {
  test('revokes at the platform, destroys the credential, tells everyone, and ends its use', async () => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    const revokedBefore = h.far.revokedFamilies()
    await h.call(tenant, 'PUT', '/v1/default-accounts', { defaults: [{ destination: 'strict', accountId }] })
    const deleted = await h.call(tenant, 'DELETE', `/v1/connections/${connectionId}`)
    expect([deleted.status, deleted.body]).toEqual([204, undefined])
    expect(h.far.revokedFamilies()).toBe(revokedBefore + 1)
    expect(await h.database.admin('SELECT 1 FROM connections.credential WHERE tenant_id = $1', [tenant])).toEqual([])
    for (const path of [`/v1/connections/${connectionId}`, `/v1/connections/${connectionId}/accounts`, `/v1/accounts/${accountId}`])
      expect((await h.call(tenant, 'GET', path)).status).toBe(404)
    expect((await h.call(tenant, 'DELETE', `/v1/connections/${connectionId}`)).status).toBe(404)
    expect((await h.call(tenant, 'GET', '/v1/default-accounts')).body.data).toEqual([])
    expect((await grant(tenant, accountId)).body.code).toBe('connection_revoked')
    expect((await h.call(tenant, 'GET', `/internal/v1/accounts/${accountId}`)).body).toMatchObject({ connectionStatus: 'revoked', selected: false })
    expect((await h.events(tenant)).length).toBeGreaterThanOrEqual(3)
  })

  test('while the platform is down ends its use all the same, and is finished later', async () => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    const revokedBefore = h.far.revokedFamilies()
    h.far.down = true
    expect((await h.call(tenant, 'DELETE', `/v1/connections/${connectionId}`)).status).toBe(204)
    h.far.down = false
    const after = h.far.journal.length
    expect((await grant(tenant, accountId)).body.code).toBe('connection_revoked')
    expect((await report(tenant, connectionId, { version: 1, problem: 'token_dead' })).status).toBe(204)
    expect(h.far.journal).toHaveLength(after) // nothing is called behind the fence
    expect((await h.housekeeping()).removals).toBe(1)
    expect(h.far.journal.slice(after).map(({ path }) => path)).toEqual(['/revoke'])
    expect(h.far.revokedFamilies()).toBe(revokedBefore + 1)
    expect((await h.housekeeping()).removals).toBe(0)
  })

  // F19
  test('at fifty moments of a renewal and a check: nothing is called behind the fence, and no token is left alive', async () => {
    for (let point = 0; point < 50; point += 1) {
      const tenant = newTenant()
      const { connectionId, accountId } = await h.connect(tenant)
      const revokedBefore = h.far.revokedFamilies()
      await h.database.admin('UPDATE connections.credential SET renew_at = now() WHERE tenant_id = $1', [tenant])
      const busy = [grant(tenant, accountId), h.call(tenant, 'POST', `/v1/connections/${connectionId}/check`)]
      const seen = h.far.journal.length
      await until('the platform has been called some', () => h.far.journal.length >= seen + (point % 4), { everyMs: 1 })
      expect((await h.call(tenant, 'DELETE', `/v1/connections/${connectionId}`)).status).toBe(204)
      await Promise.all(busy)
      await until('the grant is revoked', () => h.far.revokedFamilies() === revokedBefore + 1)
      const after = h.far.journal.length
      await Promise.all([grant(tenant, accountId), h.call(tenant, 'POST', `/v1/connections/${connectionId}/check`), h.housekeeping()])
      expect(h.far.journal).toHaveLength(after)
    }
  }, 120_000)

  test('that shares its platform user with another leaves that one alive', async () => {
    const tenant = newTenant()
    const [first, second] = [await h.connect(tenant), await h.connect(tenant)]
    const before = h.far.journal.length
    await h.call(tenant, 'DELETE', `/v1/connections/${first.connectionId}`)
    expect(h.far.journal).toHaveLength(before)
    expect(await h.database.admin('SELECT 1 FROM connections.credential WHERE tenant_id = $1', [tenant])).toHaveLength(1)
    expect((await grant(tenant, second.accountId)).status).toBe(200)
    await h.call(tenant, 'DELETE', `/v1/connections/${second.connectionId}`)
    expect(h.far.journal.slice(before).map(({ path }) => path)).toEqual(expect.arrayContaining(['/revoke']))
  })

  test('while a consent is under way: the token that comes of it is revoked', async () => {
    const tenant = newTenant()
    const { connectionId } = await h.connect(tenant)
    const again = await h.call(tenant, 'POST', `/v1/connections/${connectionId}/reconnect`, { returnUrl: RETURN_URL })
    await h.call(tenant, 'DELETE', `/v1/connections/${connectionId}`)
    const revokedBefore = h.far.revokedFamilies()
    const back = await h.follow(h.far.consent(again.body.authorizeUrl))
    expect(back.location?.searchParams.get('code')).toBe('connection_revoked')
    expect(h.far.revokedFamilies()).toBe(revokedBefore + 1)
  })

  test('and connecting anew gives the account its old id, to be selected again', async () => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    await h.call(tenant, 'DELETE', `/v1/connections/${connectionId}`)
    const begun = await h.call(tenant, 'POST', '/v1/connections', { destination: 'strict', returnUrl: RETURN_URL })
    await h.follow(h.far.consent(begun.body.authorizeUrl))
    expect((await h.call(tenant, 'GET', `/v1/accounts/${accountId}`)).body).toMatchObject({ id: accountId, connectionId: begun.body.id, selected: false })
    expect((await grant(tenant, accountId)).body.code).toBe('account_not_selected')
  })
})

test('a replaced data key: its credentials are sealed anew, and it opens nothing more', async () => {
  const tenant = newTenant()
  const { accountId } = await h.connect(tenant)
  const dekOf = async () =>
    (await h.database.admin<{ id: string }>(`SELECT split_part(access_token, '.', 2) AS id FROM connections.credential WHERE tenant_id = $1`, [tenant]))[0]?.id
  const old = await dekOf()
  const before = (await grant(tenant, accountId)).body
  const db = h.database.as('connections')
  const store = createDekStore({ db, keks: parseKeks(KEK) })
  await store.rotate(tenant)
  const again = () => reseal(db, store, createCredentialVault(store))
  expect(await again()).toBe(0) // other processes may still seal with the one in their memory
  await h.database.admin(`UPDATE connections.dek SET superseded_at = now() - interval '11 minutes' WHERE id = $1`, [old])
  expect(await again()).toBe(1)
  expect(await dekOf()).not.toBe(old)
  expect((await grant(tenant, accountId)).body).toEqual(before)
  expect(await again()).toBe(0)
  expect(await h.database.admin('SELECT id FROM connections.dek WHERE tenant_id = $1 AND retire_at IS NOT NULL', [tenant])).toEqual([{ id: old }])
})

describe('a leaked or tampered table', () => {
  const tokens = (tenant: string) =>
    h.database.admin<{ access_token: string; refresh_token: string }>('SELECT access_token, refresh_token FROM connections.credential WHERE tenant_id = $1', [
      tenant,
    ])

  test('shows no token', async () => {
    const tenant = newTenant()
    const { accountId } = await h.connect(tenant)
    const { accessToken } = (await grant(tenant, accountId)).body
    const [row] = await tokens(tenant)
    expect(row?.access_token).toMatch(/^v1\.dek_[0-9a-f-]{36}(\.[\w-]+){3}$/)
    expect(JSON.stringify(row)).not.toContain(accessToken)
  })

  test('gives nothing when a token is moved to another tenant, field or altered', async () => {
    const [mine, theirs] = [newTenant(), newTenant()]
    const { accountId } = await h.connect(mine)
    await h.connect(theirs)
    const [own] = await tokens(mine)
    const [foreign] = await tokens(theirs)
    const put = (text: string | undefined) => h.database.admin('UPDATE connections.credential SET access_token = $1 WHERE tenant_id = $2', [text, mine])
    for (const bad of [
      foreign?.access_token,
      own?.refresh_token,
      `${own?.access_token.slice(0, -2)}AA`,
      own?.access_token.split('.').slice(0, -1).join('.'),
      'plain-token',
    ]) {
      await put(bad)
      const answer = await grant(mine, accountId)
      expect([answer.status, answer.body.code, answer.body.accessToken]).toEqual([500, 'internal', undefined])
    }
    await put(own?.access_token)
    expect((await grant(mine, accountId)).status).toBe(200)
  })
})

test('credentials that are due are renewed without anybody asking, and abandoned consents fail', async () => {
  const tenant = newTenant()
  const { connectionId } = await h.connect(tenant)
  const begun = await h.call(tenant, 'POST', '/v1/connections', { destination: 'strict', returnUrl: RETURN_URL })
  await h.database.admin('UPDATE connections.credential SET renew_at = now() WHERE tenant_id = $1', [tenant])
  await h.database.admin(`UPDATE connections.connection SET created_at = now() - interval '25 hours' WHERE id = $1`, [uuidOf('connection', begun.body.id)])
  expect(await h.housekeeping()).toMatchObject({ renewals: 1, abandoned: 1 })
  const rows = await h.database.admin('SELECT credential_version FROM connections.credential WHERE tenant_id = $1', [tenant])
  expect(rows).toEqual([{ credential_version: 2 }])
  expect(await status(tenant, connectionId)).toBe('active')
  expect(await status(tenant, begun.body.id)).toBe('failed')
})

test('a connection that nobody looked at for a week is checked, so that its permissions do not lapse and its end is noticed', async () => {
  const tenant = newTenant()
  const { connectionId } = await h.connect(tenant)
  h.far.withdraw()
  await h.database.admin(`UPDATE connections.connection SET checked_at = now() - interval '8 days' WHERE tenant_id = $1`, [tenant])
  expect((await h.housekeeping()).checked).toBe(1)
  expect(await status(tenant, connectionId)).toBe('expired')
  expect((await h.housekeeping()).checked).toBe(0)
})
