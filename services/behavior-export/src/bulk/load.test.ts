import { describe, expect, test } from '@jest/globals'
import type { Checked } from './check.ts'
import { checkAll, type Item, load } from './load.ts'

async function* lines(count: number, bad: (line: number) => boolean = () => false) {
  for (let line = 1; line <= count; line += 1) yield { line, json: bad(line) ? undefined : line }
}
const check = (json: unknown): Checked<number> => ({ value: json as number })
const nothing = { changed: 0, stale: 0, rejected: 0, errors: [] }

describe('load', () => {
  test('stores in batches, in order, one at a time, and reads on meanwhile', async () => {
    const batches: number[][] = []
    let storing = 0
    const store = async (items: readonly Item<number>[]) => {
      storing += 1
      expect(storing).toBe(1)
      batches.push(items.map(({ value }) => value))
      await new Promise((resolve) => setImmediate(resolve))
      storing -= 1
      return { ...nothing, changed: items.length }
    }
    expect(await load(lines(12_001), { check, store })).toMatchObject({ received: 12_001, changed: 12_001, rejected: 0 })
    expect(batches.map((batch) => batch.length)).toEqual([5_000, 5_000, 2_001])
    expect(batches.flat()).toEqual(Array.from({ length: 12_001 }, (_, n) => n + 1))
  })

  test('tells the first hundred errors by line, those of storing among them', async () => {
    const store = async (items: readonly Item<number>[]) => ({ ...nothing, rejected: 1, errors: [{ line: items[0]?.line ?? 0, code: 'erased', detail: '' }] })
    const answer = await load(
      lines(10_000, (line) => line % 50 === 2),
      { check, store },
    )
    expect([answer.received, answer.rejected, answer.errors.length]).toEqual([10_000, 202, 100])
    expect(answer.errors.slice(0, 2).map(({ line, code }) => [line, code])).toEqual([
      [1, 'erased'],
      [2, 'line_malformed'],
    ])
  })

  test('what fails while storing fails the request', async () => {
    const store = async () => Promise.reject(new Error('the database is gone'))
    await expect(load(lines(20_000), { check, store })).rejects.toThrow('the database is gone')
  })
})

test('checkAll looks at every line and names the bad ones', async () => {
  await expect(checkAll(lines(5), check)).resolves.toBeUndefined()
  await expect(
    checkAll(
      lines(5, (line) => line === 3),
      check,
    ),
  ).rejects.toMatchObject({
    code: 'validation_failed',
    options: { extra: { received: 5, rejected: 1, errors: [{ line: 3, code: 'line_malformed' }] } },
  })
})
