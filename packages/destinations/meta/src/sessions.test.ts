import { expect, test } from '@jest/globals'
import { fakeGraph, testContext } from '../test/fake-graph.ts'
import { createGraph } from './client.ts'
import { metaSessions } from './sessions.ts'

const read = (data: unknown) => {
  const http = fakeGraph([{ body: { data } }])
  return {
    http,
    answer: metaSessions(
      createGraph(http, () => {}),
      'v26.0',
    ).read(testContext(), '2384', '7'),
  }
}

test('a session tells its stage and its figures, which come as text; -1 is no figure', async () => {
  const node = { session_id: '7', stage: 'complete', num_received: '10', num_matched: '8', num_invalid_entries: '1' }
  const { http, answer } = read([{ session_id: '6' }, node])
  expect(await answer).toEqual({ stage: 'complete', received: 10, matched: 8, invalid: 1 })
  expect([http.requests[0]?.path, http.requests[0]?.query?.session_id]).toEqual(['/v26.0/2384/sessions', '7'])
  expect(await read([{ session_id: 7, stage: 'uploading', num_matched: -1 }]).answer).toEqual({
    stage: 'uploading',
    received: null,
    matched: null,
    invalid: null,
  })
})

test('a session that Meta does not list is none; an answer without a list is no answer', async () => {
  expect(await read([]).answer).toBeNull()
  expect(await read([{ session_id: '6', stage: 'complete' }]).answer).toBeNull()
  await expect(read(undefined).answer).rejects.toMatchObject({ failure: { code: 'platform_bad_reply' } })
})

test('the one session that was asked for need not repeat its id (vendors/meta.md §4.3)', async () => {
  expect(await read([{ stage: 'uploading', num_received: '3' }]).answer).toMatchObject({ stage: 'uploading', received: 3 })
  expect(await read([{ stage: 'uploading' }, { stage: 'complete' }]).answer).toBeNull()
})

test('a batch’s session is named by its receipt', () => {
  const { of } = metaSessions(
    createGraph(fakeGraph([]), () => {}),
    'v26.0',
  )
  expect([of({ sessionId: '7' }), of({ sessionId: 7 }), of({ sessionId: null }), of({})]).toEqual(['7', '7', null, null])
})
