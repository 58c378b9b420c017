import { createLogger } from '@audience-sync/service/log'
import { generateServiceTokens } from '@audience-sync/service/tokens'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { makeApiKey, type NewKey } from '../src/api-key.ts'
import { type Authenticator, authenticator } from '../src/authenticator.ts'
import { jwtVerifier } from '../src/jwt.ts'
import { insertKey, revokeKey } from '../src/key-store.ts'
import { TokenBuckets } from '../src/rate-limit.ts'
import { serviceCredentials } from '../src/service-credentials.ts'
import { createTenant, ensureDemoTenant } from '../src/tenants.ts'

const [A, B] = ['01932f1c-7a4e-7cc1-9b1f-00000000000a', '01932f1c-7a4e-7cc1-9b1f-00000000000b'] as const
const FROM = { id: 'req_1', ip: '127.0.0.1', method: 'GET', url: '/v1/audiences' }
const log = createLogger({ name: 'gateway', level: 'silent' })
let database: TestDatabase
let now = Date.now()
beforeAll(async () => {
  database = await testDatabase()
  const db = database.as('gateway', 2)
  for (const id of [A, B]) await db.tenant(id, (tx) => createTenant(tx, { id, slug: `t-${id.slice(-1)}`, name: 'T', defaultCountry: null, limits: {} }))
})
afterAll(() => database.drop())

async function storedKey(tenantId: string): Promise<NewKey> {
  const key = makeApiKey('test')
  await database.as('gateway', 1).tenant(tenantId, (tx) => insertKey(tx, { tenantId, key, name: 'k', scopes: ['audiences:read'], lifetimeDays: 30 }))
  return key
}

function pod(): Authenticator {
  return authenticator({
    db: database.as('gateway', 4),
    log,
    buckets: new TokenBuckets(),
    mode: 'test',
    jwt: jwtVerifier([]),
    loginRate: { policy: 'login', perSecond: 1, burst: 10 },
    onSuccess() {},
    onFailure() {},
    now: () => now,
  })
}

test('a revocation is seen by the other pods within a minute, and by the pod that made it at once', async () => {
  const key = await storedKey(A)
  const [first, second] = [pod(), pod()]
  for (const each of [first, second]) expect((await each.authenticate(key.text, FROM)).tenantId).toBe(A)
  await database.as('gateway', 1).tenant(A, (tx) => revokeKey(tx, key.id))
  first.forgetKey(key.id)
  await expect(first.authenticate(key.text, FROM)).rejects.toMatchObject({ code: 'unauthenticated' })
  now += 60_000
  await expect(second.authenticate(key.text, FROM)).rejects.toMatchObject({ code: 'unauthenticated' })
})

test('a key ends at its hour although a pod still knows it', async () => {
  const key = await storedKey(A)
  const one = pod()
  await one.authenticate(key.text, FROM)
  await database.admin(`UPDATE gateway.api_key SET expires_at = $2 WHERE id = $1`, [key.id, new Date(now + 10_000)])
  one.forgetKey(key.id)
  await one.authenticate(key.text, FROM)
  now += 10_000
  await expect(one.authenticate(key.text, FROM)).rejects.toMatchObject({ code: 'unauthenticated' })
})

test('the last use of a key is noted', async () => {
  const key = await storedKey(A)
  await pod().authenticate(key.text, FROM)
  await until('the note', async () => (await database.admin('SELECT 1 FROM gateway.api_key WHERE id = $1 AND last_used_at IS NOT NULL', [key.id]))[0])
})

test('without a tenant the service sees no key; by naming one it reads that one and changes none', async () => {
  const [mine] = [await storedKey(A), await storedKey(B)]
  const db = database.as('gateway', 1)
  const count = (sql: string) => db.tx(async (tx) => (await tx.query(sql)).rowCount)
  expect(await count('SELECT * FROM api_key')).toBe(0)
  expect(await count('SELECT * FROM tenant')).toBe(0)
  const named = `SELECT set_config('app.key_id', '${mine.id}', true)`
  const rows = await db.tx(async (tx) => {
    await tx.query(named)
    return (await tx.query('SELECT id FROM api_key')).rows
  })
  expect(rows).toEqual([{ id: mine.id }])
  const changed = await db.tx(async (tx) => {
    await tx.query(named)
    return (await tx.query(`UPDATE api_key SET revoked_at = now()`)).rowCount
  })
  expect(changed).toBe(0)
  expect((await db.tenant(B, (tx) => tx.query('SELECT DISTINCT tenant_id FROM api_key'))).rows).toEqual([{ tenant_id: B }])
  await expect(db.tenant(B, (tx) => insertKey(tx, { tenantId: A, key: makeApiKey('test'), name: 'x', scopes: [], lifetimeDays: 1 }))).rejects.toMatchObject({
    code: '42501',
  })
})

test('pods that start together make one demo tenant and tell of it once', async () => {
  const db = database.as('gateway', 8)
  await Promise.all(Array.from({ length: 8 }, () => ensureDemoTenant(db, { read: 5000 })))
  const events = await database.admin(`SELECT 1 FROM gateway.outbox o JOIN gateway.tenant t ON t.id = o.tenant_id WHERE t.slug = 'demo'`)
  expect(events).toHaveLength(1)
})

test('a service token is used again for one caller and one service for half a minute, never for another', async () => {
  let at = Date.now()
  const tokens = await generateServiceTokens(['gateway', 'audiences', 'connections'] as const)
  const credentials = serviceCredentials(tokens.gateway, () => at)
  const caller = { tenantId: A, subject: 'key_1', scopes: ['audiences:read'] }
  const first = await credentials('audiences', caller)
  expect(await credentials('audiences', caller)).toBe(first)
  const others = [
    { ...caller, tenantId: B },
    { ...caller, subject: 'key_2' },
    { ...caller, scopes: ['audiences:write'] },
  ]
  for (const other of others) expect(await credentials('audiences', other)).not.toBe(first)
  expect(await tokens.audiences.verify(first)).toMatchObject({ ...caller, issuer: 'gateway' })
  await expect(tokens.connections.verify(first)).rejects.toMatchObject({ code: 'unauthenticated' })
  at += 31_000
  await credentials('audiences', caller) // signed anew, or it would end while a request waits
})
