import type { AcceptedBatch } from '@audience-sync/destination-kit/contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import { expect, test } from '@jest/globals'
import { readSessions, sessionsToRead } from './progress.ts'

const of = (receipt: Readonly<Record<string, unknown>>) => (typeof receipt.session === 'string' ? receipt.session : null)
const batch = (batchId: string, receipt: Record<string, unknown>): AcceptedBatch => ({ batchId, acceptedAt: new Date(0), receipt })
const applied = (batchId: string) => ({ batchId, state: 'applied' as const, rejections: [] })

test('a session is read at the first look and when it is applied, once for all its batches, and not in between', () => {
  const known = { session: 's1', progress: {} }
  const accepted = [batch('a', known), batch('b', known), batch('c', { session: 's2' }), batch('d', {})]
  expect([...sessionsToRead(of, accepted, [])]).toEqual([['s2', ['c']]])
  expect([...sessionsToRead(of, accepted, [applied('a'), applied('b')])]).toEqual([
    ['s1', ['a', 'b']],
    ['s2', ['c']],
  ])
})

test('one look reads a few sessions only, and ends with the first that fails', async () => {
  const many = Array.from({ length: 30 }, (_, i) => batch(String(i), { session: `s${i}` }))
  const sessions = sessionsToRead(of, many, [])
  expect(sessions.size).toBe(10)
  const progress = { stage: 'x', received: 1, matched: null, invalid: 0 }
  const told = await readSessions(sessions, async (session) => {
    if (session === 's1') return null
    if (session === 's3') throw new DestinationError({ kind: 'unavailable', code: 'destination_unavailable', message: '' })
    return progress
  })
  expect(told).toEqual([
    { batchIds: ['0'], progress },
    { batchIds: ['2'], progress },
  ])
  await expect(
    readSessions(sessions, async () => {
      throw new TypeError('ours')
    }),
  ).rejects.toThrow('ours')
})
