import type { KeySet } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decodeHeld, encodeHeld } from './held.ts'
import { decodePayload, encodePayload, kinds, peopleOfRows } from './payload.ts'
import { Reader, readSet, Writer, writeSet } from './sets.ts'

const KEYS: readonly KeyDefinition[] = [
  { name: 'EMAIL', form: 'sha256', matchesAlone: true },
  { name: 'EXTERN_ID', form: 'text', matchesAlone: true },
  { name: 'FN', form: 'sha256', matchesAlone: false },
  { name: 'VALUE', form: 'text', matchesAlone: false },
]
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'))
const text = fc.string({ minLength: 1, maxLength: 300, unit: 'grapheme' }).filter((value) => value.isWellFormed())
const maybe = (value: fc.Arbitrary<string>) => fc.oneof(fc.constant(''), value)
const set: fc.Arbitrary<KeySet> = fc.tuple(maybe(digest), maybe(text), maybe(digest), maybe(text))

describe('key sets as bytes', () => {
  test('come back as they were, one after the other', () => {
    fc.assert(
      fc.property(fc.array(set, { maxLength: 20 }), (sets) => {
        const writer = new Writer()
        for (const one of sets) writeSet(writer, KEYS, one)
        const reader = new Reader(writer.bytes())
        expect(sets.map(() => readSet(reader, KEYS))).toEqual(sets)
        expect(reader.done).toBe(true)
      }),
    )
  })

  test('a digest takes its 32 bytes and an absent key none', () => {
    const writer = new Writer()
    writeSet(writer, KEYS, ['ab'.repeat(32), '', '', ''])
    expect(writer.bytes()).toHaveLength(4 + 32)
  })

  test('what is not a digest is refused rather than cut short', () => {
    for (const bad of ['ab', 'zz'.repeat(32), 'ab'.repeat(31)]) expect(() => writeSet(new Writer(), KEYS, [bad, '', '', ''])).toThrow('Not 32 bytes of hex.')
  })

  test('more keys than the mask has bits are refused', () => {
    const many = Array.from({ length: 33 }, (): KeyDefinition => ({ name: 'K', form: 'text', matchesAlone: false }))
    expect(() => writeSet(new Writer(), many, [])).toThrow('More keys')
  })

  test('a set of an older manifest, with fewer keys, reads with the new ones empty', () => {
    const writer = new Writer()
    writeSet(writer, KEYS.slice(0, 2), ['ab'.repeat(32), 'x'])
    expect(readSet(new Reader(writer.bytes()), KEYS)).toEqual(['ab'.repeat(32), 'x', '', ''])
  })
})

test('what is held comes back as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ set, removing: fc.boolean() }), { maxLength: 10 }), (held) => {
      expect(decodeHeld(KEYS, encodeHeld(KEYS, held))).toEqual(held)
    }),
  )
})

const person = fc.record({
  customerNo: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  kind: fc.constantFrom(...kinds),
  sets: fc.array(set, { maxLength: 5 }),
})

test('a payload comes back with its people in order, and the same people give the same bytes', () => {
  fc.assert(
    fc.property(fc.array(person, { maxLength: 30 }), (people) => {
      const bytes = encodePayload(KEYS, people)
      expect(decodePayload(KEYS, bytes)).toEqual(people)
      expect(encodePayload(KEYS, people).equals(bytes)).toBe(true)
    }),
  )
})

test('a kind that this version does not know counts as nothing', () => {
  const bytes = encodePayload(KEYS, [{ customerNo: 1, kind: 'added', sets: [] }])
  bytes[8] = 200
  expect(decodePayload(KEYS, bytes)).toEqual([{ customerNo: 1, kind: 'none', sets: [] }])
})

test('each row belongs to the person whose set it is', () => {
  const row: KeySet = ['', 'x', '', '']
  const [ann, bob] = [
    { customerNo: 1, kind: 'added', sets: [row, row] },
    { customerNo: 2, kind: 'added', sets: [row] },
  ] as const
  expect(peopleOfRows([ann, bob])).toEqual([ann, ann, bob])
})
