import { groupBit, UNREAD_BIT } from '@audience-sync/contracts/people'
import { hmacSha256 } from '@audience-sync/vault/hmac'
import { expect, test } from '@jest/globals'
import { NO_CONSENT } from './consent.ts'
import { type Fingerprinted, fingerprintsOf, presentGroups, withConsent } from './fingerprint.ts'

const key = hmacSha256(Buffer.alloc(32, 1))
const ann: Fingerprinted = { identifiers: { email: 'ann@example.com', phone: '+14155550100', city: ' ' }, value: 12.5, consent: NO_CONSENT }
const groups = groupBit('email') | groupBit('phone') | groupBit('value') | groupBit('consent')

test('what is present is seen, blanks are not', () => {
  expect(presentGroups(ann)).toBe(groups)
})

test('one group changes its own eight bytes and no others', () => {
  const before = fingerprintsOf(key, groups, ann)
  const after = fingerprintsOf(key, groups, { ...ann, identifiers: { ...ann.identifiers, phone: '+14155550101' } })
  expect(before).toHaveLength(32)
  const differs = [0, 8, 16, 24].map((at) => !before.subarray(at, at + 8).equals(after.subarray(at, at + 8)))
  expect(differs).toEqual([false, true, false, false])
})

test('the case of an e-mail is no change, that of an external id is', () => {
  const of = (identifiers: Fingerprinted['identifiers'], bits: number) => fingerprintsOf(key, bits, { ...ann, identifiers }).toString('hex')
  expect(of({ email: ' Ann@Example.com ' }, groupBit('email'))).toBe(of({ email: 'ann@example.com' }, groupBit('email')))
  expect(of({ externalId: 'A' }, groupBit('externalId'))).not.toBe(of({ externalId: 'a' }, groupBit('externalId')))
})

test('another tenant key gives other fingerprints', () => {
  expect(fingerprintsOf(hmacSha256(Buffer.alloc(32, 2)), groups, ann)).not.toEqual(fingerprintsOf(key, groups, ann))
})

test('consent alone can be exchanged, and the result is that of the whole', () => {
  const consent = { ...NO_CONSENT, adUserData: 'denied' as const }
  const whole = fingerprintsOf(key, groups, { ...ann, consent })
  expect(withConsent(key, groups, fingerprintsOf(key, groups, ann), consent)).toEqual({ groups, fingerprints: whole })
  const without = groups & ~groupBit('consent')
  expect(withConsent(key, without, fingerprintsOf(key, without, ann), consent)).toEqual({ groups, fingerprints: whole })
})

test('what cannot be used has one piece behind all others: it tells of a change, and an exchange of consent keeps it', () => {
  const bits = groupBit('email') | groupBit('consent') | UNREAD_BIT
  const of = (phone: string) => fingerprintsOf(key, bits, { ...ann, identifiers: { email: 'ann@example.com', phone }, unread: ['phone'] })
  const [before, after] = [of('030 1'), of('030 2')]
  expect([0, 8, 16].map((at) => before.subarray(at, at + 8).equals(after.subarray(at, at + 8)))).toEqual([true, true, false])
  const { fingerprints } = withConsent(key, bits, before, { ...NO_CONSENT, adUserData: 'denied' })
  expect([0, 8, 16].map((at) => before.subarray(at, at + 8).equals(fingerprints.subarray(at, at + 8)))).toEqual([true, false, true])
  const without = bits & ~groupBit('consent')
  const bare = Buffer.concat([before.subarray(0, 8), before.subarray(16)])
  expect(withConsent(key, without, bare, NO_CONSENT)).toEqual({ groups: bits, fingerprints: before })
})
