import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { type JwtVerifier, jwtVerifier } from '../src/jwt.ts'

const TENANT = '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'
const ISSUER = 'https://id.example'
let server: Server
let url: string
let fetches = 0
let keys: JWK[] = []
let key: CryptoKey
let verifier: JwtVerifier

beforeAll(async () => {
  const pair = await generateKeyPair('EdDSA', { extractable: true })
  key = pair.privateKey
  keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'EdDSA' }]
  server = createServer((_, res) => {
    fetches += 1
    res.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}/jwks`
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
})
beforeEach(() => {
  fetches = 0
  verifier = jwtVerifier([{ issuer: ISSUER, audience: 'audience-sync', jwksUrl: url }])
})

interface Parts {
  header?: Record<string, unknown>
  claims?: Record<string, unknown>
  lifetime?: number
  issuedAgo?: number
  signWith?: CryptoKey | Uint8Array
}
async function token({ header, claims, lifetime = 600, issuedAgo = 0, signWith = key }: Parts = {}): Promise<string> {
  const iat = Math.floor(Date.now() / 1000) - issuedAgo
  return await new SignJWT({
    iss: ISSUER,
    aud: 'audience-sync',
    sub: 'u1',
    tenant_id: TENANT,
    scope: 'audiences:read syncs:write',
    iat,
    exp: iat + lifetime,
    ...claims,
  })
    .setProtectedHeader({ alg: 'EdDSA', kid: 'k1', typ: 'at+jwt', ...header })
    .sign(signWith)
}
const why = async (parts: Parts) => ((await verifier.verify(await token(parts))) as { why?: string }).why

test('a token of a configured issuer names the tenant, the subject and the scopes', async () => {
  const { identity } = await verifier.verify(await token())
  expect(identity).toMatchObject({ tenantId: TENANT, subject: `jwt:${ISSUER}#u1`, scopes: ['audiences:read', 'syncs:write'] })
})

test('a token without typ at+jwt is refused, so an ID token is no access token', async () => {
  expect(await why({ header: { typ: undefined } })).toBe('ERR_JWT_CLAIM_VALIDATION_FAILED')
  expect(await why({ header: { typ: 'JWT' } })).toBe('ERR_JWT_CLAIM_VALIDATION_FAILED')
})

test('a symmetric algorithm and no algorithm at all are refused', async () => {
  expect(await why({ header: { alg: 'HS256' }, signWith: new TextEncoder().encode(keys[0]?.x ?? '') })).toBe('ERR_JOSE_ALG_NOT_ALLOWED')
  const [, payload] = (await token()).split('.')
  const none = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${payload}.`
  expect((await verifier.verify(none)).identity).toBeUndefined()
})

test('a token that lives longer than 15 minutes, has ended or is not yet valid is refused; 30 s of leeway are given', async () => {
  expect(await why({ lifetime: 901 })).toBe('lives too long')
  expect(await why({ lifetime: 60, issuedAgo: 120 })).toBe('ERR_JWT_EXPIRED')
  expect(await why({ claims: { nbf: Math.floor(Date.now() / 1000) + 120 } })).toBe('ERR_JWT_CLAIM_VALIDATION_FAILED')
  expect(await why({ lifetime: 60, issuedAgo: 80 })).toBeUndefined()
})

test('a claim that is missing or another’s is refused', async () => {
  for (const claims of [{ aud: 'another' }, { exp: undefined }, { tenant_id: undefined }, { sub: undefined }])
    expect(await why({ claims })).toBe('ERR_JWT_CLAIM_VALIDATION_FAILED')
  expect(await why({ claims: { iss: 'https://other.example' } })).toBe('unknown issuer')
  expect(await why({ claims: { tenant_id: 'demo' } })).toBe('tenant claim is not a tenant')
})

test('an issuer that is bound to tenants cannot speak for others', async () => {
  const bound = jwtVerifier([{ issuer: ISSUER, audience: 'audience-sync', jwksUrl: url, tenants: ['01932f1c-7a4e-7cc1-9b1f-000000000000'] }])
  expect(await bound.verify(await token())).toEqual({ why: 'tenant is not of this issuer' })
})

test('keys that the token brings along are ignored', async () => {
  const stranger = await generateKeyPair('EdDSA', { extractable: true })
  const jwk = await exportJWK(stranger.publicKey)
  expect(await why({ header: { jwk }, signWith: stranger.privateKey })).toBe('ERR_JWS_SIGNATURE_VERIFICATION_FAILED')
  let asked = 0
  const evil = createServer((_, res) => {
    asked += 1
    res.end(JSON.stringify({ keys: [{ ...jwk, kid: 'evil' }] }))
  })
  await new Promise<void>((done) => evil.listen(0, '127.0.0.1', done))
  const jku = `http://127.0.0.1:${(evil.address() as { port: number }).port}/`
  expect(await why({ header: { jku, x5u: jku, kid: 'evil' }, signWith: stranger.privateKey })).toBe('ERR_JWKS_NO_MATCHING_KEY')
  await new Promise((done) => evil.close(done))
  expect(asked).toBe(0)
})

test('tokens with unknown key ids do not make us ask the issuer again and again', async () => {
  for (let i = 0; i < 20; i += 1) expect(await why({ header: { kid: `unknown-${i}` } })).toBe('ERR_JWKS_NO_MATCHING_KEY')
  expect(fetches).toBe(1)
})

test('nonsense is refused without an exception', async () => {
  for (const bad of ['', '.', 'a.b.c', 'x'.repeat(100_000)]) expect((await verifier.verify(bad)).identity).toBeUndefined()
})
