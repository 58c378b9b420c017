/** The service as a process of its own, and the Meta adapter against Meta's twin. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { newUuid } from '@audience-sync/contracts/ids'
import { freePort } from '@audience-sync/infra/postgres/server'
import { createServiceTokens, generateServiceKey, type ServiceTokens } from '@audience-sync/service/tokens'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { until } from '@audience-sync/testing/until'
import { createMetaTwin, type MetaTwin } from '@audience-sync/twin-meta/twin'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'

const APP = { appId: '4000000000000001', appSecret: 'app-secret-1' }
const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const tenant = newUuid()

let database: TestDatabase
let twin: MetaTwin
let tokens: ServiceTokens
let env: Record<string, string>
let child: ChildProcess | undefined
let output = ''

beforeAll(async () => {
  database = await testDatabase()
  twin = await createMetaTwin({ ...APP, port: 0, requireAppSecretProof: true })
  const [gateway, own] = await Promise.all([generateServiceKey('gateway'), generateServiceKey('connections')])
  const jwks = { keys: [gateway.publicJwk, own.publicJwk] }
  tokens = createServiceTokens({ name: 'gateway', privateJwk: gateway.privateJwk, jwks })
  env = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: database.url('connections'),
    BUS: 'embedded',
    PORT: String(await freePort()),
    SERVICE_KEY: JSON.stringify(own.privateJwk),
    SERVICE_JWKS: JSON.stringify(jwks),
    CONNECTIONS_KEK: `kek_a:${randomBytes(32).toString('base64url')}`,
    RETURN_TO_LOOPBACK: 'true',
    META_DIALOG_URL: twin.url,
    META_GRAPH_URL: twin.url,
    META_APP_ID: APP.appId,
    META_APP_SECRET: APP.appSecret,
  }
})
afterEach(async () => {
  child?.kill('SIGKILL')
})
afterAll(async () => {
  await twin.close()
  await database.drop()
})

/** Answers the exit code once it has ended. */
function run(over: Record<string, string> = {}): Promise<number | null> {
  output = ''
  const started = spawn(process.execPath, ['--conditions=@audience-sync/source', '--disable-warning=ExperimentalWarning', MAIN], { env: { ...env, ...over } })
  for (const stream of [started.stdout, started.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  child = started
  return new Promise((resolve) => started.once('exit', resolve))
}

async function call(method: string, path: string, body?: unknown) {
  const token = await tokens.sign('connections', { tenantId: tenant, subject: 'key_1', scopes: ['connections:read', 'connections:write', 'internal'] })
  const headers = { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) }
  const response = await fetch(`http://127.0.0.1:${env.PORT}${path}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) })
  const text = await response.text()
  return { status: response.status, body: text ? JSON.parse(text) : undefined }
}

test.each([
  ['missing', ''],
  ['malformed', 'kek_a:short'],
])('without a usable key-encryption key (%s) it does not start', async (_what, kek) => {
  expect(await run({ CONNECTIONS_KEK: kek })).toBeGreaterThan(0)
  expect(output).toMatch(/CONNECTIONS_KEK|failed to start/)
})

test('Meta from consent to deletion: long-lived token, accounts with terms, check, grant with proof, withdrawal, reconnect, revocation', async () => {
  const ended = run()
  await until('the service is ready', async () => (await fetch(`http://127.0.0.1:${env.PORT}/readyz`)).ok)
  const begun = await call('POST', '/v1/connections', { destination: 'meta', returnUrl: 'http://127.0.0.1:3000/done' })
  expect(begun.status).toBe(201)
  const follow = async (authorizeUrl: string, choice = {}) => {
    const callback = new URL(twin.authorize(authorizeUrl, choice))
    const response = await fetch(`http://127.0.0.1:${env.PORT}${callback.pathname}${callback.search}`, { redirect: 'manual' })
    return new URL(response.headers.get('location') ?? '').searchParams
  }
  expect((await follow(begun.body.authorizeUrl, { deny: true })).get('code')).toBe('authorization_denied')

  const { id } = begun.body
  const reconnect = async (choice = {}) => {
    const again = await call('POST', `/v1/connections/${id}/reconnect`, { returnUrl: 'http://127.0.0.1:3000/done' })
    return follow(again.body.authorizeUrl, choice)
  }
  expect((await reconnect({ decline: ['ads_management'] })).get('code')).toBe('permission_denied')
  expect(Object.fromEntries(await reconnect())).toEqual({ connection: id, status: 'active' })
  const { body: connection } = await call('GET', `/v1/connections/${id}`)
  const days = (time: string) => Math.round((Date.parse(time) - Date.now()) / 86_400_000)
  expect([days(connection.expiresAt), days(connection.renewAt)]).toEqual([60, 45])

  const { data } = (await call('GET', `/v1/connections/${id}/accounts`)).body
  expect(data).toHaveLength(4)
  const selected = await call('PUT', `/v1/connections/${id}/accounts`, { selected: ['1000000000000001', '1000000000000002'] })
  const accountId = (externalId: string) => selected.body.data.find((one: { externalId: string }) => one.externalId === externalId).id
  const { body: check } = await call('POST', `/v1/connections/${id}/check`)
  const wrong = check.checks.filter(({ ok }: { ok: boolean }) => !ok)
  expect(wrong).toEqual([
    expect.objectContaining({ accountId: accountId('1000000000000002'), code: 'terms_not_signed', link: expect.stringContaining('act=1000000000000002') }),
  ])

  const grant = (externalId: string) => call('POST', `/internal/v1/accounts/${accountId(externalId)}/grant`)
  expect((await grant('1000000000000002')).body.code).toBe('terms_not_signed')
  const { body: granted } = await grant('1000000000000001')
  const me = await fetch(`${twin.url}/v26.0/me/adaccounts?fields=account_id&appsecret_proof=${granted.proof}`, {
    headers: { authorization: `Bearer ${granted.accessToken}` },
  })
  expect(me.status).toBe(200)

  await database.admin('UPDATE connections.credential SET renew_at = now()')
  expect((await grant('1000000000000001')).body.version).toBe(granted.version + 1)

  twin.clock.advance(61 * 86_400_000)
  await call('POST', `/internal/v1/connections/${id}/report`, { version: granted.version + 1, problem: 'token_dead', platform: { code: '190' } })
  expect((await call('GET', `/v1/connections/${id}`)).body).toMatchObject({ status: 'expired', statusReason: { code: 'connection_expired' } })
  await reconnect()
  const { body: fresh } = await grant('1000000000000001')
  expect(fresh.version).toBe(granted.version + 2)

  expect((await call('DELETE', `/v1/connections/${id}`)).status).toBe(204)
  const after = await fetch(`${twin.url}/v26.0/me/permissions?appsecret_proof=${fresh.proof}`, { headers: { authorization: `Bearer ${fresh.accessToken}` } })
  expect(after.status).toBe(400)
  expect(await database.admin('SELECT 1 FROM connections.credential')).toEqual([])
  for (const secret of [granted.accessToken, fresh.accessToken, APP.appSecret, fresh.proof]) expect(output).not.toContain(secret)

  child?.kill('SIGTERM')
  expect(await ended).toBe(0)
})
