/**
 * Who is in a set, in a thousand numbers: the thousand people with the smallest hashes. Sets of up to a thousand are kept
 * whole, of larger ones the share that two have in common is known to a few percent. So a hold remembers whose removal was
 * approved (SYNC.md C17) at a cost that does not grow with the audience.
 */
const SIZE = 1_000

/** Spreads customer numbers, which come in order, over all of 2^53. */
function hashOf(customerNo: number): number {
  let high = Math.imul((customerNo / 2 ** 32) | 0, 0x85ebca6b) ^ 0x9e3779b9
  let low = Math.imul(customerNo | 0, 0xc2b2ae35) ^ high
  low = Math.imul(low ^ (low >>> 15), 0x2c1b3c6d)
  high = Math.imul(high ^ low, 0x297a2d39)
  low ^= high >>> 13
  return (high >>> 11) * 2 ** 32 + (low >>> 0)
}

/** Hashes, smallest first. */
export type Sample = readonly number[]

export class Sampler {
  readonly #kept: number[] = []

  add(customerNo: number): void {
    const hash = hashOf(customerNo)
    const kept = this.#kept
    if (kept.length === SIZE && hash >= (kept[SIZE - 1] ?? 0)) return
    let low = 0
    let high = kept.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((kept[middle] ?? 0) < hash) low = middle + 1
      else high = middle
    }
    if (kept[low] === hash) return
    kept.splice(low, 0, hash)
    if (kept.length > SIZE) kept.pop()
  }

  get sample(): Sample {
    return this.#kept
  }
}

/** The share of `now` that was not in `before`, 0 to 1. */
export function shareOfOthers(before: Sample, now: Sample): number {
  const known = new Set(before)
  // Beyond the largest hash that a full sample kept, it says nothing.
  const limit = before.length < SIZE ? Number.POSITIVE_INFINITY : (before.at(-1) ?? 0)
  const comparable = now.filter((hash) => hash <= limit)
  if (comparable.length === 0) return 0
  return comparable.filter((hash) => !known.has(hash)).length / comparable.length
}
