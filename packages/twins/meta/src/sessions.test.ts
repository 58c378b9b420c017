import { describe, expect, test } from '@jest/globals'
import { createSessions, readSession } from './sessions.ts'

const call = { accountId: '1', target: 'a', operation: 'add' as const, schema: ['EMAIL'], digest: 'd1', now: 0 }
const batch = (seq: number, last = false) => ({ id: '7', seq, last })

describe('sessions', () => {
  test('batches follow one another from 1', () => {
    const sessions = createSessions()
    expect(() => sessions.take(batch(2), call)).toThrow('batch 2 does not follow 0')
    sessions.take(batch(1), call)
    expect(() => sessions.take(batch(3), { ...call, digest: 'd3' })).toThrow('batch 3 does not follow 1')
    expect(sessions.take(batch(2), { ...call, digest: 'd2' }).batches.size).toBe(2)
  })

  test('a batch may come again with the same content, even after the last one, and not with other content', () => {
    const sessions = createSessions()
    sessions.take(batch(1, true), call)
    expect(sessions.take(batch(1, true), call).batches.size).toBe(1)
    expect(() => sessions.take(batch(1, true), { ...call, digest: 'other' })).toThrow('other content')
    expect(() => sessions.take(batch(2), { ...call, digest: 'd2' })).toThrow('the last batch was 1')
  })

  test('the schema stays, and the id belongs to one audience and one kind of call in its ad account', () => {
    const sessions = createSessions()
    sessions.take(batch(1), call)
    expect(() => sessions.take(batch(2), { ...call, digest: 'd2', schema: ['EMAIL', 'PHONE'] })).toThrow('schema must stay')
    expect(() => sessions.take(batch(2), { ...call, target: 'b' })).toThrow('used before')
    expect(() => sessions.take(batch(2), { ...call, operation: 'remove' })).toThrow('used before')
    expect(sessions.take(batch(1), { ...call, accountId: '2', target: 'b' }).target).toBe('b')
  })

  test('a refused first batch leaves no session behind', () => {
    const sessions = createSessions()
    expect(() => sessions.take(batch(5), call)).toThrow()
    expect(sessions.count()).toBe(0)
  })

  test('ids of 64 bits keep their digits', () => {
    const raw = '{"session":{"session_id":9007199254740993,"batch_seq":1}}'
    expect(readSession(JSON.parse(raw).session, () => raw)?.id).toBe('9007199254740993')
    expect(readSession({ session_id: '12', batch_seq: 1, last_batch_flag: true }, () => '')).toEqual({ id: '12', seq: 1, last: true })
  })

  test.each([
    [{ session_id: 0, batch_seq: 1 }],
    [{ session_id: -4, batch_seq: 1 }],
    [{ session_id: '9223372036854775808', batch_seq: 1 }],
    [{ batch_seq: 1 }],
    [{ session_id: 1 }],
    [{ session_id: 1, batch_seq: 0 }],
    [{ session_id: 1, batch_seq: '1' }],
    [{ session_id: 1, batch_seq: 1, last_batch_flag: 'yes' }],
    [{ session_id: 1, batch_seq: 1, estimated_num_total: -1 }],
    [{ session_id: 1, batch_seq: 1, batchSeq: 1 }],
    ['1'],
  ])('%j is no session', (given) => {
    expect(() => readSession(given, () => '')).toThrow('#100')
  })
})
