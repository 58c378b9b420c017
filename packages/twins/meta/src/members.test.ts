import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createMembers, type Row } from './members.ts'

const row = (cells: Record<string, string | number>): Row => ({ schema: Object.keys(cells), values: Object.values(cells) })
const filled = (...rows: Record<string, string | number>[]) => {
  const members = createMembers(new Map())
  for (const cells of rows) members.add(row(cells))
  return members
}

describe('members', () => {
  test('the same row twice is one row, and the second time is no change', () => {
    const members = filled({ EMAIL: 'e', PHONE: 'p' })
    expect(members.add(row({ PHONE: 'p', EMAIL: 'e', FN: '' }))).toBe(false)
    expect(members.list()).toEqual([{ EMAIL: 'e', PHONE: 'p' }])
  })

  test.each(['EMAIL', 'PHONE', 'MADID', 'EXTERN_ID'])('a removal by %s alone deletes every row that shares it', (key) => {
    const members = filled({ [key]: 'x', FN: 'a' }, { [key]: 'x', ...(key === 'EMAIL' ? { PHONE: 'p' } : { EMAIL: 'e' }) }, { EMAIL: 'other' })
    expect(members.remove(row({ [key]: 'x' }))).toBeGreaterThan(0)
    expect(members.list()).toEqual([{ EMAIL: 'other' }])
  })

  test('C1: removing the old row after adding the new one deletes both, since they share the phone', () => {
    const members = filled({ EMAIL: 'old', PHONE: 'p' }, { EMAIL: 'new', PHONE: 'p' })
    expect(members.size()).toBe(2)
    expect(members.remove(row({ EMAIL: 'old', PHONE: 'p' }))).toBe(2)
    expect(members.size()).toBe(0)
  })

  test('a row that says all of an older one takes its place; rows that overlap stay side by side', () => {
    expect(filled({ EMAIL: 'e' }, { EMAIL: 'e', PHONE: 'p' }).list()).toEqual([{ EMAIL: 'e', PHONE: 'p' }])
    expect(filled({ EMAIL: 'e', FN: 'ann' }, { EMAIL: 'e', FN: 'anna' }).list()).toEqual([{ EMAIL: 'e', FN: 'anna' }])
    expect(filled({ EMAIL: 'e', PHONE: 'p' }, { EMAIL: 'f', PHONE: 'p' }).size()).toBe(2)
    expect(filled({ EMAIL: 'e', PHONE: 'p' }, { PHONE: 'p' }).size()).toBe(2)
  })

  test('without an identifier that matches alone only the equal row goes', () => {
    const members = filled({ FN: 'a', LN: 'b' }, { FN: 'a', LN: 'c' }, { EMAIL: 'e', FN: 'a', LN: 'b' })
    expect(members.remove(row({ LN: 'b', FN: 'a' }))).toBe(1)
    expect(members.remove(row({ FN: 'a' }))).toBe(0)
    expect(members.size()).toBe(2)
  })

  test('a changed value of the same person replaces the row', () => {
    expect(filled({ EMAIL: 'e', LOOKALIKE_VALUE: 1 }, { EMAIL: 'e', LOOKALIKE_VALUE: 2 }).list()).toEqual([{ EMAIL: 'e', LOOKALIKE_VALUE: 2 }])
    expect(filled({ FN: 'a', LOOKALIKE_VALUE: 1 }, { FN: 'a', LOOKALIKE_VALUE: 2 }).list()).toEqual([{ FN: 'a', LOOKALIKE_VALUE: 2 }])
  })

  test('what removals would hit is told without deleting', () => {
    const members = filled({ EMAIL: 'e', PHONE: 'p' }, { EMAIL: 'f', PHONE: 'p' }, { EMAIL: 'g' })
    expect(members.hitBy([row({ EMAIL: 'e' }), row({ PHONE: 'p' })]).size).toBe(2)
    expect(members.size()).toBe(3)
  })

  test('C1: two addresses of one account are one person: the removal of the old one takes the new one along', () => {
    const members = createMembers(
      new Map([
        ['old', 'ann'],
        ['new', 'ann'],
      ]),
    )
    members.add(row({ EMAIL: 'old' }))
    members.add(row({ EMAIL: 'new' }))
    expect(members.list()).toEqual([{ EMAIL: 'new' }])
    expect(members.remove(row({ EMAIL: 'old' }))).toBe(1)
  })

  test('after any history no removed identifier is left, and every identifier added since its last removal is there', () => {
    const step = fc
      .record({ add: fc.boolean(), e: fc.constantFrom('', 'e1', 'e2', 'e3'), p: fc.constantFrom('', 'p1', 'p2') })
      .filter(({ e, p }) => e !== '' || p !== '')
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const members = createMembers(new Map())
        let plain: { EMAIL: string; PHONE: string }[] = []
        for (const { add, e, p } of steps) {
          if (add) {
            members.add(row({ EMAIL: e, PHONE: p }))
            plain.push({ EMAIL: e, PHONE: p })
          } else {
            members.remove(row({ EMAIL: e, PHONE: p }))
            plain = plain.filter((one) => !((e !== '' && one.EMAIL === e) || (p !== '' && one.PHONE === p)))
          }
        }
        // A row that was taken over by a fuller one may fall with it: what is left is part of what plain rows would leave.
        const values = (key: 'EMAIL' | 'PHONE', rows: { EMAIL?: unknown; PHONE?: unknown }[]) =>
          new Set(rows.map((one) => one[key]).filter((value) => value !== '' && value !== undefined))
        for (const key of ['EMAIL', 'PHONE'] as const) for (const value of values(key, members.list())) expect(values(key, plain)).toContain(value)
        const last = steps.at(-1)
        if (last?.add)
          expect(members.list()).toContainEqual(Object.fromEntries(Object.entries({ EMAIL: last.e, PHONE: last.p }).filter(([, value]) => value !== '')))
      }),
    )
  })
})
