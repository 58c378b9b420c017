import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { makeApiKey, parseApiKey, sameDigest, sha256 } from './api-key.ts'

test('a key is read back as the id and the digest that were stored', () => {
  const key = makeApiKey('live')
  expect(key.text).toMatch(/^audsync_live_[0-9A-Za-z]{12}_[0-9A-Za-z_-]{43}_[0-9A-Za-z]{6}$/)
  const parsed = parseApiKey(key.text, 'live')
  expect(parsed?.id).toBe(key.id)
  expect(parsed && sameDigest(parsed.secretSha256, key.secretSha256)).toBe(true)
})

test('one changed character anywhere is noticed by the checksum', () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom('A', 'b', '7'), (at, replacement) => {
      const { text } = makeApiKey('test')
      const i = at % text.length
      if (text[i] === replacement) return
      expect(parseApiKey(text.slice(0, i) + replacement + text.slice(i + 1), 'test')).toBeUndefined()
    }),
  )
})

test('a key of another mode, a cut key and nonsense are refused', () => {
  const { text } = makeApiKey('test')
  for (const bad of [text.slice(0, -1), `${text}x`, ` ${text}`, '', 'audsync_test_', 'x'.repeat(10_000)]) expect(parseApiKey(bad, 'test')).toBeUndefined()
  expect(parseApiKey(text, 'live')).toBeUndefined()
})

test('digests of other lengths are different, not an exception', () => {
  expect(sameDigest(sha256('a'), Buffer.alloc(4))).toBe(false)
})
