import { patiently } from '@audience-sync/testing/patient'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Harness, newTenant, RETURN_URL, startHarness } from './harness.ts'

let h: Harness
beforeAll(async () => {
  h = await startHarness()
})
afterAll(() => h.stop())

const begin = async (tenant: string) => (await h.call(tenant, 'POST', '/v1/connections', { destination: 'strict', returnUrl: RETURN_URL })).body

test('a consent makes a connection active, sends the browser back and reads the accounts', async () => {
  const tenant = newTenant()
  const begun = await h.call(tenant, 'POST', '/v1/connections', { destination: 'strict', returnUrl: `${RETURN_URL}?tab=2` })
  expect(begun.status).toBe(201)
  expect(begun.body).toEqual({ id: expect.stringMatching(/^con_/), status: 'pending', authorizeUrl: expect.stringContaining('/authorize?') })
  expect(begun.headers.get('set-cookie')).toBeNull()
  const back = await h.follow(h.far.consent(begun.body.authorizeUrl))
  expect(back.status).toBe(302)
  expect(back.location?.href).toBe(`${RETURN_URL}?tab=2&connection=${begun.body.id}&status=active`)
  const read = await h.call(tenant, 'GET', `/v1/connections/${begun.body.id}`)
  expect(read.body).toMatchObject({ id: begun.body.id, destination: 'strict', status: 'active', statusReason: null, grantedScopes: ['audiences', 'accounts'] })
  const accounts = await h.call(tenant, 'GET', `/v1/connections/${begun.body.id}/accounts`)
  expect(accounts.body).toMatchObject({ data: [{ externalId: '1001', selected: false, termsSigned: true }], nextCursor: null })
  expect(await h.events(tenant)).toEqual(['connection.changed'])
})

test('the authorization URL is the dialog of the platform, with our state and fixed callback', async () => {
  const { authorizeUrl } = await begin(newTenant())
  const { origin, pathname, searchParams } = new URL(authorizeUrl)
  expect(origin + pathname).toBe(`${h.far.url}/authorize`)
  const { state, ...rest } = Object.fromEntries(searchParams)
  expect(Buffer.from(state ?? '', 'base64url')).toHaveLength(32)
  expect(rest).toEqual({
    client_id: 'client-1',
    response_type: 'code',
    scope: 'audiences,accounts',
    redirect_uri: 'http://127.0.0.1:8080/v1/oauth/strict/callback',
    prompt: 'consent',
  })
})

describe('an OAuth state works once, for its own', () => {
  const status = async (tenant: string, id: string) => (await h.call(tenant, 'GET', `/v1/connections/${id}`)).body.status
  const refused = (answer: { status: number; body: string; location: URL | null }) => {
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body).code).toBe('oauth_state_invalid')
    expect(answer.location).toBeNull()
  }

  test('a replayed callback is refused and changes nothing', async () => {
    const tenant = newTenant()
    const { id, authorizeUrl } = await begin(tenant)
    const callback = h.far.consent(authorizeUrl)
    expect((await h.follow(callback)).status).toBe(302)
    refused(await h.follow(callback))
    expect(await status(tenant, id)).toBe('active')
  })

  test('twenty callbacks at once: exactly one succeeds, and the code is exchanged once', async () => {
    const { authorizeUrl } = await begin(newTenant())
    const callback = h.far.consent(authorizeUrl)
    const before = h.far.journal.filter(({ grant }) => grant === 'authorization_code').length
    const answers = await Promise.all(Array.from({ length: 20 }, () => patiently(() => h.follow(callback))))
    expect(answers.filter((answer) => answer.status === 302)).toHaveLength(1)
    expect(answers.filter((answer) => answer.status === 400)).toHaveLength(19)
    expect(h.far.journal.filter(({ grant }) => grant === 'authorization_code').length - before).toBe(1)
  })

  test('after eleven minutes it is refused', async () => {
    const tenant = newTenant()
    const { id, authorizeUrl } = await begin(tenant)
    await h.database.admin(`UPDATE connections.oauth_state SET created_at = now() - interval '11 minutes' WHERE tenant_id = $1`, [tenant])
    refused(await h.follow(h.far.consent(authorizeUrl)))
    expect(await status(tenant, id)).toBe('pending')
  })

  test('at another destination, made up or missing it is refused', async () => {
    const tenant = newTenant()
    const { id, authorizeUrl } = await begin(tenant)
    const callback = h.far.consent(authorizeUrl)
    refused(await h.follow(callback.replace('/oauth/strict/', '/oauth/meta/')))
    refused(await h.follow(callback.replace(/state=[^&]+/, `state=${'A'.repeat(43)}`)))
    refused(await h.follow(callback.replace(/state=[^&]+&?/, '')))
    expect(await status(tenant, id)).toBe('pending')
    expect((await h.follow(callback)).location?.searchParams.get('status')).toBe('active')
  })

  test('it connects the tenant who began, whoever’s browser comes back', async () => {
    const [mine, theirs] = [newTenant(), newTenant()]
    const { id, authorizeUrl } = await begin(mine)
    await begin(theirs)
    await h.follow(h.far.consent(authorizeUrl))
    expect(await status(mine, id)).toBe('active')
    expect((await h.call(theirs, 'GET', `/v1/connections/${id}`)).status).toBe(404)
    expect((await h.call(theirs, 'GET', '/v1/connections?status=active')).body.data).toEqual([])
  })

  test('it is stored as a hash, and the role sees no row without naming that hash', async () => {
    const tenant = newTenant()
    const { authorizeUrl } = await begin(tenant)
    const state = new URL(authorizeUrl).searchParams.get('state') ?? ''
    const rows = await h.database.admin<{ row: string }>('SELECT oauth_state::text AS row FROM connections.oauth_state WHERE tenant_id = $1', [tenant])
    expect(rows).toHaveLength(1)
    expect(rows[0]?.row).not.toContain(state)
    const db = h.database.as('connections')
    expect(await db.tx(async (tx) => (await tx.query('SELECT 1 FROM oauth_state')).rowCount)).toBe(0)
    const kept = await h.database.admin<{ body: string }>('SELECT body FROM connections.idempotency')
    expect(JSON.stringify(kept)).not.toContain(state)
  })
})

