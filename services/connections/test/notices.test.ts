/** What platforms tell of people who connected: signed, for all tenants at once, harmless twice. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type Harness, newTenant, RETURN_URL, startHarness } from './harness.ts'
import { signNotice } from './oauth-adapter.ts'

let h: Harness
beforeAll(async () => {
  h = await startHarness()
})
afterAll(() => h.stop())

const HOUR = 3_600_000
const notice = (subject: string, issuedAt = new Date(Date.now() + HOUR).toISOString()) => ({
  subject,
  issued_at: issuedAt,
  signature: signNotice(subject, issuedAt),
})
const connectedBy = async (user: string, tenant = newTenant()) => {
  h.far.user = user
  return { tenant, ...(await h.connect(tenant)) }
}
const connection = async (tenant: string, id: string) => (await h.call(tenant, 'GET', `/v1/connections/${id}`)).body
const grant = (tenant: string, accountId: string) => h.call(tenant, 'POST', `/internal/v1/accounts/${accountId}/grant`, {})
const sealed = async (tenant: string) =>
  (await h.database.admin<{ access_token: string }>('SELECT access_token FROM connections.credential WHERE tenant_id = $1', [tenant])).map(
    ({ access_token }) => access_token,
  )

describe('a person takes their access back at the platform', () => {
  test('connections of every tenant that rest on the consent are revoked, their tokens emptied, everyone told; others go on', async () => {
    const [one, two, other] = [await connectedBy('ada'), await connectedBy('ada'), await connectedBy('bob')]
    expect((await h.post('/v1/oauth/strict/deauthorize', notice('ada'))).body).toEqual({ connections: 2 })
    for (const { tenant, connectionId, accountId } of [one, two]) {
      expect(await connection(tenant, connectionId)).toMatchObject({
        status: 'revoked',
        statusReason: { code: 'connection_revoked', solution: expect.stringContaining('reconnect') },
      })
      expect((await grant(tenant, accountId)).body).toMatchObject({ status: 409, code: 'connection_revoked' })
      expect(await sealed(tenant)).toEqual([''])
      expect(await h.events(tenant)).toHaveLength(3) // active, accounts selected, revoked
    }
    expect(await connection(other.tenant, other.connectionId)).toMatchObject({ status: 'active', statusReason: null })
    expect((await grant(other.tenant, other.accountId)).status).toBe(200)
  })

  test('the user connects again, and the same account is reached; the old notice, replayed, changes nothing', async () => {
    const { tenant, connectionId, accountId } = await connectedBy('carol')
    const old = notice('carol', new Date().toISOString())
    expect((await h.post('/v1/oauth/strict/deauthorize', old)).body).toEqual({ connections: 1 })
    const begun = await h.call(tenant, 'POST', `/v1/connections/${connectionId}/reconnect`, { returnUrl: RETURN_URL })
    await h.database.admin(`SELECT pg_sleep(1.1)`) // the notice names whole seconds; a consent within the same one counts as older
    expect((await h.follow(h.far.consent(begun.body.authorizeUrl))).location?.searchParams.get('status')).toBe('active')
    expect((await h.post('/v1/oauth/strict/deauthorize', old)).body).toEqual({ connections: 0 })
    expect((await grant(tenant, accountId)).body).toMatchObject({ accountId, accountExternalId: '1001' })
  })

  test.each([
    ['a wrong signature', { subject: 'dave', issued_at: '', signature: 'x' }],
    ['no signature', { subject: 'dave' }],
  ])('%s is refused, nothing changes, and somebody is alarmed', async (_, form) => {
    const { tenant, connectionId } = await connectedBy('dave')
    for (const what of ['deauthorize', 'data-deletion']) {
      const answer = await h.post(`/v1/oauth/strict/${what}`, form)
      expect(answer).toMatchObject({ status: 403, body: { code: 'notice_signature_invalid' } })
    }
    expect((await connection(tenant, connectionId)).status).toBe('active')
    expect(h.logged.some((line) => line.includes('did not sign') && JSON.parse(line).level === 'error')).toBe(true)
  })

  test('of a destination that sends none, or JSON, it is refused', async () => {
    expect((await h.post('/v1/oauth/other/deauthorize', notice('x'))).body.code).toBe('not_found')
    expect((await h.call(newTenant(), 'POST', '/v1/oauth/strict/deauthorize', notice('x'))).body.code).toBe('unsupported_media_type')
  })

  test('a renewal that was under way when the access was taken back brings nothing back', async () => {
    const { tenant, connectionId, accountId } = await connectedBy('erin')
    await h.database.admin(`UPDATE connections.credential SET renew_at = now() - interval '1 hour' WHERE tenant_id = $1`, [tenant])
    h.far.beforeRefreshAnswer = async () => {
      h.far.beforeRefreshAnswer = async () => {}
      await h.post('/v1/oauth/strict/deauthorize', notice('erin'))
    }
    expect((await grant(tenant, accountId)).body.code).toBe('connection_revoked')
    expect(await connection(tenant, connectionId)).toMatchObject({ status: 'revoked' })
    expect(await sealed(tenant)).toEqual([''])
  })
})

describe('a person who connected wants to be forgotten', () => {
  test('tokens and the person’s id go, and the person can read so by their code', async () => {
    const { tenant, connectionId } = await connectedBy('frank')
    const { status, body } = await h.post('/v1/oauth/strict/data-deletion', notice('frank'))
    expect(status).toBe(200)
    expect(body).toEqual({ url: `http://127.0.0.1:8080/v1/oauth/strict/data-deletion/${body.confirmation_code}`, confirmation_code: expect.any(String) })
    expect(Buffer.from(body.confirmation_code, 'base64url')).toHaveLength(32)
    expect((await connection(tenant, connectionId)).status).toBe('revoked')
    const kept = await h.database.admin(
      `SELECT to_jsonb(connection)::text || (SELECT string_agg(to_jsonb(c)::text, '') FROM connections.credential c WHERE c.tenant_id = $1) AS text FROM connections.connection WHERE tenant_id = $1`,
      [tenant],
    )
    expect(JSON.stringify(kept)).not.toContain('frank')
    const page = await h.follow(body.url)
    expect(JSON.parse(page.body)).toMatchObject({ destination: 'strict', status: 'completed', connections: 1, text: expect.any(String) })
    expect(h.logged.join('')).not.toContain('frank')
    // Again: there is nobody any more, and that is answered as well.
    const again = await h.post('/v1/oauth/strict/data-deletion', notice('frank'))
    expect(JSON.parse((await h.follow(again.body.url)).body)).toMatchObject({ connections: 0 })
  })

  test('another code, and another destination’s, show nothing', async () => {
    const { body } = await h.post('/v1/oauth/strict/data-deletion', notice('nobody'))
    expect((await h.follow(`http://127.0.0.1/v1/oauth/strict/data-deletion/${'A'.repeat(43)}`)).status).toBe(404)
    expect((await h.follow(`http://127.0.0.1/v1/oauth/other/data-deletion/${body.confirmation_code}`)).status).toBe(404)
    expect((await h.follow('http://127.0.0.1/v1/oauth/strict/data-deletion/short')).status).toBe(400)
  })
})

describe('reconnect by', () => {
  const DAY = 86_400_000
  const round = () => h.housekeeping()
  afterEach(() => {
    h.far.accessEndsAt = null
  })

  test('the end of what the platform shows is the date; two weeks before it the connection says so, once, and goes on', async () => {
    h.far.accessEndsAt = new Date(Date.now() + 60 * DAY)
    const { tenant, connectionId, accountId } = await connectedBy('gina')
    expect(await connection(tenant, connectionId)).toMatchObject({ reconnectBy: h.far.accessEndsAt.toISOString(), statusReason: null })
    await round()
    expect((await connection(tenant, connectionId)).statusReason).toBeNull()

    const before = (await h.events(tenant)).length
    await h.database.admin(`UPDATE connections.connection SET access_ends_at = now() + interval '13 days' WHERE tenant_id = $1`, [tenant])
    await round()
    await round()
    expect(await connection(tenant, connectionId)).toMatchObject({
      status: 'active',
      statusReason: { code: 'reconnect_soon', detail: expect.stringContaining('ends on') },
    })
    expect(await h.events(tenant)).toHaveLength(before + 1)
    expect((await grant(tenant, accountId)).status).toBe(200)

    // Connected again, the date is a new one and the warning is over.
    h.far.accessEndsAt = new Date(Date.now() + 90 * DAY)
    const begun = await h.call(tenant, 'POST', `/v1/connections/${connectionId}/reconnect`, { returnUrl: RETURN_URL })
    await h.follow(h.far.consent(begun.body.authorizeUrl))
    expect(await connection(tenant, connectionId)).toMatchObject({ statusReason: null, reconnectBy: h.far.accessEndsAt.toISOString() })
  })

  test('a token that is renewed by itself has no such date, until its renewals fail; one that cannot be renewed has its end', async () => {
    const { tenant, connectionId } = await connectedBy('hugo')
    const set = (what: string) => h.database.admin(`UPDATE connections.credential SET ${what} WHERE tenant_id = $1`, [tenant])
    await set(`expires_at = now() + interval '10 days', renew_at = now() + interval '5 days'`)
    const { expiresAt, reconnectBy } = await connection(tenant, connectionId)
    expect([typeof expiresAt, reconnectBy]).toEqual(['string', null])
    await set(`refresh_failed_at = now()`)
    expect((await connection(tenant, connectionId)).reconnectBy).toBeNull() // a bad hour
    await set(`renew_at = now() - interval '25 hours'`)
    expect((await connection(tenant, connectionId)).reconnectBy).toBe(expiresAt)
    await set('refresh_failed_at = NULL, renew_at = NULL, refresh_token = NULL')
    expect((await connection(tenant, connectionId)).reconnectBy).toBe(expiresAt)
    await round()
    expect((await connection(tenant, connectionId)).statusReason).toMatchObject({ code: 'reconnect_soon' })
    await set(`expires_at = NULL`)
    await round()
    expect(await connection(tenant, connectionId)).toMatchObject({ reconnectBy: null, statusReason: null })
  })

  test('a permission that was taken back, or lapsed, is said at the connection by the weekly look, and is over when it is granted again', async () => {
    const { tenant, connectionId } = await connectedBy('iris')
    const look = async () => {
      await h.database.admin(`UPDATE connections.connection SET checked_at = now() - interval '8 days' WHERE tenant_id = $1`, [tenant])
      await round()
      return (await connection(tenant, connectionId)).statusReason
    }
    h.far.narrow(['accounts'])
    expect(await look()).toMatchObject({ code: 'permission_denied', detail: 'Not granted: audiences.' })
    expect((await connection(tenant, connectionId)).status).toBe('active')
    h.far.narrow(['accounts', 'audiences'])
    expect(await look()).toBeNull()
  })

  test('a dialog that the platform does not have is refused with the field', async () => {
    const answer = await h.call(newTenant(), 'POST', '/v1/connections', { destination: 'strict', returnUrl: RETURN_URL, login: 'business' })
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ path: 'login' }] } })
  })
})
