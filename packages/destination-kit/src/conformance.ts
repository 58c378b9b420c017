/**
 * What every destination has to keep, as tests: call `conformance(destination, fixtures)` in a test file of the destination.
 * Only the pure half; what talks is tested against the twin.
 */
import { catalogue } from '@audience-sync/errors/catalogue'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { z } from 'zod'
import type { Batch, Destination, KeySet, Operation, Person, SendConfig } from './contract.ts'
import { emptyDigest, sha256 } from './normalise/digest.ts'

export interface Fixtures<S> {
  /** Each must be allowed; together they should reach every key. */
  readonly configs: readonly SendConfig<S>[]
}

const word = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.constantFrom('', ' ', sha256('x'), emptyDigest, '\ud800'),
)
const field = (...samples: string[]) => fc.option(fc.oneof(fc.constantFrom(...samples), word), { nil: undefined })

/** People as badly written as they come. */
const people: fc.Arbitrary<Person> = fc.record({
  customerId: fc.uuid(),
  identifiers: fc.record({
    email: fc.option(fc.oneof(fc.emailAddress(), word), { nil: undefined }),
    emails: fc.option(fc.array(fc.oneof(fc.emailAddress(), word), { maxLength: 3 }), { nil: undefined }),
    phone: field('+14155550100', '0151 12345678', '(415) 555-0100'),
    firstName: field('Ann', 'José María', '李明'),
    lastName: field("O'Connor", 'Øystein'),
    gender: field('f', 'MALE', 'x'),
    birthDate: field('1990-02-13', '1990-02-31'),
    city: field('San Francisco', '北京'),
    region: field('California', 'BC'),
    postalCode: field('94035-1234', 'M1 1AE'),
    country: field('US', 'Germany', 'U1'),
    mobileAdId: field('38400000-8CF0-11BD-B23E-10B96E40000D'),
    externalId: field('user-1', 'ключ "7"\\'),
  }),
  value: fc.option(fc.oneof(fc.double(), fc.nat()), { nil: undefined }),
  limitedDataUse: fc.boolean(),
})

const ann: Person = { customerId: 'c_1', identifiers: { email: 'ann@example.com', phone: '+14155550100' } }

const batchOf = <S>(operation: Operation, rows: readonly KeySet[], config: SendConfig<S>): Batch<S> => ({
  operation,
  audienceExternalId: '2384',
  accountExternalId: '77',
  rows,
  session: { id: 2 ** 53 - 1, seq: 1, last: true },
  config,
})

export function conformance<S>(destination: Destination<S>, { configs }: Fixtures<S>): void {
  const { manifest, prepare, lane, encode } = destination
  const config = fc.constantFrom(...configs)
  const anyone = fc.array(people, { minLength: 1, maxLength: 8 })

  /** What could be sent of these people, in batches of one lane. */
  const lanesOf = (persons: readonly Person[], chosen: SendConfig<S>): KeySet[][] => [
    ...Map.groupBy(
      persons.flatMap((person) => prepare(person, chosen).sets),
      (row) => lane(row),
    ).values(),
  ]

  describe(`${manifest.id} keeps the destination's contract`, () => {
    test('the manifest is whole: keys are unique, some match alone, limits and quotas are positive, settings have a JSON Schema', () => {
      const names = manifest.keys.map(({ name }) => name)
      expect(new Set(names).size).toBe(names.length)
      expect(manifest.keys.some(({ matchesAlone }) => matchesAlone)).toBe(true)
      for (const limit of Object.values(manifest.limits)) expect(limit).toBeGreaterThan(0)
      for (const { capacity, decaySeconds } of manifest.quotas) expect(Math.min(decaySeconds, ...Object.values(capacity))).toBeGreaterThan(0)
      expect(manifest.sizeBands.at(-1)?.upTo).toBeNull()
      expect(z.toJSONSchema(manifest.settings, { io: 'input' })).toMatchObject({ type: 'object', additionalProperties: false })
    })

    test('any person is prepared without an error, the same each time, and either sent or rejected with a known code', () => {
      fc.assert(
        fc.property(people, config, (person, chosen) => {
          const prepared = prepare(person, chosen)
          expect(prepare(person, chosen)).toEqual(prepared)
          expect(prepared.sets.length > 0).toBe(prepared.rejected === null)
          for (const code of [...prepared.dropped.map((dropped) => dropped.code), prepared.rejected ?? 'no_usable_identifier'])
            expect(catalogue).toHaveProperty(code)
        }),
      )
    })

    test('a row has one place for each key: a digest in lower case, never that of nothing, or well-formed text', () => {
      fc.assert(
        fc.property(people, config, (person, chosen) => {
          for (const set of prepare(person, chosen).sets) {
            expect(set).toHaveLength(manifest.keys.length)
            expect(set.some((value) => value !== '')).toBe(true)
            for (const [key, { form }] of manifest.keys.entries()) {
              const value = set[key] ?? ''
              if (form === 'sha256') expect(value).toMatch(/^$|^[0-9a-f]{64}$/)
              expect(value).not.toBe(emptyDigest)
              expect(value.isWellFormed()).toBe(true)
            }
          }
        }),
      )
    })

    test('the same rows are the same bytes, whole JSON, and as many as a call may carry', () => {
      fc.assert(
        fc.property(anyone, config, (persons, chosen) => {
          for (const rows of lanesOf(persons, chosen)) {
            const batch = batchOf('add', rows.slice(0, manifest.limits.rowsPerCall), chosen)
            const { body } = encode(batch)
            // Other objects with the same content: the bytes may depend on nothing else.
            expect(encode(structuredClone(batch)).body.equals(body)).toBe(true)
            expect(() => JSON.parse(body.toString())).not.toThrow()
          }
        }),
      )
    })

    test('R1: a removal says what the adding said, also when its keys are not chosen any more', () => {
      fc.assert(
        fc.property(anyone, config, config, (persons, chosen, later) => {
          for (const rows of lanesOf(persons, chosen)) {
            const removal = encode(batchOf('remove', rows, later)).body.toString()
            const adding = encode(batchOf('add', rows, chosen)).body.toString()
            for (const row of rows) {
              for (const [key, { matchesAlone }] of manifest.keys.entries()) {
                const value = JSON.stringify(row[key] ?? '')
                if (!matchesAlone || value === '""') continue
                expect(adding).toContain(value)
                expect(removal).toContain(value)
              }
            }
          }
        }),
      )
    })

    test('what arrives hashed is not hashed again, and no plain value of a hashed key leaves; a platform that takes plain values is sent no digest', () => {
      const hashes = manifest.keys.some(({ name, form }) => form === 'sha256' && /email/i.test(name))
      for (const chosen of configs) {
        const plain = prepare(ann, chosen)
        const hashed = prepare({ ...ann, identifiers: { ...ann.identifiers, email: sha256('ann@example.com').toUpperCase() } }, chosen)
        if (!hashes) {
          expect(hashed.sets.flat()).not.toContain(sha256('ann@example.com'))
          continue
        }
        expect(hashed.sets).toEqual(plain.sets)
        expect(encode(batchOf('add', plain.sets, chosen)).body.toString()).not.toContain('ann@example.com')
      }
    })
  })
}
