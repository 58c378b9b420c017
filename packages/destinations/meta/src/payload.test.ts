import type { IdentifierChoice, Person, SendConfig } from '@audience-sync/destination-kit/contract'
import { sha256 } from '@audience-sync/destination-kit/normalise/digest'
import { describe, expect, test } from '@jest/globals'
import { at, keys, MetaSettings } from './manifest.ts'
import { lane, prepare } from './payload.ts'

const all: IdentifierChoice[] = ['email', 'phone', 'name', 'address', 'gender', 'birthDate', 'mobileAdId', 'externalId']
const config = (identifiers: readonly IdentifierChoice[] = all, settings: object = {}, defaultCountry?: string): SendConfig<MetaSettings> => ({
  identifiers,
  settings: MetaSettings.parse(settings),
  defaultCountry,
})
const person = (identifiers: Person['identifiers'], more: Partial<Person> = {}): Person => ({ customerId: 'c_1', identifiers, ...more })
const named = (set: readonly string[] | undefined) => Object.fromEntries(keys.flatMap(({ name }, key) => (set?.[key] ? [[name, set[key]]] : [])))

const ann = {
  email: 'Ann@Example.com',
  phone: '+1 415 555 0100',
  firstName: 'Ann',
  lastName: 'Lee',
  gender: 'f',
  birthDate: '1990-02-13',
  city: 'Paris',
  region: 'CA',
  postalCode: '94045',
  country: 'US',
  mobileAdId: '38400000-8CF0-11BD-B23E-10B96E40000D',
  externalId: 'Crm-7',
}

