/** The 128 published and recomputed vectors (vectors/normalisation.json), each through `prepare`; README.md explains the ones in conflict. */
import { readFileSync } from 'node:fs'
import type { IdentifierChoice, Person } from '@audience-sync/destination-kit/contract'
import { sha256 } from '@audience-sync/destination-kit/normalise/digest'
import { birthDay, birthMonth, birthYear } from '@audience-sync/destination-kit/normalise/person'
import { digitsOf } from '@audience-sync/destination-kit/normalise/phone'
import { describe, expect, test } from '@jest/globals'
import { keys, MetaSettings } from './manifest.ts'
import { prepare } from './payload.ts'

interface Vector {
  readonly field: string
  readonly input: string
  readonly normalized: string | null
  readonly sha256: string | null
  readonly hash?: false
}

const vectors = JSON.parse(readFileSync(new URL('../vectors/normalisation.json', import.meta.url), 'utf8')) as Vector[]

const choices: IdentifierChoice[] = ['email', 'phone', 'name', 'address', 'gender', 'mobileAdId', 'externalId']
const identifiersOf: Readonly<Record<string, (input: string) => Person['identifiers']>> = {
  EMAIL: (email) => ({ email }),
  PHONE: (phone) => ({ phone }),
  FN: (firstName) => ({ firstName }),
  FI: (firstName) => ({ firstName }),
  LN: (lastName) => ({ lastName }),
  GEN: (gender) => ({ gender }),
  CT: (city) => ({ city }),
  ST: (region) => ({ region }),
  ZIP: (postalCode) => ({ postalCode }),
  COUNTRY: (country) => ({ country }),
  MADID: (mobileAdId) => ({ mobileAdId }),
  EXTERN_ID: (externalId) => ({ externalId }),
}
const datePart: Readonly<Record<string, (input: string) => string | null>> = { DOBY: birthYear, DOBM: birthMonth, DOBD: birthDay }

/** The rule holds, but the extension is dropped first. */
const withExtension = '+1-555-123-4567 ext. 123'

function sent(field: string, person: Omit<Person, 'customerId'>): string | null {
  const valueBased = field === 'LOOKALIKE_VALUE'
  const settings = MetaSettings.parse({ valueBased })
  const { sets } = prepare({ customerId: 'c', ...person }, { identifiers: choices, settings })
  const key = keys.findIndex(({ name }) => name === field)
  return sets[0]?.[key] || null
}

const table = vectors.filter(({ field, input }) => !(field in datePart) && input !== withExtension)

describe('normalisation vectors of Meta', () => {
  test('there are 128 of them', () => {
    expect(vectors).toHaveLength(128)
  })

  test.each(table)('$field $input → $normalized', ({ field, input, normalized, sha256: digest, hash }) => {
    const person =
      field === 'LOOKALIKE_VALUE' ? { identifiers: { email: 'a@example.com' }, value: Number(input) } : { identifiers: identifiersOf[field]?.(input) ?? {} }
    expect(sent(field, person)).toBe(hash === false ? normalized : digest)
  })

  test.each(vectors.filter(({ field }) => field in datePart))('$field $input → $normalized', ({ field, input, normalized, sha256: digest }) => {
    const part = datePart[field]?.(input) ?? null
    expect(part).toBe(normalized)
    expect(part === null ? null : sha256(part)).toBe(digest)
  })

  test('the digit rule glues an extension to the number, so it is cut off before', () => {
    const vector = vectors.find(({ input }) => input === withExtension)
    expect(digitsOf(withExtension)).toBe(vector?.normalized)
    expect(sent('PHONE', { identifiers: { phone: withExtension } })).toBe(sha256('15551234567'))
  })
})
