import type { Prepared } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { expect, test } from '@jest/globals'
import { count, noFigures, shapeOf } from './normaliser-figures.ts'

const KEYS: readonly KeyDefinition[] = [
  { name: 'EMAIL', form: 'sha256', matchesAlone: true },
  { name: 'PHONE', form: 'sha256', matchesAlone: true },
]
const sent = (...sets: string[][]): Prepared => ({ sets, dropped: [], rejected: null })
const unusable: Prepared = { sets: [], dropped: [], rejected: 'no_usable_identifier' }
const person = (email: string) => ({ customerId: 'c_1', identifiers: { email, phone: '+1 (415) 555-0100' } })

test('people are counted by what becomes of them, keys by what becomes of their values', () => {
  const figures = noFigures()
  count(figures, KEYS, person('Ann@example.com'), sent(['a', 'p']), sent(['a', 'p']))
  count(figures, KEYS, person('Ann+x@example.com'), sent(['b', 'p']), sent(['c', 'p']))
  count(figures, KEYS, person('Bob+y@example.com'), sent(['d', '']), sent(['e', 'q']))
  count(figures, KEYS, person('x'), unusable, sent(['f', '']))
  count(figures, KEYS, person('y'), sent(['g', 'p']), unusable)
  count(figures, KEYS, person('z'), sent(['h', ''], ['i', '']), sent(['i', ''], ['h', '']))
  expect(figures).toMatchObject({
    checked: 6,
    changed: 2,
    becomeUsable: 1,
    becomeUnusable: 1,
    byKey: { EMAIL: { other: 2, gained: 1, lost: 1 }, PHONE: { other: 0, gained: 1, lost: 1 } },
  })
})

test('an example tells the kind of change, and no person from another', () => {
  const figures = noFigures()
  for (const email of ['Ann+x@example.com', 'bob+yz@mail.test', 'eve.e+1@example.com']) count(figures, KEYS, person(email), sent(['1', '']), sent(['2', '']))
  expect(figures.examples).toEqual([
    { key: 'EMAIL', change: 'other', shape: { email: 'a+a@a.a', phone: '+0 (0) 0-0' } },
    { key: 'EMAIL', change: 'other', shape: { email: 'a.a+0@a.a', phone: '+0 (0) 0-0' } },
  ])
  expect(shapeOf('Ångström’s 12 näme')).toBe('a’a 0 a')
  expect(shapeOf('a'.repeat(64).replaceAll('a', 'b'))).toBe('hashed')
})
