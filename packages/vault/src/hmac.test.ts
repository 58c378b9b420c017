import { createHmac, randomBytes } from 'node:crypto'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { hmacSha256 } from './hmac.ts'

test('is the HMAC of the standard library', () => {
  for (const length of [0, 1, 32, 64]) {
    const key = randomBytes(length)
    const hmac = hmacSha256(key)
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => expect(hmac(text)).toEqual(createHmac('sha256', key).update(text).digest())))
  }
})

test('texts of any length leave nothing for the next', () => {
  const key = randomBytes(32)
  const hmac = hmacSha256(key)
  for (const text of ['short', 'ä'.repeat(5_000), 'x'.repeat(600), '', 'short']) expect(hmac(text)).toEqual(createHmac('sha256', key).update(text).digest())
})

test('a key longer than a block is refused', () => {
  expect(() => hmacSha256(randomBytes(65))).toThrow(RangeError)
})
