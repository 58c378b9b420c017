import { Identifiers } from '@audience-sync/contracts/people'
import { groupsRead, groupsSendable, Transformation, Transformations } from '@audience-sync/contracts/transformations'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Person, Prepared } from './contract.ts'
import { sha256 } from './normalise/digest.ts'
import { prepareAs, transform } from './transform.ts'

const ann: Person = {
  customerId: 'c_1',
  identifiers: { email: 'Ann@Example.com', emails: ['b@example.com', 'c@example.com'], phone: '030 1234567', country: 'DE' },
}
const after = (...rules: unknown[]) => transform(ann, Transformations.parse(rules))?.identifiers

describe('each transformation', () => {
  test.each([
    ['constant', { type: 'constant', field: 'city', value: 'Berlin' }, { ...ann.identifiers, city: 'Berlin' }],
    ['lower', { type: 'lower', field: 'email' }, { ...ann.identifiers, email: 'ann@example.com' }],
    ['upper', { type: 'upper', field: 'emails' }, { ...ann.identifiers, emails: ['B@EXAMPLE.COM', 'C@EXAMPLE.COM'] }],
    ['prefix', { type: 'prefix', field: 'phone', text: '+49' }, { ...ann.identifiers, phone: '+49030 1234567' }],
    ['suffix of nothing', { type: 'suffix', field: 'firstName', text: 'x' }, ann.identifiers],
    ['drop', { type: 'drop', field: 'emails' }, { email: 'Ann@Example.com', phone: '030 1234567', country: 'DE' }],
    ['map', { type: 'map', field: 'externalId', from: 'customerId' }, { ...ann.identifiers, externalId: 'c_1' }],
    ['map of nothing', { type: 'map', field: 'phone', from: 'mobileAdId' }, { email: 'Ann@Example.com', emails: ann.identifiers.emails, country: 'DE' }],
    ['one address of several', { type: 'chooseIdentifier', order: ['emails', 'email'] }, { emails: ['b@example.com'], phone: '030 1234567', country: 'DE' }],
    [
      'two addresses',
      { type: 'chooseIdentifier', order: ['email', 'emails'], take: 2 },
      { email: 'Ann@Example.com', emails: ['b@example.com'], phone: '030 1234567', country: 'DE' },
    ],
    ['the first field that there is', { type: 'chooseIdentifier', order: ['mobileAdId', 'phone', 'email', 'emails'] }, { phone: '030 1234567', country: 'DE' }],
  ])('%s', (_what, rule, expected) => {
    expect(after(rule)).toEqual(expected)
  })

  test('leaves people out who meet a condition, and nobody else', () => {
    expect(after({ type: 'dropPerson', when: { field: 'country', equals: ['us', ' de '] } })).toBeUndefined()
    expect(after({ type: 'dropPerson', when: { field: 'country', equals: ['us'] } })).toEqual(ann.identifiers)
    expect(after({ type: 'dropPerson', when: { field: 'lastName', is: 'missing' } })).toBeUndefined()
    expect(after({ type: 'dropPerson', when: { field: 'emails', equals: ['C@EXAMPLE.COM'] } })).toBeUndefined()
  })

  test('what came hashed is never altered', () => {
    const hashed = { customerId: 'c_1', identifiers: { email: sha256('ann@example.com'), phone: sha256('49301234567').toUpperCase() } }
    const rules = Transformations.parse([
      { type: 'upper', field: 'email' },
      { type: 'prefix', field: 'phone', text: '+49' },
    ])
    expect(transform(hashed, rules)).toEqual(hashed)
  })

  test.each([
    ['a constant that names people', { type: 'constant', field: 'email', value: 'a@example.com' }],
    ['a field that is none', { type: 'lower', field: 'shoeSize' }],
    ['a transformation that is none', { type: 'eval', field: 'email', text: '1' }],
    ['a country that is none', { type: 'defaultCountry', country: 'Germany' }],
    ['a field twice', { type: 'chooseIdentifier', order: ['email', 'email'] }],
    ['a field from itself', { type: 'map', field: 'email', from: 'email' }],
    ['the customer’s id as a phone number', { type: 'map', field: 'phone', from: 'customerId' }],
    ['more than it says', { type: 'drop', field: 'email', and: 'phone' }],
  ])('refused when saved: %s', (_what, rule) => {
    expect(Transformations.safeParse([rule]).success).toBe(false)
  })
})

