import { CustomerRecord, MembershipChange } from '@audience-sync/contracts/rest/behaviors'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { checkCustomer, checkMembership, quickCustomer, quickMembership } from './check.ts'

const NOW = Date.parse('2026-11-01T10:00:00Z')
const odd = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('', '\u0000', '\ud800', 'granted', 'x'.repeat(300)),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
)
const time = fc.oneof(
  fc.constantFrom(
    '2026-11-01T10:00:00Z',
    '2026-11-01T10:00:00.123456789+02:00',
    '2026-02-30T00:00:00Z',
    '2026-11-01',
    '2026-11-01T25:00:00Z',
    '2026-11-01T10:00:00',
  ),
  odd,
)
const or = <T>(usual: fc.Arbitrary<T>) => fc.oneof({ weight: 6, arbitrary: usual }, { weight: 1, arbitrary: odd })
const id = or(fc.string({ minLength: 1, maxLength: 20 }))
const extra = fc.oneof(
  { weight: 8, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.dictionary(fc.constantFrom('more', '__proto__', 'constructor'), odd) },
)
const withExtra = <T extends object>(record: fc.Arbitrary<T>) => or(fc.tuple(record, extra).map(([one, more]) => ({ ...one, ...more })))
const identifiers = withExtra(
  fc.record(
    { email: or(fc.emailAddress()), emails: or(fc.array(fc.emailAddress(), { maxLength: 3 })), city: or(fc.string()), gender: or(fc.constant('f')) },
    { requiredKeys: [] },
  ),
)
const state = or(fc.constantFrom('granted', 'denied', 'unspecified'))
const consent = withExtra(fc.record({ adUserData: state, adPersonalization: state, crm: state, saleShareOptOut: or(fc.boolean()) }, { requiredKeys: [] }))

test('what the quick look accepts of a membership, the schema accepts alike', () => {
  let accepted = 0
  fc.assert(
    fc.property(withExtra(fc.record({ customerId: id, member: or(fc.boolean()), occurredAt: time }, { requiredKeys: [] })), (value) => {
      const quick = quickMembership(value)
      if (quick === undefined) return
      accepted += 1
      expect(MembershipChange.parse(value)).toEqual(quick)
    }),
    { numRuns: 3_000 },
  )
  expect(accepted).toBeGreaterThan(100)
})

test('what the quick look accepts of a customer, the schema accepts alike', () => {
  let accepted = 0
  const customer = withExtra(
    fc.record(
      {
        customerId: id,
        identifiers,
        consent,
        value: or(fc.double()),
        occurredAt: fc.oneof({ weight: 5, arbitrary: fc.constant('2026-11-01T10:00:00Z') }, { weight: 1, arbitrary: time }),
      },
      { requiredKeys: ['customerId', 'occurredAt'] },
    ),
  )
  fc.assert(
    fc.property(customer, (value) => {
      const quick = quickCustomer(value)
      if (quick === undefined) return
      accepted += 1
      expect(CustomerRecord.parse(value)).toEqual(quick)
    }),
    { numRuns: 3_000 },
  )
  expect(accepted).toBeGreaterThan(100)
})

test('the usual lines take the quick way', () => {
  expect(quickMembership({ customerId: 'c_1', member: true, occurredAt: '2026-11-01T10:00:00Z' })).toBeDefined()
  const line = {
    customerId: 'c_1',
    occurredAt: '2026-11-01T10:00:00Z',
    identifiers: { email: 'ann@example.com', phone: '+14155550100' },
    consent: { crm: 'denied' },
    value: 12.5,
  }
  expect(quickCustomer(line)).toEqual({
    ...line,
    consent: { adUserData: 'unspecified', adPersonalization: 'unspecified', crm: 'denied', saleShareOptOut: false },
  })
})

const line = { customerId: 'c_1', member: true, occurredAt: '2026-11-01T10:00:00Z' }
test.each([
  ['the time in milliseconds', line, { value: { at: NOW } }],
  ['five minutes ahead is still good', { ...line, occurredAt: '2026-11-01T10:05:00Z' }, { value: { at: NOW + 300_000 } }],
  ['more is not', { ...line, occurredAt: '2026-11-01T10:05:00.001Z' }, { code: 'occurred_at_in_future' }],
  ['an unknown field', { ...line, extra: 1 }, { code: 'line_malformed' }],
  ['no object', 'c_1', { code: 'line_malformed' }],
  ['a missing field is named', { ...line, member: undefined }, { code: 'line_malformed', detail: expect.stringContaining('member') }],
])('membership: %s', (_what, value, expected) => {
  expect(checkMembership(value, NOW)).toMatchObject(expected)
})

const person = { customerId: 'c_1', occurredAt: '2026-11-01T10:00:00Z' }
test.each([
  ['nothing at all', person, { code: 'customer_empty' }],
  ['no identifier', { ...person, identifiers: {}, consent: { crm: 'denied' } }, { code: 'customer_empty' }],
  ['blanks', { ...person, identifiers: { email: ' ', emails: [''] } }, { code: 'customer_empty' }],
  ['consent alone', { ...person, consent: { crm: 'denied' } }, { value: { consent: { crm: 'denied' } } }],
  ['several e-mails', { ...person, identifiers: { emails: ['a@example.com'] } }, { value: { identifiers: { emails: ['a@example.com'] } } }],
  [
    'the values stay out of the detail',
    { ...person, identifiers: { email: 'canary'.repeat(60) } },
    { code: 'line_malformed', detail: expect.not.stringContaining('canary') },
  ],
])('customer: %s', (_what, value, expected) => {
  expect(checkCustomer(value, NOW)).toMatchObject(expected)
})
