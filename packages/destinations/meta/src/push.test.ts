import type { Batch } from '@audience-sync/destination-kit/contract'
import { HttpFailure } from '@audience-sync/http/failure'
import { describe, expect, test } from '@jest/globals'
import { accessToken, type FakeAnswer, fakeGraph, graphError, testContext } from '../test/fake-graph.ts'
import { createMetaDestination } from './destination.ts'
import { keys, MetaSettings } from './manifest.ts'

const digest = (letter: string) => letter.repeat(64)
const row = (values: Record<string, string>) => keys.map(({ name }) => values[name] ?? '')
const batch: Batch<MetaSettings> = {
  operation: 'add',
  audienceExternalId: '2384',
  accountExternalId: '77',
  rows: [row({ EMAIL: digest('a') }), row({ EMAIL: digest('b') }), row({ EMAIL: digest('a') })],
  session: { id: 7, seq: 1, last: true },
  config: { identifiers: ['email'], settings: MetaSettings.parse({}) },
}
const date = 'Mon, 23 Nov 2026 14:00:00 GMT'
const accepted = { audience_id: '2384', session_id: '7', num_received: 3, num_invalid_entries: 0, invalid_entry_samples: [] }

async function push(answers: readonly (FakeAnswer | Error)[], sent = batch) {
  const http = fakeGraph(answers)
  const alarms: unknown[] = []
  const meta = createMetaDestination({ baseUrl: 'http://127.0.0.1:9', http, onAlarm: (alarm) => alarms.push(alarm) })
  const ctx = testContext()
  const result = await meta.push(ctx, meta.encode(sent)).catch((error: unknown) => error)
  return { result, ctx, http, alarms }
}

