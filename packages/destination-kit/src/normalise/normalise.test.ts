import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import parsePhoneNumber from 'libphonenumber-js/min'
import { country } from './country.ts'
import { emptyDigest, readDigest, sha256, sha256OfFew } from './digest.ts'
import { email } from './email.ts'
import { externalId, mobileAdId } from './ids.ts'
import { birthDate, birthYear, gender } from './person.ts'
import { digitsOf, phone } from './phone.ts'
import { postalCode, region } from './place.ts'
import { bareCity, bareName } from './text.ts'

describe('digests', () => {
  test('64 hexadecimal digits are taken as a digest, in lower case, and never hashed again', () => {
    expect(readDigest(` ${sha256('a').toUpperCase()} `)).toBe(sha256('a'))
  })
  test.each([emptyDigest, 'd41d8cd98f00b204e9800998ecf8427e', sha256('a').slice(0, 40)])('%s is refused', (value) => {
    expect(readDigest(value)).toBeNull()
  })
  test.each(['ann@example.com', '15559876543', 'deadbeef', 'z'.repeat(64), 'z'.repeat(32)])('%s is a plain value', (value) => {
    expect(readDigest(value)).toBeUndefined()
  })
  test('the cache of few values answers what hashing answers, also when it is full', () => {
    for (let index = 0; index < 5_000; index++) expect(sha256OfFew(`v${index % 4_500}`)).toBe(sha256(`v${index % 4_500}`))
  })
})

describe('e-mail', () => {
  test.each([
    ['ANN@Example.COM ', 'ann@example.com'],
    ['jürgen@bücher.example', 'jürgen@bücher.example'],
    ['a.b+c@x-y.co', 'a.b+c@x-y.co'],
  ])('%s → %s', (given, wanted) => expect(email(given)).toBe(wanted))

  test.each([
    '',
    'a@b',
    'a..b@example.com',
    'a@-x.com',
    'a@x-.com',
    'a@x..com',
    'a b@example.com',
    'a@1.2.3.4',
    'Ann <ann@example.com>',
    'a@b@example.com',
    `${'a'.repeat(65)}@example.com`,
    `a@${'b'.repeat(250)}.com`,
    'a\u200bb@example.com',
  ])('%j is none', (given) => expect(email(given)).toBeNull())

  test('both spellings of an accent become one', () => {
    expect(email('jose\u0301@example.com')).toBe(email('jos\u00e9@example.com'))
  })
  test('a hostile address costs linear time', () => {
    const started = performance.now()
    email(`${'a-'.repeat(50_000)}@${'a-'.repeat(50_000)}`)
    email(`a@${'a-'.repeat(120)}`)
    expect(performance.now() - started).toBeLessThan(5_000) // milliseconds; quadratic, it would take minutes
  })
  test('normalising twice changes nothing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.emailAddress(), fc.string({ unit: 'grapheme' })), (value) => {
        const once = email(value)
        return once === null || email(once) === once
      }),
    )
  })
})

describe('phone', () => {
  test.each([
    ['+14155550100', undefined, '+14155550100'],
    ['+1 (415) 555-0100', undefined, '+14155550100'],
    ['tel:+1-415-555-0100', undefined, '+14155550100'],
    ['0044 (0)20 7946 0958', undefined, '+442079460958'],
    ['+49 (0) 30 12345678'.replace('(0) ', '(0)'), undefined, '+493012345678'],
    ['＋49 30 12345678', undefined, '+493012345678'],
    ['+44 20 7946 0958 x12', undefined, '+442079460958'],
    ['0151 12345678', 'de', '+4915112345678'],
    ['(415) 555-0100', 'US', '+14155550100'],
    ['01(650)123-4567', 'US', '+16501234567'],
    // One, and an area code in brackets: nobody else writes so (a published vector of Meta's).
    ['01(650)123-4567', undefined, '+16501234567'],
    ['01 (650) 123 4567', undefined, '+16501234567'],
    ['442079460958', undefined, '+442079460958'],
    ['15559876543', undefined, '+15559876543'],
  ])('%s with %s → %s', (given, home, wanted) => expect(phone(given, home)).toBe(wanted))

  test.each([
    ['0151 12345678', undefined],
    ['01650 1234567', undefined],
    ['(01650) 1234567', undefined],
    ['01(150)123-4567', undefined],
    ['(415) 555-0100', undefined],
    ['4155550100', undefined],
    ['12345', 'US'],
    ['5551234', 'US'],
    ['+123', undefined],
    ['+1234567890123456', undefined],
    ['+0000000', undefined],
    ['1-800-FLOWERS', 'US'],
    ['+1415+5550100', undefined],
    ['0151 12345678', 'XX'],
    ['0500 0', 'DE'],
    ['', 'US'],
    ['+', undefined],
  ])('%j with %s is none', (given, home) => expect(phone(given, home)).toBeNull())

  test('the fast path says what the library says of numbers that it knows', () => {
    for (const number of ['+14155552671', '+442079460958', '+4915112345678', '+33142868326', '+81358432301', '+61293744000']) {
      expect(phone(number)).toBe(parsePhoneNumber(number)?.number)
    }
  })
  test('what comes out is E.164, and passes again unchanged', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[+\d() -]{5,20}$/)), fc.constantFrom(undefined, 'US', 'DE', 'GB'), (value, home) => {
        const number = phone(value, home)
        return number === null || (/^\+[1-9]\d{6,14}$/.test(number) && phone(number, home) === number)
      }),
    )
  })
  test('digits only, without leading zeros', () => expect(digitsOf('+00 (1) 2')).toBe('12'))
})

