/** The whole list anew, and out of all audiences of an account: what is sent, and what an answer lets us conclude (vendors/meta.md §4.4). */
import type { KeySet, SendConfig } from '@audience-sync/destination-kit/contract'
import { describe, expect, test } from '@jest/globals'
import { type FakeAnswer, fakeGraph, testContext } from '../test/fake-graph.ts'
import { createMetaDestination } from './destination.ts'
import { keys, MetaSettings } from './manifest.ts'

const digest = 'a'.repeat(64)
const row = (values: Readonly<Record<string, string>>): KeySet => keys.map(({ name }) => values[name] ?? '')
const config = (settings: object = {}): SendConfig<MetaSettings> => ({ identifiers: ['email', 'phone'], settings: MetaSettings.parse(settings) })

function meta(answers: readonly FakeAnswer[]) {
  const http = fakeGraph(answers)
  const destination = createMetaDestination({ baseUrl: 'http://127.0.0.1:9', http })
  const { replaceList, removeEverywhere } = destination
  if (!replaceList || !removeEverywhere) throw new Error('Meta does both.')
  return { destination, replaceList, removeEverywhere, http, ctx: testContext() }
}

const node = (operation: number, more: object = {}): FakeAnswer => ({
  body: { operation_status: { code: operation }, subtype: 'CUSTOM', is_value_based: false, approximate_count_upper_bound: 1_000, ...more },
  headers: { date: 'Mon, 23 Nov 2026 12:00:00 GMT' },
})

describe('a replacement', () => {
  test('is the same body to usersreplace, with its place in the session', () => {
    const { replaceList } = meta([])
    const { method, path, body } = replaceList.encode({
      operation: 'add',
      audienceExternalId: '23',
      accountExternalId: '77',
      rows: [row({ EMAIL: digest })],
      session: { id: 5, seq: 1, last: false },
      config: config(),
    })
    expect([method, path]).toEqual(['POST', '/v26.0/23/usersreplace'])
    expect(JSON.parse(body.toString())).toEqual({
      payload: { schema: ['EMAIL', 'PHONE'], data: [[digest, '']] },
      session: { session_id: 5, batch_seq: 1, last_batch_flag: false },
    })
  })

  test.each([
    [{}, 'auto'],
    [{ fullRefresh: 'auto' }, 'auto'],
    [{ fullRefresh: 'replace' }, 'always'],
    [{ fullRefresh: 'add_and_remove' }, 'never'],
  ])('is wished for as the settings say: %j', (settings, wish) => expect(meta([]).replaceList.wish(MetaSettings.parse(settings))).toBe(wish))

  test('cannot carry EXTERN_ID, whose rows are a session of their own', () => {
    const { replaceList } = meta([])
    expect(replaceList.refusal(config())).toBeNull()
    expect(replaceList.refusal({ ...config(), identifiers: ['email', 'externalId'] })).toMatch('EXTERN_ID')
  })

  test.each<[string, FakeAnswer, string]>([
    ['normal', node(200), 'ready'],
    ['being replaced', node(414), 'busy'],
    ['being populated', node(441), 'busy'],
    ['after a replacement that failed', node(415), 'failed'],
    ['of another subtype', node(200, { subtype: 'LOOKALIKE' }), 'impossible'],
    ['value-based, where plain rows would go', node(200, { is_value_based: true }), 'impossible'],
    ['of 100 million people', node(200, { approximate_count_upper_bound: 100_000_000 }), 'impossible'],
  ])('of an audience that is %s', async (_what, answer, state) => {
    const { replaceList, ctx } = meta([answer])
    expect(await replaceList.look(ctx, '23', config(), null)).toMatchObject({ state, at: new Date('2026-11-23T12:00:00Z') })
  })

  test.each<[string, FakeAnswer[], string]>([
    ['the audience is being replaced', [node(414)], 'begun'],
    ['its session has rows', [node(200), { body: { data: [{ session_id: '5', num_received: '2' }] } }], 'begun'],
    ['its session has rows, and tells its id as a number', [node(200), { body: { data: [{ session_id: 5, num_received: 2 }] } }], 'begun'],
    // vendors/meta.md §4.3 does not count the id among what Meta tells of the session that was asked for.
    ['the one session that it tells of does not repeat its id', [node(200), { body: { data: [{ num_received: 2 }] } }], 'begun'],
    ['the session that it tells of is another', [node(200), { body: { data: [{ session_id: '6', num_received: 2 }] } }], 'ready'],
    ['there is no such session', [node(200), { body: { data: [] } }], 'ready'],
    ['the session is empty', [node(200), { body: { data: [{ session_id: '5', num_received: '0' }] } }], 'ready'],
    ['the replacement failed', [node(415)], 'failed'],
  ])('has begun, or not, when %s', async (_what, answers, state) => {
    const { replaceList, http, ctx } = meta(answers)
    expect(await replaceList.look(ctx, '23', config(), 5)).toMatchObject({ state })
    expect(http.requests).toHaveLength(answers.length)
  })

  test('that Meta gave up is refused as a whole when its batches are asked about, and others are not', async () => {
    const { destination, ctx } = meta([{ body: { operation_status: { code: 415 }, time_content_updated: 1 } }])
    const batches = [
      { batchId: 'a', acceptedAt: new Date(0), receipt: { replaces: true } },
      { batchId: 'b', acceptedAt: new Date(0), receipt: {} },
    ]
    expect(await destination.settle(ctx, '23', batches)).toMatchObject([
      { batchId: 'a', state: 'rejected', failure: { code: 'replacement_failed' } },
      { batchId: 'b', state: 'pending' },
    ])
  })
})

describe('out of all audiences of an account', () => {
  test('is a removal from the account, without a session, whose answer is proof', async () => {
    const { destination, removeEverywhere, http, ctx } = meta([
      { body: { session_id: '9', num_received: 1, num_invalid_entries: 0 }, headers: { 'x-fb-trace-id': 'trace', date: 'Mon, 23 Nov 2026 12:00:00 GMT' } },
    ])
    const request = removeEverywhere.encode({ accountExternalId: '77', rows: [row({ EMAIL: digest })], config: config() })
    expect([request.method, request.path]).toEqual(['DELETE', '/v26.0/act_77/usersofanyaudience'])
    expect(JSON.parse(request.body.toString())).toEqual({ payload: { schema: ['EMAIL', 'PHONE'], data: [[digest, '']] } })
    expect(await destination.push(ctx, request)).toMatchObject({ rejections: [], receipt: { sessionId: '9', fbtraceId: 'trace' } })
    expect(http.requests).toHaveLength(1)
  })

  test('is ignored without an error where the account has no portfolio: then it is not sent', () => {
    const { removeEverywhere } = meta([])
    expect(removeEverywhere.refusal({ businessId: null })).toMatch('portfolio')
    expect(removeEverywhere.refusal({ businessId: '2' })).toBeNull()
  })
})
