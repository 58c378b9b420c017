import { groupBit, type IdentifierGroup } from '@audience-sync/contracts/people'
import { describe, expect, test } from '@jest/globals'
import { sha256 } from './normalise/digest.ts'
import { homeOf, usableGroups } from './usable.ts'

const bits = (...groups: IdentifierGroup[]) => groups.reduce((sum, group) => sum | groupBit(group), 0)

describe('usable groups', () => {
  test('every group with a usable field has its bit', () => {
    const { groups, unusable } = usableGroups({
      email: 'ann@example.com',
      phone: '+14155550100',
      firstName: 'Ann',
      city: 'Paris',
      gender: 'f',
      birthDate: '1990-02-13',
      mobileAdId: '38400000-8cf0-11bd-b23e-10b96e40000d',
      externalId: 'x',
    })
    expect(groups).toBe(bits('email', 'phone', 'name', 'address', 'gender', 'birthDate', 'mobileAdId', 'externalId'))
    expect(unusable).toEqual([])
  })
  test('what is given and unusable is named with its reason; what is not given is not', () => {
    const { groups, unusable } = usableGroups({
      email: 'nobody',
      emails: ['a@example.com', '@'],
      phone: '0151 12345678',
      lastName: '!',
      region: '1',
      country: 'U1',
    })
    expect(groups).toBe(bits('email'))
    expect(unusable).toEqual([
      { field: 'email', code: 'email_malformed' },
      { field: 'phone', code: 'phone_not_e164' },
      { field: 'lastName', code: 'name_empty' },
      { field: 'region', code: 'region_malformed' },
      { field: 'country', code: 'country_malformed' },
      { field: 'emails', code: 'email_malformed' },
    ])
  })
  test('a national number is read by the person’s country, else by the tenant’s', () => {
    expect(usableGroups({ phone: '0151 12345678', country: 'Germany' }, 'US').groups).toBe(bits('phone', 'address'))
    expect(usableGroups({ phone: '0151 12345678' }, 'DE').groups).toBe(bits('phone'))
  })
  test('a hashed value is usable where platforms take it hashed; the digest of nothing never is', () => {
    expect(usableGroups({ email: sha256('ann@example.com') }).groups).toBe(bits('email'))
    expect(usableGroups({ phone: sha256('') })).toEqual({ groups: 0, unusable: [{ field: 'phone', code: 'hash_malformed' }] })
    expect(usableGroups({ mobileAdId: sha256('x') }).unusable).toEqual([{ field: 'mobileAdId', code: 'mobile_ad_id_malformed' }])
  })
  test('nobody’s home is unknown, and a wrong country falls back to the tenant’s', () => {
    expect(homeOf(undefined, undefined)).toBeUndefined()
    expect(homeOf('U1', 'DE')).toBe('de')
    expect(homeOf('France', 'DE')).toBe('fr')
  })
})