describe('names and places', () => {
  test('a name keeps letters of any script and loses spaces and ASCII punctuation', () => {
    expect(bareName(" O'Neil-Straße 2 ")).toBe('oneilstraße2')
    expect(bareName(' -.- ')).toBeNull()
    expect(bareName('—')).toBeNull()
  })
  test('a city without a Latin letter is none', () => {
    expect(bareCity('St. Louis')).toBe('stlouis')
    expect(bareCity('123')).toBeNull()
  })
  test.each([
    ['Georgia', 'us', 'ga'],
    ['Georgia', undefined, 'ga'],
    ['Georgia', 'gb', 'georgia'],
    ['District of Columbia', 'us', 'dc'],
    ['Bavaria', 'us', null],
    ['Bavaria', undefined, 'bavaria'],
    ['12', 'us', null],
  ])('region %s in %s → %s', (given, home, wanted) => expect(region(given, home)).toBe(wanted))
  test.each([
    ['940351234', 'us', '94035'],
    ['940351234', undefined, '940351234'],
    ['01310-100', 'br', '01310-100'],
    ['90210-1234', 'fr', '90210-1234'],
    ['SW1A 1AA', 'gb', 'sw1a1aa'],
    ['-', 'us', null],
    ['12#34', undefined, null],
  ])('postal code %s in %s → %s', (given, home, wanted) => expect(postalCode(given, home)).toBe(wanted))
  test.each([
    ['uk', 'gb'],
    ['Bosnia and Herzegovina', 'ba'],
    ['Bosnia & Herzegovina', 'ba'],
    ['Côte d’Ivoire', 'ci'],
    ['TÜRKIYE', 'tr'],
    ['Turkey', 'tr'],
    ['XX', null],
    ['Atlantis', null],
    ['constructor', null],
    ['', null],
  ])('country %s → %s', (given, wanted) => expect(country(given)).toBe(wanted))
})

describe('gender, birth date, ids', () => {
  const today = new Date('2026-11-23T12:00:00Z')
  test.each([
    ['1990-02-13', '1990-02-13'],
    ['1990/2/3', '1990-02-03'],
    ['19900213', '1990-02-13'],
    ['1990-February-13', '1990-02-13'],
    ['1990-02-13T00:00:00Z', '1990-02-13'],
    ['1990-02-30', null],
    ['13.02.1990', null],
    ['1899-12-31', null],
    ['2027-01-01', null],
    ['2026-11-24', null],
    ['1990-13-01', null],
    ['1990-02-32', null],
    ['', null],
  ])('birth date %s → %s', (given, wanted) => {
    const date = birthDate(given, today)
    expect(date && `${date.year}-${date.month}-${date.day}`).toBe(wanted)
  })
  test('a birth year is not beyond this one', () => expect(birthYear('2027', today)).toBeNull())
  test('a gender is never guessed', () => {
    expect(gender(' Woman ')).toBe('f')
    expect(gender('toString')).toBeNull()
  })
  test.each([
    ['38400000-8CF0-11BD-B23E-10B96E40000D', '38400000-8cf0-11bd-b23e-10b96e40000d'],
    ['00000000-0000-0000-0000-000000000000', null],
    [sha256('x'), null],
    ['a b', null],
    ['', null],
  ])('mobile id %s → %s', (given, wanted) => expect(mobileAdId(given)).toBe(wanted))
  test('an external id goes byte for byte', () => {
    expect(externalId(' Id-1 ')).toBe(' Id-1 ')
    expect(externalId('  ')).toBeNull()
    expect(externalId('\ud800')).toBeNull()
    expect(externalId(emptyDigest)).toBeNull()
  })
})