describe('preparing a person for Meta', () => {
  test('positions and names of the keys agree', () => {
    expect(Object.fromEntries(keys.map(({ name }, key) => [name, key]))).toEqual(at)
  })

  test('every identifier becomes the value of its key, hashed where Meta wants it hashed', () => {
    const { sets, dropped } = prepare(person(ann), config())
    expect(sets.map(named)).toEqual([
      {
        EXTERN_ID: 'Crm-7',
        EMAIL: sha256('ann@example.com'),
        PHONE: sha256('14155550100'),
        GEN: sha256('f'),
        DOBY: sha256('1990'),
        DOBM: sha256('02'),
        DOBD: sha256('13'),
        LN: sha256('lee'),
        FN: sha256('ann'),
        FI: sha256('a'),
        CT: sha256('paris'),
        ST: sha256('ca'),
        ZIP: sha256('94045'),
        COUNTRY: sha256('us'),
        MADID: '38400000-8cf0-11bd-b23e-10b96e40000d',
      },
    ])
    expect(dropped).toEqual([])
  })

  test('what was not chosen does not leave, and is not complained about', () => {
    const { sets, dropped } = prepare(person({ ...ann, phone: 'x' }), config(['email']))
    expect(sets.map(named)).toEqual([{ EMAIL: sha256('ann@example.com') }])
    expect(dropped).toEqual([])
  })

  test('each further e-mail address makes a row of its own with the other keys beside it', () => {
    const { sets, dropped } = prepare(
      person({ email: 'a@example.com', emails: ['b@example.com', 'A@example.com', 'nobody'], phone: '+14155550100' }),
      config(['email', 'phone']),
    )
    const phone = sha256('14155550100')
    expect(sets.map(named)).toEqual([
      { EMAIL: sha256('a@example.com'), PHONE: phone },
      { EMAIL: sha256('b@example.com'), PHONE: phone },
    ])
    expect(dropped).toEqual([{ field: 'emails', code: 'email_malformed' }])
  })

  test('an unusable further address does not take the usable one along', () => {
    const { sets } = prepare(person({ email: 'a@example.com', emails: ['nobody'] }), config(['email']))
    expect(sets.map(named)).toEqual([{ EMAIL: sha256('a@example.com') }])
  })

  test('an unusable identifier is dropped with its reason and does not take the person along', () => {
    const { sets, dropped, rejected } = prepare(
      person({
        email: 'a@example.com',
        phone: '12',
        birthDate: '1990-02-31',
        gender: '?',
        mobileAdId: '0',
        externalId: ' ',
        lastName: '!',
        city: '北京',
        region: '7',
      }),
      config(),
    )
    expect(sets.map(named)).toEqual([{ EMAIL: sha256('a@example.com') }])
    expect(rejected).toBeNull()
    expect(dropped).toEqual([
      { field: 'phone', code: 'phone_not_e164' },
      { field: 'lastName', code: 'name_empty' },
      { field: 'city', code: 'city_empty' },
      { field: 'region', code: 'region_malformed' },
      { field: 'gender', code: 'gender_unknown' },
      { field: 'mobileAdId', code: 'mobile_ad_id_malformed' },
      { field: 'externalId', code: 'external_id_malformed' },
      { field: 'birthDate', code: 'birth_date_malformed' },
    ])
  })

  test('a person of whom nothing is usable is rejected; the tenant’s country alone makes nobody usable', () => {
    expect(prepare(person({ email: 'nobody' }), config(all, {}, 'US'))).toEqual({
      sets: [],
      dropped: [{ field: 'email', code: 'email_malformed' }],
      rejected: 'no_usable_identifier',
    })
  })

  test('hashed values pass in lower case; digests of another kind, or of nothing, do not', () => {
    const { sets, dropped } = prepare(
      person({ email: sha256('a@example.com').toUpperCase(), phone: sha256(''), firstName: sha256('ann') }),
      config(['email', 'phone', 'name']),
    )
    expect(sets.map(named)).toEqual([{ EMAIL: sha256('a@example.com'), FN: sha256('ann') }])
    expect(dropped).toEqual([{ field: 'phone', code: 'hash_malformed' }])
  })

  test('a missing country is the tenant’s, which also reads national numbers and regions', () => {
    const { sets } = prepare(person({ phone: '(415) 555-0100', region: 'California', postalCode: '940451234' }), config(all, {}, 'US'))
    expect(named(sets[0])).toEqual({ PHONE: sha256('14155550100'), ST: sha256('ca'), ZIP: sha256('94045'), COUNTRY: sha256('us') })
  })

  test('the first letter of a name is a letter, not half of one', () => {
    expect(named(prepare(person({ firstName: '𠮷田' }), config(['name'])).sets[0]).FI).toBe(sha256('𠮷'))
  })

  test.each([
    [12.5, '12.5', []],
    [undefined, '0', [{ field: 'value', code: 'value_missing' }]],
    [-1, '0', [{ field: 'value', code: 'value_malformed' }]],
    [Number.NaN, '0', [{ field: 'value', code: 'value_malformed' }]],
  ])('a value of %s is sent as %s where the audience is value-based', (value, sent, dropped) => {
    const prepared = prepare(person({ email: 'a@example.com' }, { value }), config(['email'], { valueBased: true }))
    expect(prepared.sets[0]?.[at.LOOKALIKE_VALUE]).toBe(sent)
    expect(prepared.dropped).toEqual(dropped)
  })

  test.each([
    ['US', 'California', ['LDU', '1', '1000']],
    ['US', 'Texas', ['LDU', '', '']],
    ['US', undefined, ['LDU', '', '']],
    ['CA', 'California', ['LDU', '', '']],
  ])('limited data use of a person in %s, %s is flagged %j', (country, region, flags) => {
    const prepare1 = (limitedDataUse: boolean) =>
      prepare(person({ email: 'a@example.com', country, region }, { limitedDataUse }), config(['email'], { limitedDataUse: true })).sets[0]?.slice(
        at.DATA_PROCESSING_OPTIONS,
      )
    expect(prepare1(true)).toEqual(flags)
    expect(prepare1(false)).toEqual(['', '', ''])
  })

  test('rows with and without an external id are in different lanes', () => {
    const [withId] = prepare(person({ email: 'a@example.com', externalId: '1' }), config()).sets
    const [without] = prepare(person({ email: 'a@example.com' }), config()).sets
    expect(lane(withId ?? [])).not.toBe(lane(without ?? []))
  })
})
