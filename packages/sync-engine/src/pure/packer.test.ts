import type { KeySet } from '@audience-sync/destination-kit/contract'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type Packed, Packer, type Part } from './packer.ts'

/** One person's change, as `partsOf` makes it: maybe a removal, maybe an addition after it. */
interface Change {
  readonly removals: readonly string[]
  readonly additions: readonly string[]
}

const lane = (set: KeySet) => set[0] ?? ''
const part = (customerNo: number, page: number, operation: 'add' | 'remove', lanes: readonly string[], afterRemoval: boolean): Part => ({
  customerNo,
  page,
  operation,
  kind: operation === 'add' ? (afterRemoval ? 'replaced' : 'added') : 'removed',
  sets: lanes.map((of, i) => [of, `${customerNo}-${i}`]),
  heldAfter: [],
  fingerprint: operation === 'add' ? 1 : null,
  afterRemoval,
  suppressionsAt: '0:0',
})
const partsOf = ({ removals, additions }: Change, customerNo: number, page: number): Part[] => [
  ...(removals.length > 0 ? [part(customerNo, page, 'remove', removals, false)] : []),
  ...(additions.length > 0 ? [part(customerNo, page, 'add', additions, removals.length > 0)] : []),
]

const lanes = fc.constantFrom('', 'x')
/** Additions of a person are of one lane; what an older choice left may be of several. */
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ removals: fc.constant([]), additions: fc.tuple(lanes, fc.integer({ min: 1, max: 3 })).map(([of, n]) => Array<string>(n).fill(of)) }),
  fc.record({ removals: fc.array(lanes, { minLength: 1, maxLength: 3 }), additions: fc.constant([]) }),
  fc.record({ removals: fc.array(lanes, { minLength: 1, maxLength: 2 }), additions: lanes.map((of) => [of]) }),
)
const LIMIT = 4
const changes = fc.array(change, { maxLength: 60 })
const PAGE = 7

interface Seen {
  readonly packed: Packed
  readonly oldestPage: number | undefined
  readonly left: ReadonlySet<number>
}

function pack(all: readonly Change[], limit = LIMIT): { seen: Seen[]; packer: Packer } {
  const packer = new Packer(limit, lane)
  const seen: Seen[] = []
  const take = (due: Generator<Packed>) => {
    for (const packed of due) seen.push({ packed, oldestPage: packer.oldestPage, left: new Set([...all.keys()].filter((no) => packer.has(no))) })
  }
  all.forEach((one, no) => {
    take(packer.add(partsOf(one, no, Math.floor(no / PAGE))))
  })
  take(packer.flush())
  return { seen, packer }
}
const runs = { numRuns: process.env.FULL ? 100_000 : 500 }

