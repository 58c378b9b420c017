import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { auditTarget, isPlainPath } from './path.ts'

test('ordinary paths and encoded customer ids may pass', () => {
  for (const path of ['/v1/audiences', '/v1/audiences/', '/v1/customers/a%2Fb', '/v1/customers/ann%40example.com', '/v1/behaviors/b...c', '/v1/x/100%25'])
    expect([path, isPlainPath(path)]).toEqual([path, true])
})

test('whatever could climb out of its prefix may not', () => {
  const climbers = [
    '/v1/audiences/../../internal',
    '/v1/audiences/..',
    '/v1/audiences/%2e%2e/%2E%2E/internal',
    '/v1/audiences/.%2e/x',
    '/v1/audiences/x\\..\\..\\internal',
  ]
  const encoded = [
    '/v1/audiences/..%2f..%2finternal',
    '/v1/audiences/..%5c..%5cinternal',
    '/v1/audiences/%252e%252e%252finternal',
    '/v1/audiences/x%2f..%2f..%2finternal',
  ]
  const odd = [
    '//v1/audiences',
    '/v1//audiences',
    'http://h/v1/audiences',
    '/v1/audiences/%00',
    '/v1/audiences/%zz',
    '/v1/audiences/%ff',
    '/v1/a%0d%0ab',
    '/v1/a b',
    '/v1/a#b',
    '',
  ]
  for (const path of [...climbers, ...encoded, ...odd]) expect([path, isPlainPath(path)]).toEqual([path, false])
})

test('a path that may pass keeps its prefix for every parser', () => {
  const part = fc.constantFrom('..', '.', '%2e', '%2E', '%252e', '%2f', '%5c', '\\', '/', 'a', '%', '2e', ';', '%00', 'internal')
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const path = `/v1/audiences/${parts.join('')}`
      if (!isPlainPath(path)) return
      const seen = new URL(path, 'http://service').pathname
      expect(seen.startsWith('/v1/audiences/')).toBe(true)
      expect(new URL(decodeURIComponent(seen), 'http://service').pathname.startsWith('/v1/audiences/')).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})

test('what is written down keeps words and ids and hides what may name a person', () => {
  const id = 'aud_01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'
  expect(auditTarget(`/v1/audiences/${id}/refresh?x=ann@example.com`)).toBe(`/v1/audiences/${id}/refresh`)
  expect(auditTarget('/v1/customers/ann')).toMatch(/^\/v1\/customers\/sha256:[0-9a-f]{16}$/)
  expect(auditTarget(`/v1/audiences/${id}/members/ann%40example.com`)).toMatch(/members\/sha256:[0-9a-f]{16}$/)
  expect(auditTarget('/v1/behaviors/BIG-Spenders')).not.toContain('Spenders')
})
