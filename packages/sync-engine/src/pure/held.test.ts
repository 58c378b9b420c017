/** Against a far side that is pessimistic: a removal deletes every row that shares a key which matches alone (SYNC.md C1, C12). */
import type { KeySet } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { difference, type HeldSet, planRemoval, planReplacement, settleHeld } from './held.ts'

const KEYS: readonly KeyDefinition[] = [
  { name: 'EMAIL', form: 'text', matchesAlone: true },
  { name: 'PHONE', form: 'text', matchesAlone: true },
  { name: 'FN', form: 'text', matchesAlone: false },
]
const same = (a: KeySet, b: KeySet) => a.every((value, i) => value === b[i])
const alone = (set: KeySet) => set.some((value, i) => value !== '' && KEYS[i]?.matchesAlone)
const shares = (row: KeySet, removal: KeySet) =>
  alone(removal) ? row.some((value, i) => value !== '' && KEYS[i]?.matchesAlone && value === removal[i]) : same(row, removal)

const add = (far: readonly KeySet[], rows: readonly KeySet[]) => [...far.filter((row) => !rows.some((other) => same(row, other))), ...rows]
const remove = (far: readonly KeySet[], rows: readonly KeySet[]) => far.filter((row) => !rows.some((removal) => shares(row, removal)))

// Few values, so that sets share some keys often.
const set: fc.Arbitrary<KeySet> = fc
  .tuple(fc.constantFrom('', 'e1', 'e2', 'e3'), fc.constantFrom('', 'p1', 'p2'), fc.constantFrom('', 'ann', 'bob'))
  .filter((row) => row.some((value) => value !== ''))
const sets = fc.uniqueArray(set, { minLength: 1, maxLength: 4, selector: (row) => row.join('|') })
const held = sets.map((of): HeldSet[] => of.map((one) => ({ set: one, removing: false })))
/** Any part of what is held may be there. */
const scene = fc
  .record({ held, sets })
  .chain(({ held: known, sets: wanted }) => fc.record({ held: fc.constant(known), sets: fc.constant(wanted), far: fc.subarray(known.map((one) => one.set)) }))
const runs = { numRuns: process.env.FULL ? 100_000 : 500 }

describe('a replacement', () => {
  test('C1: removes first, then adds: the new is there and nothing of the old alone', () => {
    fc.assert(
      fc.property(scene, ({ held: known, sets: wanted, far }) => {
        const after = add(remove(far, planReplacement(KEYS, known, wanted).remove), wanted)
        for (const row of wanted) expect(after).toContainEqual(row)
        for (const row of after) {
          if (alone(row)) expect(row.filter((value, i) => value !== '' && KEYS[i]?.matchesAlone && !wanted.some((other) => other[i] === value))).toEqual([])
          else expect(wanted).toContainEqual(row)
        }
      }),
      runs,
    )
  })

  test('C1: does no harm when it is applied late: whom it keeps stays', () => {
    fc.assert(
      fc.property(scene, ({ held: known, sets: wanted, far }) => {
        const after = remove(add(far, wanted), planReplacement(KEYS, known, wanted).remove)
        for (const row of wanted) expect(after).toContainEqual(row)
      }),
      runs,
    )
  })

  test('C12: whatever half of it was done, a removal of what is held then takes everything away', () => {
    const half = fc.constantFrom('nothing', 'removed', 'added', 'both')
    fc.assert(
      fc.property(scene, half, ({ held: known, sets: wanted, far }, done) => {
        const plan = planReplacement(KEYS, known, wanted)
        const removed = done === 'removed' || done === 'both'
        let there = removed ? remove(far, plan.remove) : far
        const stored = done === 'added' || done === 'both' ? plan.heldAfterAdd : plan.heldAfterRemove
        if (stored === plan.heldAfterAdd) there = add(there, wanted)
        const now = settleHeld(stored, removed ? 'applied' : 'not_done')
        expect(remove(there, planRemoval(now).remove)).toEqual([])
      }),
      runs,
    )
  })

  test('says nothing twice, and nothing when the same sets are there', () => {
    fc.assert(
      fc.property(held, (known) => {
        expect(
          planReplacement(
            KEYS,
            known,
            known.map((one) => one.set),
          ).remove,
        ).toEqual([])
      }),
    )
    const twice = [
      { set: ['e1', 'p1', ''], removing: false },
      { set: ['e1', '', ''], removing: true },
    ]
    expect(planReplacement(KEYS, twice, [['e2', 'p1', '']]).remove).toEqual([['e1', '', '']])
  })
})

describe('a removal', () => {
  test('R1: carries each set as it was sent, once', () => {
    const known = [
      { set: ['e1', 'p1', 'ann'], removing: false },
      { set: ['e1', 'p1', 'ann'], removing: true },
      { set: ['e2', '', ''], removing: false },
    ]
    expect(planRemoval(known)).toEqual({
      remove: [
        ['e1', 'p1', 'ann'],
        ['e2', '', ''],
      ],
      heldAfter: known.map(({ set: row }) => ({ set: row, removing: true })),
    })
  })
})

test('a difference never names a key that the person keeps', () => {
  fc.assert(
    fc.property(set, fc.array(set, { maxLength: 4 }), (old, kept) => {
      const row = difference(KEYS, old, kept)
      if (row && alone(row)) expect(row.filter((value, i) => value !== '' && kept.some((other) => other[i] === value))).toEqual([])
      if (!row)
        expect(
          alone(old)
            ? old.every((value, i) => value === '' || !KEYS[i]?.matchesAlone || kept.some((other) => other[i] === value))
            : kept.some((other) => same(old, other)),
        ).toBe(true)
    }),
    runs,
  )
})

test.each([
  ['applied', [['b', false]]],
  [
    'open',
    [
      ['a', true],
      ['b', false],
    ],
  ],
  [
    'not_done',
    [
      ['a', false],
      ['b', false],
    ],
  ],
] as const)('C12: a set leaves only when its removal was applied: %s', (state, left) => {
  const known: HeldSet[] = [
    { set: ['a', '', ''], removing: true },
    { set: ['b', '', ''], removing: false },
  ]
  expect(settleHeld(known, state).map(({ set: [email], removing }) => [email, removing])).toEqual(left)
})
