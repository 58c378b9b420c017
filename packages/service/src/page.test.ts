import { describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import { decodeCursor, encodeCursor, pageOf, toPage, zPage } from './page.ts'

describe('the query of a list', () => {
  test('asks for fifty unless it says otherwise, and never for more than two hundred', () => {
    expect(zPage.parse({})).toEqual({ limit: 50 })
    expect(zPage.parse({ limit: '200', cursor: 'x' })).toEqual({ limit: 200, cursor: 'x' })
    for (const limit of ['0', '201', '', '1e2', '-1', 'ten']) expect(zPage.safeParse({ limit }).success).toBe(false)
  })

  test('may have filters, and nothing else', () => {
    const query = zPage.extend({ status: z.enum(['active']).optional() })
    expect(query.parse({ status: 'active' })).toEqual({ limit: 50, status: 'active' })
    expect(query.safeParse({ colour: 'red' }).success).toBe(false)
  })
})

describe('a page', () => {
  const key = z.tuple([z.string(), z.int()])

  test('leads to the next one exactly when there is more', () => {
    const keyOf = (row: number) => ['2026', row]
    const first = toPage([1, 2, 3], 2, keyOf)
    expect(first.data).toEqual([1, 2])
    expect(decodeCursor(first.nextCursor ?? '', key)).toEqual(['2026', 2])
    expect(toPage([1, 2], 2, keyOf)).toEqual({ data: [1, 2], nextCursor: null })
    expect(toPage([], 2, keyOf)).toEqual({ data: [], nextCursor: null })
    expect(pageOf(z.number()).parse(first)).toEqual(first)
  })

  test.each(['', 'nonsense', encodeCursor(['2026', 'x']), encodeCursor(null)])('refuses the cursor %p, which it never gave', (cursor) => {
    expect(() => decodeCursor(cursor, key)).toThrow(expect.objectContaining({ code: 'validation_failed' }))
  })
})
