/**
 * What the twin refuses (the table of its README, row by row), met through the real adapter over HTTP: each refusal becomes the
 * failure that the engine must act upon, with our code and Meta's own words. Here: rows, one batch after another, and whole lists.
 */
import { describe, expect, test } from '@jest/globals'
import { batch, hash, meta, notOurs, oneRow, oneTwin, onScreen, rows, session, table, upload } from './refused.ts'
import { ACCOUNTS, refusal, settings, withTwin } from './with-twin.ts'

oneTwin()

describe('uploads', () => {
  const row = { kind: 'rows', code: 'platform_rejected_row', said: '100' } as const
  const gone = { kind: 'gone' } as const
  table([
    {
      what: '10,001 rows',
      refused: async () => meta.destination.push(meta.ctx, batch(await meta.audience(), 10_001)),
      kind: 'unavailable',
      code: 'destination_unavailable',
      said: '1/99',
    },
    { what: 'an unknown key', refused: () => upload({ schema: ['SHOE'], data: [[hash('a')]] }), ...row, words: /SHOE/ },
    { what: 'a row of another length', refused: () => upload({ schema: ['EMAIL'], data: [[hash('a'), '']] }), ...row },
    { what: 'an all-empty row', refused: () => upload({ schema: ['EMAIL'], data: [['']] }), ...row },
    { what: 'null', refused: () => upload({ schema: ['EMAIL'], data: [[null]] }), ...row },
    {
      what: 'a string schema after a list schema',
      refused: async () => {
        const id = await meta.audience()
        await upload(oneRow, undefined, id)
        return upload({ schema: 'EMAIL_SHA256', data: [hash('a')] }, undefined, id)
      },
      kind: 'invalid',
      code: 'audience_update_refused',
      said: '2650',
      words: /HASHES_OR_USER_IDS/,
    },
    {
      what: 'a value-based audience without LOOKALIKE_VALUE',
      refused: async () => upload(oneRow, undefined, await meta.audience({ settings: { valueBased: true } })),
      ...row,
      words: /LOOKALIKE_VALUE/,
    },
    {
      what: 'a deleted audience',
      refused: async () => {
        const id = await meta.audience()
        await onScreen(id, null)
        return meta.destination.push(meta.ctx, batch(id, 2))
      },
      ...gone,
      code: 'audience_missing',
      said: '100/1487366',
    },
    {
      what: 'a disabled audience',
      refused: async () => {
        const id = await meta.audience()
        await onScreen(id, { disabled: true })
        return meta.destination.push(meta.ctx, batch(id, 2))
      },
      ...gone,
      code: 'audience_disabled',
      said: '100/1870065',
    },
    {
      what: 'a removal that leaves too few',
      refused: async () => {
        const id = await meta.audience()
        await meta.destination.push(meta.ctx, batch(id, 3))
        meta.twin.clock.advance(600_000)
        return meta.destination.push(meta.ctx, batch(id, 1, 'remove'))
      },
      kind: 'too_small',
      code: 'removal_refused',
      said: '200/1870047',
    },
  ])

  test('an audience that is not ready yet is tried again after a while, and is not taken for a lost one', async () => {
    const slow = await withTwin({ readyAfterMs: 60_000 })
    const id = await slow.audience()
    const failure = await refusal(slow.destination.push(slow.ctx, slow.destination.encode({ ...plain(id), rows: rows(2) })))
    expect(failure).toMatchObject({ kind: 'unavailable', code: 'destination_unavailable', retryAfterMs: 30_000, platform: { code: '803' } })
    await slow.twin.close()
  })

  const plain = (audienceExternalId: string) => ({
    operation: 'add' as const,
    audienceExternalId,
    accountExternalId: ACCOUNTS.works,
    session: null,
    config: { identifiers: ['email' as const], settings },
  })

  test.each([
    ['upper-case hash', ['EMAIL'], [hash('A')], /invalid hash/],
    ['no hash', ['EMAIL'], ['a@example.com'], /invalid hash/],
    ['hash of nothing', ['EMAIL'], ['e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'], /invalid hash/],
    ['empty EXTERN_ID', ['EXTERN_ID', 'EMAIL'], ['', hash('a')], /empty external ID/],
    ['hashed MADID', ['MADID'], [hash('a')], /mobile advertiser id/],
    ['upper-case MADID', ['MADID'], ['AB12CD34-E345-4567-89AB-000000000000'], /mobile advertiser id/],
    ['other processing options', ['EMAIL', 'DATA_PROCESSING_OPTIONS'], [hash('a'), ['XYZ']], /data processing options/],
  ])('row by row, %s: the row alone is refused, with the reason', async (_what, schema, cells, reason) => {
    const good = schema.map((key) => ({ EMAIL: hash('c'), EXTERN_ID: 'e1', MADID: 'ab12cd34-e345-4567-89ab-000000000000', DATA_PROCESSING_OPTIONS: [] })[key])
    const body = Buffer.from(JSON.stringify({ payload: { schema, data: [good, cells] } }))
    const id = await meta.audience()
    const accepted = await meta.destination.push(meta.ctx, {
      method: 'POST',
      path: `/v26.0/${id}/users`,
      headers: { 'content-type': 'application/json' },
      body,
    })
    expect(accepted).toMatchObject({
      rejections: [{ row: 1, code: 'platform_rejected_row', platform: { message: expect.stringMatching(reason) } }],
      unnamedRejections: 0,
      receipt: { numReceived: 2, numInvalid: 1 },
    })
  })
})

