import { describe, expect, test } from '@jest/globals'
import { checkReturnUrl, returnTo } from './return-url.ts'

const production = { allowed: ['https://app.example.com/connected'], loopback: false }
const sandbox = { allowed: [], loopback: true }

describe('a return URL', () => {
  test('on the list is taken, with the caller’s query', () => {
    expect(checkReturnUrl('https://app.example.com/connected?tab=2', production)).toBe('https://app.example.com/connected?tab=2')
  })

  test.each([
    'https://app.example.com/',
    'https://app.example.com/connected/',
    'https://app.example.com.evil.test/connected',
    'https://app.example.com:8443/connected',
    'http://app.example.com/connected',
    'https://user@app.example.com/connected',
    'https://evil.test/?https://app.example.com/connected',
    'https://app.example.com/connected#token',
    'javascript:alert(1)',
    'http://127.0.0.1:3000/done',
    'nonsense',
  ])('not on the list is refused: %s', (url) => {
    expect(() => checkReturnUrl(url, production)).toThrow('not one that this installation allows')
  })

  test.each(['http://127.0.0.1:3000/done', 'http://localhost/x?y=1', 'http://[::1]:8080/', 'http://2130706433/', 'https://127.9.9.9/'])(
    'of this machine is taken in the sandbox: %s',
    (url) => expect(checkReturnUrl(url, sandbox)).toBe(new URL(url).href),
  )

  test.each(['http://localhost.evil.test/', 'http://127.0.0.1.evil.test/', 'http://10.0.0.1/', 'file:///etc/passwd', 'data:text/html,127.0.0.1'])(
    'of another machine is refused in the sandbox: %s',
    (url) => expect(() => checkReturnUrl(url, sandbox)).toThrow('not one that this installation allows'),
  )

  test('keeps its query and carries the outcome', () => {
    expect(returnTo('https://a.test/b?status=old&x=1', { connection: 'con_1', status: 'active' })).toBe('https://a.test/b?status=active&x=1&connection=con_1')
  })
})
