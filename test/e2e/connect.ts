/** How a tenant connects Meta, what it is told of that, and what a person's second thoughts at the platform do. */
import { createHmac } from 'node:crypto'
import {
  comeBack,
  connectMeta,
  createAudience,
  createBehavior,
  DEMO_ACCOUNT,
  ingest,
  members,
  newTenant,
  refresh,
  waitRun,
} from '@audience-sync/testing/conductor-client'
import { META_APP } from '@audience-sync/testing/conductor-plans'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { customer, farRows, joins, people, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 100
const RETURN_URL = 'http://127.0.0.1/done'
const SYSTEM_USER = '3000000000000002'

/** As the platform signs it. */
function signedRequest(userId: string, secret = META_APP.META_APP_SECRET): string {
  const issuedAt = Math.ceil(Date.now() / 1_000)
  const payload = Buffer.from(JSON.stringify({ algorithm: 'HMAC-SHA256', issued_at: issuedAt, user_id: userId })).toString('base64url')
  return `${createHmac('sha256', secret).update(payload).digest('base64url')}.${payload}`
}

export function connect(stage: Stage): void {
  const own = async (slug: string) => newTenant(stage.system.url, stage.system.adminKey, slug)
  const tell = async (what: string, request: string) => {
    const response = await fetch(`${stage.system.url}/v1/oauth/meta/${what}`, { method: 'POST', body: new URLSearchParams({ signed_request: request }) })
    // biome-ignore lint/suspicious/noExplicitAny: an answer of the API
    return { status: response.status, body: (await response.json()) as any }
  }

  describe('connecting Meta', () => {
    test('Facebook Login for Business gives a system user’s token without an end, and says whose', async () => {
      const { client } = await own('flb')
      const { connectionId, accounts } = await connectMeta(client, stage.system.twin, [DEMO_ACCOUNT], 'business')
      expect(await client.get(`/v1/connections/${connectionId}`)).toMatchObject({
        status: 'active',
        statusReason: null,
        expiresAt: null,
        renewAt: null,
        businessId: accounts.get(DEMO_ACCOUNT).business.id,
      })
      const check = await client.post(`/v1/connections/${connectionId}/check`)
      expect(check).toMatchObject({ ok: true, status: 'active' })
    })

    test('a person who declines what the main job needs is told which permission, and nothing is connected', async () => {
      const { client } = await own('declines')
      const { id, authorizeUrl } = await client.post('/v1/connections', { destination: 'meta', login: 'classic', returnUrl: RETURN_URL })
      const back = await comeBack(await stage.system.twin.authorize(authorizeUrl, { decline: ['ads_management'] }))
      expect(Object.fromEntries(back.searchParams)).toMatchObject({ connection: id, status: 'failed', code: 'permission_denied' })
      expect(await client.get(`/v1/connections/${id}`)).toMatchObject({ status: 'failed', statusReason: { detail: 'Not granted: ads_management.' } })
    })

    test('an account without signed terms is refused with the link to sign at', async () => {
      const { client } = await own('unsigned')
      const { accounts } = await connectMeta(client, stage.system.twin, ['1000000000000002'])
      const account = accounts.get('1000000000000002')
      expect(account).toMatchObject({ termsSigned: false, termsUrl: expect.stringContaining('customaudiences/tos/?act=1000000000000002') })
      const behavior = await createBehavior(client, 'unsigned')
      const answer = await client.ask('POST', '/v1/audiences', { behaviorId: behavior, destination: 'meta', accountId: account.id, name: 'Unsigned' })
      expect(answer).toMatchObject({ status: 409, body: { code: 'terms_not_signed', detail: expect.stringContaining(account.termsUrl) } })
    })

    test('access taken back at Meta revokes the connection; the audience says what to do, and after a reconnect goes on with the same people', async () => {
      const { client } = await own('taken-back')
      const { twin } = stage.system
      const { connectionId, accounts } = await connectMeta(client, twin, [DEMO_ACCOUNT], 'business')
      const behavior = await createBehavior(client, 'taken-back')
      await ingest(client, people(0, SIZE + 10).map(customer))
      await members(client, behavior, people(0, SIZE).map(joins))
      const made = await createAudience(client, behavior, accounts.get(DEMO_ACCOUNT).id)
      await waitRun(client, made.lastRun.id)
      const { externalId } = await client.get(`/v1/audiences/${made.id}`)

      expect(await tell('deauthorize', signedRequest(SYSTEM_USER, 'another secret'))).toMatchObject({ status: 403, body: { code: 'notice_signature_invalid' } })
      expect((await client.get(`/v1/connections/${connectionId}`)).status).toBe('active')
      const told = await tell('deauthorize', signedRequest(SYSTEM_USER))
      expect(told.status).toBe(200)
      expect(told.body.connections).toBeGreaterThanOrEqual(1)
      expect(await client.get(`/v1/connections/${connectionId}`)).toMatchObject({ status: 'revoked', statusReason: { code: 'connection_revoked' } })

      await members(client, behavior, people(SIZE, SIZE + 10).map(joins))
      const asked = await refresh(client, made.id)
      await waitRun(client, asked.id, ['waiting'])
      const stopped = await until('the audience says so', async () => {
        const now = await client.get(`/v1/audiences/${made.id}`)
        return now.status === 'error' && now
      })
      expect(stopped.statusReason).toMatchObject({ code: 'connection_revoked', solution: expect.stringContaining('reconnect') })

      const { authorizeUrl } = await client.post(`/v1/connections/${connectionId}/reconnect`, { login: 'business', returnUrl: RETURN_URL })
      expect((await comeBack(await twin.authorize(authorizeUrl))).searchParams.get('status')).toBe('active')
      expect(await waitRun(client, asked.id)).toMatchObject({ status: 'completed', counts: { added: 10 } })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(0, SIZE + 10)))
    })

    test('a person who asks Meta to be forgotten gets a code under which they can read that it was done', async () => {
      const { client } = await own('forgotten')
      const { connectionId } = await connectMeta(client, stage.system.twin, [DEMO_ACCOUNT], 'business')
      const { status, body } = await tell('data-deletion', signedRequest(SYSTEM_USER))
      expect({ status, body }).toEqual({ status: 200, body: { url: expect.stringContaining(body.confirmation_code), confirmation_code: expect.any(String) } })
      expect((await client.get(`/v1/connections/${connectionId}`)).status).toBe('revoked')
      const page = await fetch(new URL(new URL(body.url).pathname, stage.system.url))
      expect(await page.json()).toMatchObject({ status: 'completed', destination: 'meta' })
    })
  })
}