describe('sessions', () => {
  const fault = { ...notOurs, said: '100' } as const
  /** A session whose first batch was taken. */
  const begun = async (id: number) => {
    const audience = await meta.audience()
    await upload(oneRow, session(id, 1), audience)
    return audience
  }
  const other = { schema: ['EMAIL'], data: [[hash('b')]] }
  table([
    { what: 'an id used elsewhere', refused: async () => upload(oneRow, session(1, 1), (await begun(1)) && (await meta.audience())), ...fault },
    { what: 'a skipped batch', refused: async () => upload(other, session(2, 3), await begun(2)), ...fault, words: /does not follow/ },
    { what: 'a changed batch', refused: async () => upload(other, session(3, 1), await begun(3)), ...fault, words: /other content/ },
    {
      what: 'a changed schema',
      refused: async () => upload({ schema: ['PHONE'], data: [[hash('b')]] }, session(4, 2), await begun(4)),
      ...fault,
      words: /schema/,
    },
    {
      what: 'a batch after the last',
      refused: async () => {
        const id = await begun(5)
        await upload(other, session(5, 2, true), id)
        return upload({ schema: ['EMAIL'], data: [[hash('d')]] }, session(5, 3), id)
      },
      ...fault,
      words: /last batch/,
    },
  ])
})

describe('replacing', () => {
  /** Normal at last: an audience that nobody filled cannot be replaced. */
  const filled = async () => {
    const id = await meta.audience()
    await upload(oneRow, undefined, id)
    meta.twin.clock.advance(600_000)
    return id
  }
  const replace = (id: string, number: number, seq: number, last = false) => upload(oneRow, session(number, seq, last), id, 'usersreplace')
  table([
    { what: 'not from batch 1', refused: async () => replace(await filled(), 21, 2), ...notOurs, said: '2650/1870147' },
    {
      what: 'during other work',
      refused: async () => {
        const id = await meta.audience()
        await upload(oneRow, undefined, id)
        return replace(id, 22, 1)
      },
      kind: 'busy',
      code: 'platform_busy',
      said: '2650/1870145',
    },
    {
      what: 'after 90 minutes',
      refused: async () => {
        const id = await filled()
        await replace(id, 23, 1)
        meta.twin.clock.advance(100 * 60_000)
        return replace(id, 23, 2)
      },
      ...notOurs,
      said: '2650/1870158',
    },
    {
      what: 'after its end',
      refused: async () => {
        const id = await filled()
        await replace(id, 24, 1, true)
        meta.twin.clock.advance(600_000)
        return replace(id, 24, 2)
      },
      kind: 'invalid',
      code: 'replacement_finished',
      said: '2650/1870159',
    },
  ])
})