describe('whatever is packed', () => {
  test('goes out completely and once, in batches within the limit and of one lane and operation', () => {
    fc.assert(
      fc.property(changes, (all) => {
        const { seen, packer } = pack(all)
        const sent = seen.flatMap(({ packed }) => packed.parts.flatMap(({ operation, sets }) => sets.map((set) => `${operation} ${set.join()}`)))
        const asked = all.flatMap((one, no) => partsOf(one, no, 0).flatMap(({ operation, sets }) => sets.map((set) => `${operation} ${set.join()}`)))
        expect(sent.toSorted()).toEqual(asked.toSorted())
        for (const { packed } of seen) {
          expect(packed.parts.reduce((sum, { sets }) => sum + sets.length, 0)).toBeLessThanOrEqual(LIMIT)
          for (const { operation, sets } of packed.parts) {
            expect(operation).toBe(packed.operation)
            for (const set of sets) expect(lane(set)).toBe(packed.lane)
          }
        }
        expect(packer.oldestPage).toBeUndefined()
        expect([...all.keys()].some((no) => packer.has(no))).toBe(false)
      }),
      runs,
    )
  })

  test('keeps the rows of a person, of one operation and lane, in one call; one of them carries the count', () => {
    fc.assert(
      fc.property(changes, (all) => {
        const { seen } = pack(all)
        const calls = new Map<string, number>()
        const counted = new Map<number, string[]>()
        seen.forEach(({ packed }, call) => {
          for (const { customerNo, kind } of packed.parts) {
            const key = `${customerNo} ${packed.operation} ${packed.lane}`
            expect(calls.get(key) ?? call).toBe(call)
            calls.set(key, call)
            if (kind !== 'none') counted.set(customerNo, [...(counted.get(customerNo) ?? []), kind])
          }
        })
        all.forEach((one, no) => {
          expect(counted.get(no)).toEqual([
            ...(one.removals.length > 0 ? ['removed'] : []),
            ...(one.additions.length > 0 ? [one.removals.length > 0 ? 'replaced' : 'added'] : []),
          ])
        })
      }),
      runs,
    )
  })

  test('C3: of a person whose rows go out in several calls, only the last says them; until then they are left to do', () => {
    fc.assert(
      fc.property(changes, (all) => {
        const pieces = Map.groupBy(
          pack(all).seen.flatMap(({ packed }) => packed.parts),
          ({ customerNo, operation }) => `${customerNo} ${operation}`,
        )
        for (const [, parts] of pieces) {
          for (const piece of parts.slice(0, -1)) expect(piece).toMatchObject({ kind: 'none', half: true, afterRemoval: false })
          expect(parts.at(-1)?.half).toBeUndefined()
          // What clears them is the kind, or, of what counts nothing, that something went before.
          if (parts.length > 1) expect(parts.at(-1)?.afterRemoval).toBe(true)
        }
      }),
      runs,
    )
  })

  test('C1: a person’s removals are out before their addition', () => {
    fc.assert(
      fc.property(changes, (all) => {
        const added = new Set<number>()
        for (const { packed } of pack(all).seen)
          for (const { customerNo } of packed.parts) {
            if (packed.operation === 'add') added.add(customerNo)
            else expect(added.has(customerNo)).toBe(false)
          }
      }),
      runs,
    )
  })

  test('additions of a lane are numbered in one session, whose last batch alone is marked; a removal is a session of its own', () => {
    fc.assert(
      fc.property(changes, (all) => {
        const { seen } = pack(all)
        for (const which of ['', 'x']) {
          const session = seen.filter(({ packed }) => packed.operation === 'add' && packed.lane === which).map(({ packed }) => packed)
          expect(session.map(({ seq }) => seq)).toEqual(session.map((_, i) => i + 1))
          expect(session.map(({ last }) => last)).toEqual(session.map((_, i) => i === session.length - 1))
        }
        for (const { packed } of seen) if (packed.operation === 'remove') expect(packed).toMatchObject({ seq: 1, last: true })
      }),
      runs,
    )
  })

  test('C3: while a batch is taken, whatever comes after it is still to be stored: the cursor cannot pass its page', () => {
    fc.assert(
      fc.property(changes, (all) => {
        const { seen } = pack(all)
        seen.forEach(({ oldestPage, left }, i) => {
          const later = seen.slice(i + 1).flatMap(({ packed }) => packed.parts)
          // Those that are packed already, or come from the page that is being read.
          const known = later.filter(({ customerNo }) => left.has(customerNo))
          expect(oldestPage).toBe(known.length === 0 ? undefined : Math.min(...known.map(({ page }) => page)))
        })
      }),
      runs,
    )
  })

  test('is as few calls as the limit allows, when nobody is replaced', () => {
    const simple = fc.array(fc.record({ removing: fc.boolean(), of: lanes }), { maxLength: 60 })
    fc.assert(
      fc.property(simple, (people) => {
        const all = people.map(({ removing, of }): Change => (removing ? { removals: [of], additions: [] } : { removals: [], additions: [of] }))
        const { seen } = pack(all)
        const fewest = (removing: boolean) =>
          ['', 'x'].reduce((sum, of) => sum + Math.ceil(people.filter((one) => one.removing === removing && one.of === of).length / LIMIT), 0)
        expect(seen).toHaveLength(fewest(true) + fewest(false))
      }),
      runs,
    )
  })

  test('is held back for two batches of a session at most', () => {
    const packer = new Packer(LIMIT, lane)
    let out = 0
    for (let no = 0; no < 1_000; no += 1) {
      for (const packed of packer.add([part(no, 0, 'add', [''], false)])) out += packed.parts.length
      expect(no + 1 - out).toBeLessThanOrEqual(2 * LIMIT)
    }
  })

  test('of a person alone may be more than the limit: then it is a batch of its own', () => {
    const { seen } = pack([
      { removals: [], additions: [''] },
      { removals: [], additions: ['', '', '', '', '', ''] },
      { removals: [], additions: [''] },
    ])
    expect(seen.map(({ packed }) => packed.parts.map(({ customerNo }) => customerNo))).toEqual([[0], [1], [2]])
  })

  test('may be nothing: a part without sets is no call', () => {
    const packer = new Packer(LIMIT, lane)
    expect([...packer.add([]), ...packer.add([part(1, 0, 'add', [], false)]), ...packer.flush()]).toEqual([])
    expect(packer.has(1)).toBe(false)
  })
})