test('no state, code or token stands in a log line', async () => {
  const tenant = newTenant()
  const { authorizeUrl, id } = await begin(tenant)
  const callback = h.far.consent(authorizeUrl)
  await h.follow(callback)
  await h.call(tenant, 'PUT', `/v1/connections/${id}/accounts`, { selected: ['1001'] })
  const [account] = (await h.call(tenant, 'GET', '/v1/accounts')).body.data
  const { accessToken } = (await h.call(tenant, 'POST', `/internal/v1/accounts/${account.id}/grant`)).body
  await h.follow(callback) // refused
  h.far.withdraw()
  await h.call(tenant, 'POST', `/v1/connections/${id}/check`)
  const { state, code } = Object.fromEntries(new URL(callback).searchParams)
  const lines = h.logged.join('')
  expect(lines).toContain('must connect again')
  for (const secret of [state, code, accessToken, 'secret-1']) {
    expect(secret).toBeTruthy()
    expect(lines).not.toContain(secret)
  }
})

describe('a consent that is not given', () => {
  test('fails the connection and tells the browser why', async () => {
    const tenant = newTenant()
    const { id, authorizeUrl } = await begin(tenant)
    const back = await h.follow(h.far.consent(authorizeUrl, { deny: true }))
    expect(Object.fromEntries(back.location?.searchParams ?? [])).toEqual({ connection: id, status: 'failed', code: 'authorization_denied' })
    const { body } = await h.call(tenant, 'GET', `/v1/connections/${id}`)
    expect(body).toMatchObject({ status: 'failed', statusReason: { code: 'authorization_denied', solution: expect.any(String) } })
  })

  test('with a scope missing fails, and what was granted is revoked', async () => {
    const tenant = newTenant()
    const before = h.far.revokedFamilies()
    const { id, authorizeUrl } = await begin(tenant)
    const back = await h.follow(h.far.consent(authorizeUrl, { scopes: ['accounts'] }))
    expect(back.location?.searchParams.get('code')).toBe('permission_denied')
    expect((await h.call(tenant, 'GET', `/v1/connections/${id}`)).body.statusReason.detail).toBe('Not granted: audiences.')
    expect(h.far.revokedFamilies()).toBe(before + 1)
  })

  test('does not end a connection that was active', async () => {
    const tenant = newTenant()
    const { connectionId } = await h.connect(tenant)
    const again = await h.call(tenant, 'POST', `/v1/connections/${connectionId}/reconnect`, { returnUrl: RETURN_URL })
    expect(again.body.status).toBe('active')
    const back = await h.follow(h.far.consent(again.body.authorizeUrl, { deny: true }))
    expect(back.location?.searchParams.get('status')).toBe('failed')
    expect((await h.call(tenant, 'GET', `/v1/connections/${connectionId}`)).body.status).toBe('active')
  })

  test.each(['another connection', 'the connection itself'])('with a scope missing leaves %s of the same person alive', async (whose) => {
    const tenant = newTenant()
    const { connectionId, accountId } = await h.connect(tenant)
    const { authorizeUrl } =
      whose === 'another connection'
        ? await begin(tenant)
        : (await h.call(tenant, 'POST', `/v1/connections/${connectionId}/reconnect`, { returnUrl: RETURN_URL })).body
    const before = h.far.revokedFamilies()
    expect((await h.follow(h.far.consent(authorizeUrl, { scopes: ['accounts'] }))).location?.searchParams.get('code')).toBe('permission_denied')
    expect(h.far.revokedFamilies()).toBe(before)
    expect((await h.call(tenant, 'POST', `/internal/v1/accounts/${accountId}/grant`)).status).toBe(200)
  })

  test('shows in the check under its own code', async () => {
    const tenant = newTenant()
    const check = async (id: string) => (await h.call(tenant, 'POST', `/v1/connections/${id}/check`)).body.checks
    const { id, authorizeUrl } = await begin(tenant)
    expect(await check(id)).toMatchObject([{ check: 'token', ok: false, code: 'authorization_pending' }])
    await h.follow(h.far.consent(authorizeUrl, { scopes: ['accounts'] }))
    expect(await check(id)).toMatchObject([{ check: 'permissions', ok: false, code: 'permission_denied', detail: 'Not granted: audiences.' }])
  })

  test('because the platform is down fails with a code that says so', async () => {
    const { authorizeUrl } = await begin(newTenant())
    const callback = h.far.consent(authorizeUrl)
    h.far.down = true
    const back = await h.follow(callback)
    h.far.down = false
    expect(back.location?.searchParams.get('code')).toBe('destination_unavailable')
  })
})

