/** R5: from 75 % on calls are slowed down, at 95 % they stop, and what comes back is used. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type Bucket, gapAfter, heard, levelOf, type Spent, spend, usable, waitFor } from './pace.ts'

/** The Limited tier's score (vendors/meta.md §1.1), with so many points out that come back in 100 s. */
const NOW = 1_000_000
const SCORE = { capacity: 60, decaySeconds: 300 }
const score = (level: number, more: Partial<Bucket> = {}): Bucket => ({
  ...SCORE,
  spent: [[NOW + 100_000, level]],
  now: NOW,
  blockedMs: 0,
  pacedMs: 0,
  ...more,
})

describe('R5: the pace', () => {
  test.each([
    [0, 0],
    [44, 0],
    [45, 0],
    [51, 7_500], // half way between 75 and 95 %: half of the 15 s in which a write's three points come back in the long run
    [57, 15_000],
    [80, 15_000],
  ])('after a write that makes %s of 60 points the next waits %s ms', (level, gapMs) => {
    expect(gapAfter(SCORE, level, 3)).toBe(gapMs)
  })

  test.each([
    [54, 0],
    [54.1, 100_000],
    [60, 100_000],
  ])('at %s of 60 points a write waits %s ms: 95 % are never passed', (level, waitMs) => {
    expect(waitFor(score(level), 3)).toBe(waitMs)
  })

  test('the longest of block, gap and missing points counts', () => {
    expect(waitFor(score(0, { blockedMs: 7_000, pacedMs: 2_000 }), 3)).toBe(7_000)
    expect(waitFor(score(0, { blockedMs: 1_000, pacedMs: 2_000 }), 3)).toBe(2_000)
    expect(waitFor(score(57, { blockedMs: 1_000, pacedMs: 2_000 }), 3)).toBe(100_000)
  })

  test('a whole turn waits until there are points for all of its calls, as far as the bucket holds them', () => {
    const spent: Spent = [
      [NOW + 10_000, 20],
      [NOW + 20_000, 20],
      [NOW + 30_000, 17],
    ]
    expect(waitFor(score(0, { spent }), 3)).toBe(10_000)
    expect(waitFor(score(0, { spent }), 3, undefined, 10)).toBe(20_000)
    expect(waitFor(score(0, { spent }), 3, undefined, 1_000)).toBe(30_000)
  })

  test('a point is out for the decay, and ten to twenty seconds of 300 more: as long as its call may be on its way', () => {
    const spent = spend([], 3, NOW, 300)
    const backAt = spent[0]?.[0] ?? 0
    expect(backAt - NOW - 300_000).toBeGreaterThan(10_000)
    expect(backAt - NOW - 300_000).toBeLessThanOrEqual(20_000)
    expect([levelOf(spent, backAt - 1), levelOf(spent, backAt)]).toEqual([3, 0])
    expect(spend(spent, 3, NOW + 1, 300)).toEqual([[backAt, 6]]) // remembered together
    expect(spend(spent, 3, backAt, 300)).toHaveLength(1) // and forgotten
  })

  test('whoever calls as soon as the wait is over never has more than 95 % in any window, and in the long run nearly uses it up', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 40, max: 200 }), fc.integer({ min: 10, max: 3_600 }), (cost, capacity, decaySeconds) => {
        const calls: number[] = []
        let spent: Spent = []
        let now = NOW
        let pacedMs = 0
        for (let i = 0; i < (4 * capacity) / cost; i += 1) {
          now += waitFor({ capacity, decaySeconds, spent, now, blockedMs: 0, pacedMs }, cost)
          spent = spend(spent, cost, now, decaySeconds)
          pacedMs = gapAfter({ capacity, decaySeconds }, levelOf(spent, now), cost)
          calls.push(now)
        }
        const most = usable(capacity, cost) + 0.001
        for (const [i, at] of calls.entries()) {
          const within = calls.slice(0, i + 1).filter((one) => one > at - decaySeconds * 1_000)
          expect(within.length * cost).toBeLessThanOrEqual(most)
        }
        // Four fillings take three decays, each up to two slots of 30 longer, and what the gaps and the rounding to whole calls leave.
        expect(now - NOW).toBeLessThan(5 * decaySeconds * 1_000)
      }),
      { numRuns: 50 },
    )
  })
})

describe('shares of what all tenants use', () => {
  const out = (level: number): Spent => [[NOW + 50_000, level]]

  test('a tenant that is above its part waits while others want points too', () => {
    expect(waitFor(score(54), 3, { spent: out(40), tenants: 2 })).toBe(50_000)
    expect(waitFor(score(54), 3, { spent: out(20), tenants: 2 })).toBe(0)
  })

  test('nobody waits for a share where nobody else wants any, or where points are not scarce', () => {
    expect(waitFor(score(54), 3, { spent: out(54), tenants: 1 })).toBe(0)
    expect(waitFor(score(44), 3, { spent: out(44), tenants: 10 })).toBe(0)
  })

  test('two that always want get the same in the long run, however much one had before; one alone gets all', () => {
    const used = (tenants: readonly string[]) => {
      let all = spend([], 54, NOW, 300)
      const own = new Map(tenants.map((name, i): [string, Spent] => [name, i === 0 ? all : []]))
      const got = new Map(tenants.map((name) => [name, 0]))
      for (let now = NOW; now < NOW + 6_000_000; now += 1_000) {
        // The greedy one always asks first.
        for (const name of tenants) {
          const share = { spent: own.get(name) ?? [], tenants: tenants.length }
          if (waitFor(score(0, { spent: all, now }), 3, share) > 0) continue
          all = spend(all, 3, now, 300)
          own.set(name, spend(share.spent, 3, now, 300))
          got.set(name, (got.get(name) ?? 0) + 3)
        }
      }
      return [...got.values()]
    }
    const [greedy = 0, late = 0] = used(['greedy', 'late'])
    const [alone = 0] = used(['alone'])
    expect(late).toBeGreaterThan(0.3 * (greedy + late))
    expect(greedy + late).toBeGreaterThan(0.9 * alone)
    expect(alone).toBeGreaterThan(0.85 * 20 * 57)
  })
})

describe('the platform’s word', () => {
  test('counts where it is higher than ours: somebody else calls in this account', () => {
    expect(levelOf(heard(score(10).spent, SCORE, NOW, 50), NOW)).toBe(30)
    expect(levelOf(heard(score(40).spent, SCORE, NOW, 50), NOW)).toBe(40)
    expect(levelOf(heard(score(10).spent, SCORE, NOW, 50), NOW + 299_000)).toBe(20)
  })
})
