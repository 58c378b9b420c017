import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { rate, rateLimitHeaders, TokenBuckets } from './rate-limit.ts'

function clocked(max?: number) {
  let now = 0
  const buckets = new TokenBuckets(() => now, max)
  const advance = (ms: number) => {
    now += ms
  }
  return { buckets, pass: advance }
}

test('a burst of twice the rate passes, the next is refused until a token has grown', () => {
  const { buckets, pass } = clocked()
  const read = rate('read', 50)
  for (let i = 0; i < 100; i += 1) expect(buckets.take('t', read).allowed).toBe(true)
  const refused = buckets.take('t', read)
  expect(refused).toMatchObject({ allowed: false, remaining: 0, resetMs: 20 })
  pass(20)
  expect(buckets.take('t', read).allowed).toBe(true)
  expect(buckets.take('t', read).allowed).toBe(false)
})

test('one tenant never uses up what another has', () => {
  const { buckets } = clocked()
  const write = rate('write', 1)
  while (buckets.take('a', write).allowed);
  expect(buckets.take('b', write).allowed).toBe(true)
})

test('over any pattern of calls no more pass than burst + rate × time', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 500 }), { maxLength: 300 }), (gaps) => {
      const { buckets, pass } = clocked()
      const some = rate('x', 10)
      let passed = 0
      let time = 0
      for (const gap of gaps) {
        pass(gap)
        time += gap
        if (buckets.take('t', some).allowed) passed += 1
      }
      expect(passed).toBeLessThanOrEqual(20 + time / 100 + 1e-6)
    }),
  )
})

test('a cost above the burst is let through by a full bucket and paid back', () => {
  const { buckets, pass } = clocked()
  const bytes = rate('import', 1_000)
  expect(buckets.take('t', bytes, 5_000).allowed).toBe(true)
  const refused = buckets.take('t', bytes, 1)
  expect(refused).toMatchObject({ allowed: false, remaining: 0, resetMs: 3_001 })
  pass(3_001)
  expect(buckets.take('t', bytes, 1).allowed).toBe(true)
})

test('memory is bounded and the longest unused bucket goes first', () => {
  const { buckets } = clocked(2)
  const one = { policy: 'p', perSecond: 1, burst: 1 }
  buckets.take('a', one)
  buckets.take('b', one)
  buckets.take('a', one)
  buckets.take('c', one)
  expect(buckets.peek('a', one).allowed).toBe(false)
  expect(buckets.peek('b', one).allowed).toBe(true)
})

test('the headers are the draft’s structured fields', () => {
  const { buckets } = clocked()
  const read = rate('read', 50)
  expect(rateLimitHeaders(read, buckets.take('t', read))).toEqual({ 'ratelimit-policy': '"read";q=100;w=2', ratelimit: '"read";r=99;t=1' })
})
