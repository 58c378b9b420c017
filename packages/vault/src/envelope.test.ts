import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { aad, open, openText, seal, sealText, VaultError } from './envelope.ts'
import { parseKeks, unwrap, wrap } from './keks.ts'

const dek = { id: 'dek_1', key: randomBytes(32) }
const tenantA = aad('cred', 'tenant-a', 'connection-1', 'access_token', dek.id)

describe('a sealed value', () => {
  test('opens with its key and its place, whatever its length', () => {
    for (const length of [0, 1, 15, 16, 17, 4_096]) {
      const plaintext = randomBytes(length)
      const sealed = seal(dek.key, plaintext, tenantA)
      expect(sealed).toHaveLength(length + 29)
      expect(open(dek.key, sealed, tenantA).equals(plaintext)).toBe(true)
    }
  })

  test('does not open when any single bit of it is flipped', () => {
    const sealed = seal(dek.key, Buffer.from('EAAB-secret'), tenantA)
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const altered = Buffer.from(sealed)
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => open(dek.key, altered, tenantA)).toThrow(VaultError)
    }
  })

  test('does not open when its tag is cut, by any number of bytes', () => {
    const sealed = seal(dek.key, Buffer.from('EAAB-secret'), tenantA)
    for (let cut = 1; cut < sealed.length; cut += 1) expect(() => open(dek.key, sealed.subarray(0, -cut), tenantA)).toThrow(VaultError)
    const [version, id, iv, ciphertext, tag = ''] = sealText(dek, 'EAAB-secret', tenantA).split('.')
    for (let bytes = 0; bytes < 16; bytes += 1) {
      const short = Buffer.from(tag, 'base64url').subarray(0, bytes).toString('base64url')
      expect(() => openText(dek, [version, id, iv, ciphertext, short].join('.'), tenantA)).toThrow(VaultError)
    }
  })

  test('does not open in another tenant, connection, field or under another key', () => {
    const text = sealText(dek, 'EAAB-secret', tenantA)
    expect(openText(dek, text, tenantA)).toBe('EAAB-secret')
    for (const place of [
      aad('cred', 'tenant-b', 'connection-1', 'access_token', dek.id),
      aad('cred', 'tenant-a', 'connection-2', 'access_token', dek.id),
      aad('cred', 'tenant-a', 'connection-1', 'refresh_token', dek.id),
    ])
      expect(() => openText(dek, text, place)).toThrow(VaultError)
    expect(() => openText({ id: dek.id, key: randomBytes(32) }, text, tenantA)).toThrow(VaultError)
    expect(() => openText({ ...dek, id: 'dek_2' }, text, tenantA)).toThrow(VaultError)
  })

  test('never looks the same twice', () => {
    expect(sealText(dek, 'same', tenantA)).not.toBe(sealText(dek, 'same', tenantA))
  })

  test.each(['', 'EAAB-plain', 'v1.a.b', 'v2.dek_1.a.b.c'])('is never taken from plaintext: %j is refused', (text) => {
    expect(() => openText(dek, text, tenantA)).toThrow(VaultError)
  })
})

test('associated data cannot be forged by a part that contains the separator', () => {
  expect(() => aad('cred', 'a|b')).toThrow(VaultError)
})

describe('key-encryption keys', () => {
  const entry = (id: string) => `${id}:${randomBytes(32).toString('base64url')}`

  test('missing or malformed ones are refused', () => {
    for (const text of [undefined, '', ' ', 'kek_a', 'kek_a:', `kek_a:${randomBytes(31).toString('base64url')}`, `a:${randomBytes(32).toString('base64url')}`])
      expect(() => parseKeks(text)).toThrow(VaultError)
    expect(() => parseKeks(`${entry('kek_a')},${entry('kek_a')}`)).toThrow(VaultError)
  })

  test('the first wraps, the others still unwrap; a wrapped key opens for its own tenant only', () => {
    const old = entry('kek_old')
    const wrapped = wrap(parseKeks(old).current, 'tenant-a', dek)
    const both = parseKeks(`${entry('kek_new')},${old}`)
    expect(both.current.id).toBe('kek_new')
    expect(unwrap(both, 'kek_old', 'tenant-a', dek.id, wrapped).key.equals(dek.key)).toBe(true)
    expect(() => unwrap(both, 'kek_old', 'tenant-b', dek.id, wrapped)).toThrow(VaultError)
    expect(() => unwrap(parseKeks(entry('kek_new')), 'kek_old', 'tenant-a', dek.id, wrapped)).toThrow('not configured')
  })
})