describe('pushing a batch', () => {
  test('the bytes go as they are, the token in a header, the proof beside them', async () => {
    const { http } = await push([{ body: accepted }])
    const [request] = http.requests
    expect(request).toMatchObject({
      method: 'POST',
      path: '/v26.0/2384/users',
      query: { appsecret_proof: 'proof' },
      headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
      key: '77',
      timeoutMs: 2_000,
    })
    expect(request?.body?.equals(createMetaDestination({ baseUrl: 'http://127.0.0.1:9', http }).encode(batch).body)).toBe(true)
  })

  test('what was accepted is proved by session, counts and trace, and dated by Meta’s clock', async () => {
    const { result } = await push([{ body: { ...accepted, num_received: 10_003 }, headers: { date, 'x-fb-trace-id': 'T' } }])
    expect(result).toEqual({
      rejections: [],
      unnamedRejections: 0,
      receipt: {
        sessionId: '7',
        audienceId: '2384',
        session: { session_id: 7, batch_seq: 1, last_batch_flag: true },
        numReceived: 10_003,
        numInvalid: 0,
        fbtraceId: 'T',
      },
      acceptedAt: new Date(date),
    })
  })

  test('without a date of theirs it is ours, and without a trace or samples none', async () => {
    const before = Date.now()
    const { result } = await push([{ body: { num_received: '3' } }])
    expect(result).toMatchObject({ receipt: { sessionId: null, audienceId: null, numInvalid: 0, fbtraceId: null }, unnamedRejections: 0 })
    expect((result as { acceptedAt: Date }).acceptedAt.getTime()).toBeGreaterThanOrEqual(before)
  })

  test('a numbered session is kept as a number', async () => {
    expect((await push([{ body: { ...accepted, session_id: 7 } }])).result).toMatchObject({ receipt: { sessionId: 7 } })
  })

  test('invalid rows that Meta names are found again, twice where they were sent twice; the others are counted', async () => {
    const samples = { [JSON.stringify([digest('a')])]: 'bad hash' }
    const { result } = await push([{ body: { ...accepted, num_invalid_entries: 4, invalid_entry_samples: samples } }])
    expect(result).toMatchObject({
      rejections: [
        { row: 0, code: 'platform_rejected_row', platform: { message: 'bad hash' } },
        { row: 2, code: 'platform_rejected_row', platform: { message: 'bad hash' } },
      ],
      unnamedRejections: 2,
    })
  })

  test.each([
    ['rows as lists', [[digest('b')]]],
    ['rows as JSON', [JSON.stringify([digest('b')])]],
    ['single cells', [digest('b')]],
    ['single cells as JSON', [JSON.stringify(digest('b'))]],
    ['maps', [{ [JSON.stringify([digest('b')])]: '' }]],
  ])('samples without reasons come as %s', async (_how, samples) => {
    const { result } = await push([{ body: { ...accepted, num_invalid_entries: 1, invalid_entry_samples: samples } }])
    expect(result).toMatchObject({ rejections: [{ row: 1, code: 'platform_rejected_row' }], unnamedRejections: 0 })
  })

  test('a sample that is none of our rows is counted, not guessed', async () => {
    const { result } = await push([{ body: { ...accepted, num_invalid_entries: 1, invalid_entry_samples: ['?'] } }])
    expect(result).toMatchObject({ rejections: [], unnamedRejections: 1 })
  })

  test('cells that are numbers and lists are recognised as well', async () => {
    const flagged = { ...batch, config: { ...batch.config, settings: MetaSettings.parse({ valueBased: true, limitedDataUse: true }) } }
    const sample = JSON.stringify([digest('b'), '0', [], '', ''])
    const { result } = await push([{ body: { ...accepted, num_invalid_entries: 1, invalid_entry_samples: { [sample]: 'x' } } }], flagged)
    expect(result).toMatchObject({ rejections: [{ row: 1 }] })
  })

  test('the calls log shows what was said, and nobody', async () => {
    const samples = { [JSON.stringify([digest('a')])]: `bad ${digest('a')}` }
    const { ctx } = await push([
      { body: { ...accepted, num_invalid_entries: 1, invalid_entry_samples: samples, access_token: 'x' }, headers: { 'x-fb-request-id': 'R' } },
    ])
    expect(ctx.calls).toMatchObject([
      {
        method: 'POST',
        path: '/v26.0/2384/users',
        status: 200,
        request: { schema: ['EMAIL'], rows: 3, session: { session_id: 7 } },
        response: { num_received: 3, num_invalid_entries: 1, invalid_entry_samples: '1 rows', access_token: '<secret>' },
        platformRequestId: 'R',
      },
    ])
    expect(JSON.stringify(ctx.calls)).not.toMatch(/[ab]{64}|EAAB|proof/)
  })

  test('quotas are reported with every answer, and an ending version is an alarm', async () => {
    const headers = { 'x-ad-account-usage': '{"acc_id_util_pct":96}', 'x-ad-api-version-warning': 'soon' }
    const { ctx, alarms } = await push([{ body: accepted, headers }])
    expect(ctx.usages).toEqual([{ quota: 'api_score', percent: 96 }])
    expect(alarms).toEqual([{ kind: 'version_warning', detail: 'soon', version: 'v26.0' }])
    // What the status page shows is read from the calls.
    expect(ctx.calls).toMatchObject([{ response: { num_received: 3, platformWarning: 'soon' } }])
  })

  test('an answer that says success and nothing else may have been one', async () => {
    expect((await push([{ body: {} }])).result).toMatchObject({ failure: { kind: 'unknown', code: 'platform_bad_reply' } })
    const { result, ctx } = await push([{ text: '<html>' }])
    expect(result).toMatchObject({ failure: { kind: 'unknown', code: 'platform_bad_reply' } })
    expect(ctx.calls).toMatchObject([{ response: '6 bytes that are no JSON object' }])
  })

  test('a lost answer is recorded without a status and is unknown', async () => {
    const { result, ctx } = await push([new HttpFailure('sent', 'broke')])
    expect(result).toMatchObject({ failure: { kind: 'unknown', message: 'broke' } })
    expect(ctx.calls).toMatchObject([{ status: null, response: null, platformRequestId: null }])
  })

  test('a fault of ours is not made into one of Meta’s', async () => {
    expect((await push([new TypeError('ours')])).result).toBeInstanceOf(TypeError)
  })

  test('an audience that Meta does not show is gone if the account does not list it, else a permission is missing', async () => {
    const gone = await push([graphError(100, 33), { body: { data: [{ id: '1' }] } }])
    expect(gone.result).toMatchObject({ failure: { kind: 'gone', code: 'audience_missing', platform: { code: '100/33' } } })
    const hidden = await push([graphError(100, 33), { body: { data: [{ id: '2384' }] } }])
    expect(hidden.result).toMatchObject({ failure: { kind: 'permission', code: 'permission_denied' } })
  })

  test('a new audience that cannot be written to yet is tried again, not taken for gone', async () => {
    const { result, http } = await push([graphError(803)])
    expect(result).toMatchObject({ failure: { kind: 'unavailable', retryAfterMs: 30_000 } })
    expect(http.requests).toHaveLength(1)
  })

  test('a removal is a DELETE with a body', async () => {
    const { http } = await push([{ body: accepted }], { ...batch, operation: 'remove' })
    expect(http.requests[0]).toMatchObject({ method: 'DELETE' })
    expect(http.requests[0]?.body?.length).toBeGreaterThan(0)
  })
})
