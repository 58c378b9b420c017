/** Against a far side that deletes every row that shares a key which matches alone, and that applies what was sent step by step. */
import type { KeySet } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Known } from './diff.ts'
import { type HeldSet, planReplacement } from './held.ts'
import { heldBeside, migrationStep } from './migration.ts'

const KEYS: readonly KeyDefinition[] = [
  { name: 'EMAIL', form: 'text', matchesAlone: true },
  { name: 'PHONE', form: 'text', matchesAlone: true },
  { name: 'FN', form: 'text', matchesAlone: false },
]
const matches = (row: KeySet, removal: KeySet) => row.some((value, i) => KEYS[i]?.matchesAlone && value !== '' && value === removal[i])
const known: Known = { fingerprint: 7, configVersion: 1, normaliser: 1, last: 'add', state: 'done' }
const NEW = { configVersion: 1, normaliser: 2 }
const step = (
  held: readonly HeldSet[],
  sets: readonly KeySet[],
  more: { there?: boolean; forced?: boolean; known?: Partial<Known>; fingerprint?: number } = {},
) =>
  migrationStep(KEYS, NEW, {
    known: { ...known, ...more.known },
    forced: more.forced ?? false,
    held,
    sets,
    fingerprint: more.fingerprint ?? 7,
    there: more.there ?? false,
  })
const of = (...sets: KeySet[]): HeldSet[] => sets.map((set) => ({ set, removing: false }))
const row = (email: string, phone = '', name = ''): KeySet => [email, phone, name]

describe('one step of a migration', () => {
  test('whoever is the same under both versions is not said, unless they were left to do', () => {
    expect(step(of(row('a', 'p')), [row('a', 'p')])).toBe('same')
    expect(step(of(row('a'), row('b')), [row('b'), row('a')])).toBe('same')
    expect(step(of(row('a', 'p')), [row('a', 'p')], { forced: true })).toBeNull()
  })

  test('the new goes beside the old, and the old goes when the new is there', () => {
    const held = of(row('old', 'p'))
    const sets = [row('new', 'p')]
    expect(step(held, sets)).toBe('beside')
    const beside = heldBeside(KEYS, held, sets)
    expect(beside).toEqual([
      { set: row('old', 'p'), removing: false, superseded: true },
      { set: row('new', 'p'), removing: false },
    ])
    expect(step(beside, sets, { known: { normaliser: 2 } })).toBe('beside')
    expect(step(beside, sets, { known: { normaliser: 2 }, there: true })).toBe('clean')
    // And back again, whatever was reached.
    expect(step(beside, [row('old', 'p')], { known: { normaliser: 3 }, there: true })).toBe('beside')
  })

  test('what only gains keys needs no second step; what changed in itself is no migration', () => {
    expect(step(of(row('a')), [row('a', 'p')])).toBeNull()
    expect(step(of(row('old')), [row('new')], { fingerprint: 8 })).toBeNull()
    expect(step(of(row('old')), [row('new')], { known: { configVersion: 0 } })).toBeNull()
    expect(step(of(row('old')), [row('new')], { known: { normaliser: 2 } })).toBeNull()
    expect(step(of(row('old')), [row('new')], { known: { last: 'remove' } })).toBeNull()
  })
})

const value = (letter: string) => fc.constantFrom('', `${letter}1`, `${letter}2`, `${letter}3`)
const set: fc.Arbitrary<KeySet> = fc.tuple(value('e'), value('p'), fc.constantFrom('', 'ann')).filter(([email, phone]) => email + phone !== '')
const sets = fc.uniqueArray(set, { minLength: 1, maxLength: 3, selector: (one) => one.join('|') })

test('C1: through any number of versions somebody is there at every moment, and at the end only as the last one makes them', () => {
  fc.assert(
    fc.property(fc.array(sets, { minLength: 2, maxLength: 4 }), fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), (versions, patience) => {
      const [first = [], ...later] = versions
      let far = [...first]
      let held = of(...first)
      let normaliser = 1
      let there = true
      const left = [...patience]
      const runAs = (version: number, wanted: readonly KeySet[], applies: boolean) => {
        const what = migrationStep(
          KEYS,
          { configVersion: 1, normaliser: version },
          { known: { ...known, normaliser }, forced: false, held, sets: wanted, fingerprint: 7, there },
        )
        const { remove, heldAfterAdd } = planReplacement(KEYS, held, wanted)
        if (what === 'beside') held = heldBeside(KEYS, held, wanted)
        else if (what !== 'same') {
          // Removed rows were said to be there by now; the last word is an addition.
          if (what === 'clean' || remove.length === 0) {
            far = far.filter((one) => !remove.some((removal) => matches(one, removal)))
            expect(far.length).toBeGreaterThan(0)
            held = heldAfterAdd.filter(({ removing }) => !removing)
          } else throw new Error('Somebody would be taken away first.')
        }
        if (what !== 'same') far = [...far.filter((one) => !wanted.some((other) => other.join() === one.join())), ...wanted]
        there = what === 'same' ? there : applies
        normaliser = version
      }
      later.forEach((wanted, i) => {
        runAs(i + 2, wanted, left.pop() ?? true)
        expect(far.length).toBeGreaterThan(0)
        if (left.pop()) {
          there = true
          runAs(i + 2, wanted, true)
        }
      })
      const last = later.at(-1) ?? []
      there = true
      for (let again = 0; again < 2; again += 1) runAs(versions.length, last, true)
      const keys = new Set(last.flat())
      for (const one of last) expect(far).toContainEqual(one)
      expect(far.filter((one) => one.some((key, i) => KEYS[i]?.matchesAlone && key !== '' && !keys.has(key)))).toEqual([])
    }),
    { numRuns: process.env.FULL ? 100_000 : 1_000 },
  )
})
