import { createHmac } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { readSignedRequest } from './signed-request.ts'

const secret = 'app-secret'
const encoded = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const signed = (payload: string, by = secret) => `${createHmac('sha256', by).update(payload).digest('base64url')}.${payload}`

describe('a signed request of Meta', () => {
  test('a request that was signed elsewhere is read: HMAC-SHA256 of the part as sent, computed with openssl', () => {
    // printf %s eyJhbGdvcml0aG0iOiJITUFDLVNIQTI1NiIsImlzc3VlZF9hdCI6MTc5NTQ0ODMwNSwidXNlcl9pZCI6IjIxODQ3MSJ9 | openssl dgst -sha256 -hmac app-secret -binary | basenc --base64url
    const payload = 'eyJhbGdvcml0aG0iOiJITUFDLVNIQTI1NiIsImlzc3VlZF9hdCI6MTc5NTQ0ODMwNSwidXNlcl9pZCI6IjIxODQ3MSJ9'
    const signature = 'CVv2T6XPNCRBIR0QGWn1tosS9G7iCVKUoJEp7lzR7wY='
    const expected = { subject: '218471', issuedAt: new Date(1_795_448_305_000) }
    expect(readSignedRequest(`${signature}.${payload}`, secret)).toEqual(expected)
    expect(readSignedRequest(`${signature.replace(/=+$/, '')}.${payload}`, secret)).toEqual(expected) // padding is optional
  })

  test('the part is signed as it was sent, not as it would be written again', () => {
    const payload = encoded('{ "user_id" : "1",  "algorithm":"HMAC-SHA256" }')
    expect(readSignedRequest(signed(payload), secret)).toEqual({ subject: '1', issuedAt: null })
    expect(readSignedRequest(`${signed(payload).split('.')[0]}.${encoded({ user_id: '1', algorithm: 'HMAC-SHA256' })}`, secret)).toBeNull()
  })

  test.each([
    ['another secret', signed(encoded({ user_id: '1' }), 'other')],
    ['no signature', `.${encoded({ user_id: '1' })}`],
    ['a short signature', `AAAA.${encoded({ user_id: '1' })}`],
    ['a third part', `${signed(encoded({ user_id: '1' }))}.x`],
    ['another algorithm', signed(encoded({ user_id: '1', algorithm: 'none' }))],
    ['nobody named', signed(encoded({ algorithm: 'HMAC-SHA256' }))],
    ['an empty id', signed(encoded({ user_id: '' }))],
    ['no JSON', signed(encoded('{'))],
    ['a list', signed(encoded([1]))],
    ['too long', signed(encoded({ user_id: '1', more: 'x'.repeat(9_000) }))],
    ['nothing', ''],
  ])('%s is not taken', (_, text) => {
    expect(readSignedRequest(text, secret)).toBeNull()
  })

  test('an id that came as a number is an id', () => {
    expect(readSignedRequest(signed(encoded({ user_id: 218471 })), secret)?.subject).toBe('218471')
  })
})
