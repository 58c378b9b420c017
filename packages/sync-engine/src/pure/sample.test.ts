import { describe, expect, test } from '@jest/globals'
import { Sampler, shareOfOthers } from './sample.ts'

const sampleOf = (from: number, to: number) => {
  const sampler = new Sampler()
  for (let no = from; no < to; no += 1) sampler.add(no)
  return sampler.sample
}

describe('a sample of people', () => {
  test('knows small sets whole', () => {
    expect(shareOfOthers(sampleOf(0, 300), sampleOf(0, 300))).toBe(0)
    expect(shareOfOthers(sampleOf(0, 300), sampleOf(300, 600))).toBe(1)
    expect(shareOfOthers(sampleOf(0, 300), sampleOf(30, 330))).toBeCloseTo(0.1)
    expect(shareOfOthers(sampleOf(0, 300), sampleOf(0, 0))).toBe(0)
  })

  test('does not grow, does not count anybody twice, and estimates large sets to a few percent', () => {
    expect(sampleOf(0, 200_000)).toHaveLength(1_000)
    const twice = new Sampler()
    for (const no of [7, 7, 8]) twice.add(no)
    expect(twice.sample).toHaveLength(2)
    expect(Math.abs(shareOfOthers(sampleOf(0, 200_000), sampleOf(50_000, 250_000)) - 0.25)).toBeLessThan(0.05)
    expect(shareOfOthers(sampleOf(0, 200_000), sampleOf(0, 200_000))).toBe(0)
  })
})
