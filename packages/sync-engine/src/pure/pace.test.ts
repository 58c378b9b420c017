/** R5: from 75 % on calls are slowed down, at 95 % they stop, and what comes back is used. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type Bucket, drained, gapAfter, levelSaid, usable, waitFor } from './pace.ts'

/** The Limited tier's score (vendors/meta.md §1.1). */
const score = (level: number, more: Partial<Bucket> = {}): Bucket => ({ capacity: 60, decaySeconds: 300, level, blockedMs: 0, pacedMs: 0, ...more })

describe('R5: the pace', () => {
  test.each([
    [0, 0],
    [44, 0],
    [45, 0],
    [51, 7_500], // half way between 75 and 95 %: half of the 15 s in which a write's three points come back
    [57, 15_000],
    [80, 15_000],
  ])('after a write that makes %s of 60 points the next waits %s ms', (level, gapMs) => {
    expect(gapAfter(score(level), 3)).toBe(gapMs)
  })

  test.each([
    [54, 0],
    [54.3, 1_500],
    [57, 15_000],
    [60, 30_000],
  ])('at %s of 60 points a write waits %s ms: 95 % are never passed', (level, waitMs) => {
    expect(waitFor(score(level), 3)).toBe(waitMs)
  })

  test('the longest of block, gap and missing points counts', () => {
    expect(waitFor(score(0, { blockedMs: 7_000, pacedMs: 2_000 }), 3)).toBe(7_000)
    expect(waitFor(score(0, { blockedMs: 1_000, pacedMs: 2_000 }), 3)).toBe(2_000)
    expect(waitFor(score(57, { blockedMs: 1_000, pacedMs: 2_000 }), 3)).toBe(15_000)
  })

  test('whoever calls as soon as the wait is over never passes 95 %, and in the long run uses all that comes back', () => {
    const cost = fc.integer({ min: 1, max: 5 })
    fc.assert(
      fc.property(cost, fc.integer({ min: 20, max: 400 }), fc.integer({ min: 10, max: 3_600 }), (each, capacity, decaySeconds) => {
        let level = 0
        let pacedMs = 0
        let ms = 0
        let highest = 0
        const calls = Math.ceil((4 * capacity) / each)
        for (let i = 0; i < calls; i += 1) {
          const wait = waitFor({ capacity, decaySeconds, level, blockedMs: 0, pacedMs }, each)
          ms += wait
          level = drained(level, capacity, decaySeconds, wait / 1_000) + each
          highest = Math.max(highest, level)
          pacedMs = gapAfter({ capacity, decaySeconds, level }, each)
        }
        expect(highest).toBeLessThanOrEqual(usable(capacity, each) + 0.001)
        const back = (capacity * ms) / (decaySeconds * 1_000)
        // Everything but what is still out had to come back; the wait is no longer than that takes.
        expect(calls * each - back).toBeGreaterThanOrEqual(0.75 * capacity - each)
      }),
    )
  })
})

describe('shares of what all tenants use', () => {
  test('a tenant that is above its part waits while others want points too', () => {
    expect(waitFor(score(54), 3, { level: 40, tenants: 2 })).toBeGreaterThan(0)
    expect(waitFor(score(54), 3, { level: 20, tenants: 2 })).toBe(0)
  })

  test('nobody waits for a share where nobody else wants any, or where points are not scarce', () => {
    expect(waitFor(score(54), 3, { level: 54, tenants: 1 })).toBe(0)
    expect(waitFor(score(44), 3, { level: 44, tenants: 10 })).toBe(0)
  })

  test('two that always want get the same in the long run, however much one had before; one alone gets all', () => {
    const used = (tenants: readonly string[]) => {
      const out = new Map(tenants.map((name, i) => [name, i === 0 ? 50 : 0]))
      const got = new Map(tenants.map((name) => [name, 0]))
      let level = 50
      for (let second = 0; second < 3_000; second += 1) {
        // The greedy one always asks first.
        for (const name of tenants) {
          const mine = out.get(name) ?? 0
          if (waitFor(score(level), 3, { level: mine, tenants: tenants.length }) > 0) continue
          level += 3
          out.set(name, mine + 3)
          got.set(name, (got.get(name) ?? 0) + 3)
        }
        level = drained(level, 60, 300, 1)
        for (const [name, points] of out) out.set(name, drained(points, 60 / tenants.length, 300, 1))
      }
      return [...got.values()]
    }
    const [greedy = 0, late = 0] = used(['greedy', 'late'])
    expect(late).toBeGreaterThan(0.4 * (greedy + late))
    expect(greedy + late).toBeGreaterThan(0.95 * 600)
    expect(used(['alone'])[0]).toBeGreaterThan(0.95 * 600)
  })
})

describe('the platform’s word', () => {
  test('counts where it is higher than ours: somebody else calls in this account', () => {
    expect(levelSaid(10, 60, 50, false, 3)).toBe(30)
    expect(levelSaid(40, 60, 50, false, 3)).toBe(40)
  })

  test('on when it takes calls again is believed: one may go then', () => {
    const level = levelSaid(10, 60, 120, true, 3)
    expect(waitFor(score(level), 3)).toBe(0)
    expect(waitFor(score(level + 3), 3)).toBeGreaterThan(0)
  })
})
