import { expect, test } from '@jest/globals'
import { comparePositions, Position, readPosition } from './position.ts'

test('positions stand in the order of transactions, then of rows, as numbers and beyond 2^53', () => {
  const inOrder = ['0:0', '9:10', '10:9', '10:10', '9007199254740992:1', '9007199254740993:0', '9007199254740993:9007199254740993']
  expect([...inOrder].reverse().toSorted(comparePositions)).toEqual(inOrder)
  expect(comparePositions('10:9', '10:9')).toBe(0)
})

test('a position is read as text, so that nothing is rounded', () => {
  expect(readPosition('18446744073709551615:9223372036854775807')).toEqual({ xid: '18446744073709551615', seq: '9223372036854775807' })
  expect(Position.safeParse('10').success).toBe(false)
})