const field = fc.constantFrom(...Object.keys(Identifiers.shape))
const single = field.filter((name) => name !== 'emails')
const text = fc.string({ minLength: 1, maxLength: 64 })
const rule = fc
  .oneof(
    fc.record({ type: fc.constant('constant'), field: fc.constantFrom('country', 'region', 'city', 'postalCode', 'gender'), value: text }),
    fc.record({ type: fc.constantFrom('lower', 'upper', 'drop'), field }),
    fc.record({ type: fc.constantFrom('prefix', 'suffix'), field, text }),
    fc.record({ type: fc.constant('defaultCountry'), country: fc.constantFrom('DE', 'us') }),
    fc.record({ type: fc.constant('chooseIdentifier'), order: fc.uniqueArray(field, { minLength: 1 }), take: fc.integer({ min: 1, max: 21 }) }),
    fc.record({ type: fc.constant('map'), field: single, from: single }),
    fc.constant({ type: 'map', field: 'externalId', from: 'customerId' }),
    fc.record({
      type: fc.constant('dropPerson'),
      when: fc.oneof(fc.record({ field, is: fc.constant('missing') }), fc.record({ field, equals: fc.array(text, { minLength: 1, maxLength: 3 }) })),
    }),
  )
  .filter((one) => Transformation.safeParse(one).success)
const rules = fc.array(rule, { maxLength: 20 }).map((list) => Transformations.parse(list))
const value = fc.oneof(fc.string({ maxLength: 16, unit: 'grapheme' }), fc.constantFrom('', ' ', sha256('x'), 'Ann@Example.com', '+49 30 1'))
const identifiers = fc
  .record(Object.fromEntries(Object.keys(Identifiers.shape).map((name) => [name, name === 'emails' ? fc.array(value, { maxLength: 5 }) : value])), {
    requiredKeys: [],
  })
  .filter((some) => Identifiers.safeParse(some).success)
const person = fc.record({ customerId: fc.string({ minLength: 1, maxLength: 16 }), identifiers }) as fc.Arbitrary<Person>

/** Every value given is usable, a country alone is one, too: the worst adapter for rules that fill something in. */
const anything = {
  prepare: ({ identifiers: given }: Person): Prepared => {
    const values = Object.values(given).flat().filter(Boolean) as string[]
    return values.length === 0 ? { sets: [], dropped: [], rejected: 'no_usable_identifier' } : { sets: [values], dropped: [], rejected: null }
  },
}

describe('whatever the rules and the person', () => {
  test('the result is a person as the schema takes them, or nobody, and the person given is not touched', () => {
    fc.assert(
      fc.property(person, rules, (one, list) => {
        const before = structuredClone(one)
        const result = transform(one, list)
        expect(one).toEqual(before)
        if (result) expect(Identifiers.safeParse(result.identifiers).success).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  test('applying no rules changes nothing', () => {
    fc.assert(fc.property(person, (one) => transform(one, []) === one))
  })

  test('nobody without identifiers gets any that is sent', () => {
    fc.assert(
      fc.property(rules, (list) => {
        const empty = { customerId: 'c_1', identifiers: {} }
        expect(prepareAs(anything, empty, { identifiers: ['email'], settings: {}, transformations: list }).rejected).not.toBeNull()
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('what a run has to look at', () => {
  const of = (...list: unknown[]) => Transformations.parse(list)
  test('a condition on the country watches the address, though only the e-mail is sent; a constant watches nothing', () => {
    expect(groupsRead(of({ type: 'dropPerson', when: { field: 'country', equals: ['US'] } }))).toBe((1 << 3) | (1 << 14))
    expect(groupsRead(of({ type: 'constant', field: 'country', value: 'US' }))).toBe(0)
  })
  test('a default country may make a number sendable that ingest could not read, where phones are chosen', () => {
    const rule = of({ type: 'defaultCountry', country: 'DE' })
    expect([groupsSendable(rule, 1 << 1), groupsSendable(rule, 1 << 0)]).toEqual([(1 << 1) | (1 << 14), 1 << 0])
  })
  test('what is left out for everyone makes nobody sendable: of e-mail addresses only when both fields are', () => {
    const both = (1 << 0) | (1 << 1)
    expect(groupsSendable(of({ type: 'drop', field: 'phone' }), both)).toBe(1 << 0)
    expect(groupsSendable(of({ type: 'drop', field: 'email' }), both)).toBe(both)
    expect(groupsSendable(of({ type: 'drop', field: 'email' }, { type: 'drop', field: 'emails' }), both)).toBe(1 << 1)
  })
})
