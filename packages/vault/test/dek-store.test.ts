import { randomBytes } from 'node:crypto'
import { newUuid } from '@audience-sync/contracts/ids'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createDekStore } from '../src/dek-store.ts'
import { aad, openText, sealText, VaultError } from '../src/envelope.ts'
import { parseKeks } from '../src/keks.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const kek = (id: string) => `${id}:${randomBytes(32).toString('base64url')}`
const usual = kek('kek_a')

test('twenty first users of a tenant make one key', async () => {
  const db = database.as('connections', 20)
  const tenant = newUuid()
  const keks = parseKeks(usual)
  const deks = await Promise.all(Array.from({ length: 20 }, () => createDekStore({ db, keks }).current(tenant)))
  expect(new Set(deks.map(({ id }) => id)).size).toBe(1)
  expect(new Set(deks.map(({ key }) => key.toString('hex'))).size).toBe(1)
})

test('a worn or rotated key only opens, and a retired one not even that', async () => {
  const db = database.as('connections')
  const tenant = newUuid()
  let clock = 0
  const store = createDekStore({ db, keks: parseKeks(usual), now: () => clock })
  const first = await store.current(tenant)
  await database.admin(`UPDATE connections.dek SET created_at = now() - interval '91 days' WHERE id = $1`, [first.id])
  clock += 5 * 60_000
  const second = await store.current(tenant)
  expect(second.id).not.toBe(first.id)
  await store.rotate(tenant)
  const third = await store.current(tenant)
  expect([first.id, second.id]).not.toContain(third.id)
  const reopened = await db.tenant(tenant, (tx) => store.byId(tx, tenant, first.id))
  expect(reopened.key.equals(first.key)).toBe(true)
  await store.retire(tenant, first.id) // too early: a process may hold it as its current one
  expect((await db.tenant(tenant, (tx) => store.byId(tx, tenant, first.id))).id).toBe(first.id)
  await database.admin(`UPDATE connections.dek SET superseded_at = now() - interval '11 minutes' WHERE id = $1`, [first.id])
  await store.retire(tenant, first.id)
  await expect(db.tenant(tenant, (tx) => store.byId(tx, tenant, first.id))).rejects.toThrow(VaultError)
})

test('a key is replaced before its uses reach the limit', async () => {
  const db = database.as('connections')
  const tenant = newUuid()
  const store = createDekStore({ db, keks: parseKeks(usual) })
  const first = await store.current(tenant, 2 ** 29)
  const second = await store.current(tenant, 2 ** 29)
  const third = await store.current(tenant, 2 ** 29)
  expect(second.id).toBe(first.id)
  expect(third.id).not.toBe(first.id)
})

test('the key-encryption key changes under readers, and none of them fails', async () => {
  const db = database.as('connections')
  const old = kek('kek_old')
  const tenants = Array.from({ length: 12 }, newUuid)
  const before = createDekStore({ db, keks: parseKeks(old) })
  const sealed = new Map<string, string>()
  for (const tenant of tenants) {
    const dek = await before.current(tenant)
    sealed.set(tenant, sealText(dek, `secret of ${tenant}`, aad('cred', tenant, dek.id)))
  }
  const fresh = kek('kek_new')
  const keks = parseKeks(`${fresh},${old},${usual}`)
  const read = (store: ReturnType<typeof createDekStore>, tenant: string) =>
    db.tenant(tenant, async (tx) => {
      const text = sealed.get(tenant) ?? ''
      const dek = await store.byId(tx, tenant, text.split('.')[1] ?? '')
      return openText(dek, text, aad('cred', tenant, dek.id))
    })
  const rotating = createDekStore({ db, keks }).rewrapAll()
  for (const tenant of tenants) expect(await read(createDekStore({ db, keks }), tenant)).toBe(`secret of ${tenant}`)
  expect(await rotating).toBeGreaterThanOrEqual(tenants.length - 1)
  // Now the old one can go.
  const after = createDekStore({ db, keks: parseKeks(fresh) })
  for (const tenant of tenants) expect(await read(after, tenant)).toBe(`secret of ${tenant}`)
  expect(await createDekStore({ db, keks }).rewrapAll()).toBe(0)
})

test('a tenant never gets the key of another, and a destroyed key is gone', async () => {
  const db = database.as('connections')
  const [mine, theirs] = [newUuid(), newUuid()]
  const store = createDekStore({ db, keks: parseKeks(usual) })
  const dek = await store.current(theirs)
  await expect(db.tenant(mine, (tx) => store.byId(tx, mine, dek.id))).rejects.toThrow(VaultError)
  expect(await db.tenant(mine, async (tx) => (await tx.query('SELECT 1 FROM dek WHERE id = $1', [dek.id])).rowCount)).toBe(0)
  await store.destroy(theirs)
  await expect(db.tenant(theirs, (tx) => store.byId(tx, theirs, dek.id))).rejects.toThrow(VaultError)
  expect((await store.current(theirs)).id).not.toBe(dek.id)
})
