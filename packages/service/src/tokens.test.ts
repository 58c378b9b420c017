import { describe, expect, test } from '@jest/globals'
import { importJWK, SignJWT } from 'jose'
import { createServiceTokens, generateServiceKey, generateServiceTokens } from './tokens.ts'

const TENANT = '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'
const claims = { tenantId: TENANT, subject: 'key_1', scopes: ['audiences:read', 'syncs:write'], requestId: 'req_1' }
const refused = { code: 'unauthenticated' }

const gateway = await generateServiceKey('gateway')
const audiences = await generateServiceKey('audiences')
const jwks = { keys: [gateway.publicJwk, audiences.publicJwk] }
const at = (time: string) => () => new Date(time)
const signer = createServiceTokens({ name: 'gateway', privateJwk: gateway.privateJwk, jwks, now: at('2026-11-01T10:00:00Z') })
const verifier = (time: string) => createServiceTokens({ name: 'audiences', privateJwk: audiences.privateJwk, jwks, now: at(time) })

/** A token made by hand, to get it wrong in one place. */
async function forged(header: object, payload: object, privateJwk = gateway.privateJwk): Promise<string> {
  const now = Math.floor(Date.parse('2026-11-01T10:00:00Z') / 1000)
  const good = { iss: 'gateway', sub: 'key_1', aud: 'audiences', tenant: TENANT, scope: 'internal', iat: now, exp: now + 60 }
  return new SignJWT({ ...good, ...payload })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: gateway.privateJwk.kid ?? '', ...header })
    .sign(await importJWK(privateJwk, 'EdDSA'))
}

describe('a service token', () => {
  test('says for whom, with which scopes, by whom and under which request id', async () => {
    const auth = await verifier('2026-11-01T10:00:01Z').verify(await signer.sign('audiences', claims))
    expect(auth).toEqual({ tenantId: TENANT, subject: 'key_1', scopes: ['audiences:read', 'syncs:write'], issuer: 'gateway', requestId: 'req_1' })
  })

  test('lives a minute, and half a minute more for clocks that disagree', async () => {
    const token = await signer.sign('audiences', claims)
    await expect(verifier('2026-11-01T10:01:25Z').verify(token)).resolves.toMatchObject({ subject: 'key_1' })
    await expect(verifier('2026-11-01T10:01:35Z').verify(token)).rejects.toMatchObject(refused)
    await expect(verifier('2026-11-01T09:59:35Z').verify(token)).resolves.toMatchObject({ subject: 'key_1' })
    await expect(verifier('2026-11-01T09:59:20Z').verify(token)).rejects.toMatchObject(refused)
  })

  test('is for one service only', async () => {
    await expect(verifier('2026-11-01T10:00:00Z').verify(await signer.sign('connections', claims))).rejects.toMatchObject(refused)
  })

  test('is refused when it is forged, altered or empty', async () => {
    const verify = verifier('2026-11-01T10:00:00Z').verify
    await expect(verify(await forged({}, {}))).resolves.toMatchObject({ issuer: 'gateway' })
    const stranger = await generateServiceKey('gateway')
    const bad: Record<string, string> = {
      'another type': await forged({ typ: 'JWT' }, {}),
      'a tenant that is none': await forged({}, { tenant: '1' }),
      'no tenant': await forged({}, { tenant: undefined }),
      'no expiry': await forged({}, { exp: undefined, iat: undefined }),
      'a life of an hour': await forged(
        {},
        { iat: Math.floor(Date.parse('2026-11-01T09:30:00Z') / 1000), exp: Math.floor(Date.parse('2026-11-01T10:30:00Z') / 1000) },
      ),
      'an unknown key': await forged({ kid: stranger.privateJwk.kid ?? '' }, {}, stranger.privateJwk),
      'another key under a known id': await forged({}, {}, stranger.privateJwk),
      'the key of another service': await forged({ kid: audiences.privateJwk.kid ?? '' }, {}, audiences.privateJwk),
      'no signature': `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${Buffer.from('{"iss":"gateway"}').toString('base64url')}.`,
      'an altered payload': (await forged({}, {})).replace(/\.[^.]+\./, `.${Buffer.from('{}').toString('base64url')}.`),
      nothing: '',
    }
    for (const [what, token] of Object.entries(bad)) await expect([what, await verify(token).catch((error) => error.code)]).toEqual([what, 'unauthenticated'])
  })

  test('signed with a shared secret instead of the key is refused', async () => {
    const token = await new SignJWT({ iss: 'gateway', sub: 'x', aud: 'audiences', tenant: TENANT, scope: 'internal' })
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: gateway.publicJwk.kid ?? '' })
      .setIssuedAt()
      .setExpirationTime('60s')
      .sign(Buffer.from(gateway.publicJwk.x ?? ''))
    await expect(verifier(new Date().toISOString()).verify(token)).rejects.toMatchObject(refused)
  })
})

test('services of one process trust each other, each under its own name', async () => {
  const tokens = await generateServiceTokens(['connections', 'audiences'])
  const token = await tokens.audiences.sign('connections', { tenantId: TENANT, subject: 'audiences', scopes: ['internal'] })
  await expect(tokens.connections.verify(token)).resolves.toEqual({
    tenantId: TENANT,
    subject: 'audiences',
    scopes: ['internal'],
    issuer: 'audiences',
    requestId: undefined,
  })
})