describe('beginning a connection', () => {
  const body = { destination: 'strict', returnUrl: RETURN_URL }

  test.each([
    [{ ...body, returnUrl: 'https://evil.example.com/' }, 400, 'return_url_not_allowed'],
    [{ ...body, destination: 'nowhere' }, 422, 'destination_unknown'],
    [{ ...body, extra: 1 }, 400, 'validation_failed'],
    [{ destination: 'strict' }, 400, 'validation_failed'],
  ])('with %j answers %i %s', async (sent, status, code) => {
    const answer = await h.call(newTenant(), 'POST', '/v1/connections', sent)
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  test('needs the scope', async () => {
    const answer = await h.call(newTenant(), 'POST', '/v1/connections', body, { scopes: ['connections:read'] })
    expect([answer.status, answer.body.code]).toEqual([403, 'forbidden_scope'])
  })

  test('twice with one Idempotency-Key makes one connection; each answer has a state that works', async () => {
    const tenant = newTenant()
    const first = await h.call(tenant, 'POST', '/v1/connections', body, { key: 'once' })
    const second = await h.call(tenant, 'POST', '/v1/connections', body, { key: 'once' })
    expect(second.body.id).toBe(first.body.id)
    expect((await h.call(tenant, 'GET', '/v1/connections')).body.data).toHaveLength(1)
    expect((await h.follow(h.far.consent(second.body.authorizeUrl))).location?.searchParams.get('status')).toBe('active')
    const reused = await h.call(tenant, 'POST', '/v1/connections', { ...body, returnUrl: `${RETURN_URL}?other` }, { key: 'once' })
    expect([reused.status, reused.body.code]).toEqual([422, 'idempotency_key_reused'])
  })

  test('more often than the tenant may is refused', async () => {
    const tenant = newTenant()
    for (let n = 0; n < 3; n += 1) await begin(tenant)
    const answer = await h.call(tenant, 'POST', '/v1/connections', body)
    expect([answer.status, answer.body.code]).toEqual([409, 'too_many_connections'])
  })
})

test('lists go page by page and refuse a cursor of elsewhere', async () => {
  const tenant = newTenant()
  const made = [(await begin(tenant)).id, (await begin(tenant)).id]
  const first = await h.call(tenant, 'GET', '/v1/connections?limit=1')
  const second = await h.call(tenant, 'GET', `/v1/connections?limit=1&cursor=${first.body.nextCursor}`)
  expect([first, second].map(({ body }) => body.data[0].id).sort()).toEqual(made.sort())
  expect(second.body.nextCursor).toBeNull()
  expect((await h.call(tenant, 'GET', '/v1/connections?cursor=abc')).status).toBe(400)
})
