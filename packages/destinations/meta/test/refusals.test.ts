/**
 * What the twin refuses (the table of its README, row by row), met through the real adapter over HTTP: each refusal becomes the
 * failure that the engine must act upon, with our code and Meta's own words. What no function of the adapter would ever say goes
 * through its client, or as the bytes of a batch.
 */
import type { EncodedRequest, Operation } from '@audience-sync/destination-kit/contract'
import type { Failure, FailureKind } from '@audience-sync/destination-kit/failure'
import { type Code, catalogue } from '@audience-sync/errors/catalogue'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { at, keys } from '../src/manifest.ts'
import { ACCOUNTS, REDIRECT, refusal, settings, type WithTwin, withTwin } from './with-twin.ts'

const hash = (digit: string): string => digit.repeat(64)
const edge = `/v26.0/act_${ACCOUNTS.works}/customaudiences`
const source = { subtype: 'CUSTOM', customer_file_source: 'USER_PROVIDED_ONLY' }

let meta: WithTwin
beforeAll(async () => {
  // Every audience of the suite shares the account, so no limit may come between.
  meta = await withTwin({ minSize: 3, limits: { score: 1_000_000, audienceCallsPerHour: 1_000_000 } })
})
afterAll(() => meta.twin.close())

interface Case {
  readonly what: string
  readonly refused: () => Promise<unknown>
  readonly kind: FailureKind
  readonly code: Code
  /** Meta's code, as `platform.code` shows it. */
  readonly said: string
  /** Of Meta's own words. */
  readonly words?: RegExp
}

function check(failure: Failure, { kind, code, said, words }: Case): void {
  expect(failure).toMatchObject({ kind, code, platform: { code: said, message: expect.stringMatching(words ?? /./), requestId: expect.any(String) } })
  expect(catalogue[code].title).not.toBe('')
  expect(catalogue[code].solution).not.toBe('')
}
const table = (cases: readonly Case[]) => test.each(cases)('$what: $kind, $code', async (each) => check(await refusal(each.refused()), each))

/** A batch of rows that the adapter itself encodes; the e-mail digests count up from `from`. */
function rows(count: number, from = 0): string[][] {
  return Array.from({ length: count }, (_, i) => keys.map((_key, position) => (position === at.EMAIL ? (from + i).toString(16).padStart(64, '0') : '')))
}
const batch = (audienceExternalId: string, count: number, operation: Operation = 'add'): EncodedRequest =>
  meta.destination.encode({
    operation,
    audienceExternalId,
    accountExternalId: ACCOUNTS.works,
    rows: rows(count),
    session: null,
    config: { identifiers: ['email'], settings },
  })
/** A body that the adapter would not make. */
const upload = async (payload: object, session?: object, id?: string, path = 'users'): Promise<unknown> =>
  meta.json('POST', `/v26.0/${id ?? (await meta.audience())}/${path}`, { payload, ...(session && { session }) }, true)
const session = (id: number, seq: number, last = false) => ({ session_id: id, batch_seq: seq, last_batch_flag: last })
const oneRow = { schema: ['EMAIL'], data: [[hash('a')]] }
/** From the platform's own screens. */
const onScreen = async (id: string, change: object | null): Promise<void> => {
  const url = `${meta.twin.url}/_twin/audiences/${id}`
  await fetch(url, change ? { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: JSON.stringify(change) } : { method: 'DELETE' })
}

const notOurs = { kind: 'invalid', code: 'platform_invalid_request' } as const

describe('calls', () => {
  const dead = { kind: 'invalid', code: 'platform_version_dead', said: '2635', words: /v26\.0/ } as const
  const param = { ...notOurs, said: '100' } as const
  table([
    { what: 'no version', refused: () => meta.call({ method: 'GET', path: edge.slice('/v26.0'.length) }), ...dead },
    { what: 'a dead version', refused: () => meta.call({ method: 'GET', path: edge.replace('v26.0', 'v24.0') }), ...dead },
    { what: 'date_format', refused: () => meta.call({ method: 'GET', path: edge, query: { date_format: 'U' } }), ...param, words: /date_format/ },
    { what: 'an unknown path', refused: () => meta.call({ method: 'GET', path: `/v26.0/act_${ACCOUNTS.works}/nothing` }), ...notOurs, said: '2500' },
    {
      what: 'an unknown object',
      refused: () => meta.call({ method: 'GET', path: '/v26.0/12345' }),
      kind: 'permission',
      code: 'permission_denied',
      said: '100/33',
    },
    {
      what: 'a page of 500',
      refused: () => meta.call({ method: 'GET', path: edge, query: { limit: '500' } }),
      kind: 'unavailable',
      code: 'destination_unavailable',
      said: '1',
      words: /reduce the amount/,
    },
    {
      what: 'a field that is gone',
      refused: async () => meta.call({ method: 'GET', path: `/v26.0/${await meta.audience()}`, query: { fields: 'approximate_count' } }),
      ...param,
    },
  ])
})

describe('credentials', () => {
  const dead = { kind: 'auth', code: 'connection_expired' } as const
  const readWith = (token: string, proof?: string) =>
    meta.destination.readAudience({ ...meta.contextOf(ACCOUNTS.works, token), ...(proof !== undefined && { proof }) }, '1')
  table([
    { what: 'a token that is none', refused: () => readWith('EAAnonsense12345'), ...dead, said: '190', words: /token/ },
    { what: 'a proof by another secret', refused: () => readWith(meta.accessToken, 'ff'), ...notOurs, said: '100', words: /appsecret_proof/ },
  ])

  test('a code that was used before: our code, and Meta’s words', async () => {
    const code = meta.consent()
    await meta.connect.exchange(code, REDIRECT)
    expect(await refusal(meta.connect.exchange(code, REDIRECT))).toMatchObject({ platform: { code: '100/36009', message: expect.stringMatching(/used/) } })
    expect(await refusal(meta.connect.exchange(meta.consent(), 'http://127.0.0.1:1/elsewhere'))).toMatchObject({ platform: { message: expect.any(String) } })
  })

  test('a declined permission: permission denied', async () => {
    const { accessToken } = await meta.connect.exchange(meta.consent({ decline: ['ads_management'] }), REDIRECT)
    const failure = await refusal(meta.audience({ as: meta.contextOf(ACCOUNTS.works, accessToken) }))
    check(failure, { what: '', refused: async () => {}, kind: 'permission', code: 'permission_denied', said: '200' })
  })

  test('a proof that is required and missing', async () => {
    const strict = await withTwin({ requireAppSecretProof: true })
    const { proof: _, ...bare } = strict.ctx
    const failure = await refusal(strict.destination.readAudience(bare, '1'))
    expect(failure).toMatchObject({ ...notOurs, platform: { message: expect.stringMatching(/appsecret_proof/) } })
    await strict.twin.close()
  })
})

describe('creating', () => {
  const create = (fields: object) => meta.json('POST', edge, fields)
  const param = { ...notOurs, said: '100' } as const
  table([
    { what: 'without source', refused: () => create({ name: 'x', subtype: 'CUSTOM' }), ...param, words: /customer_file_source/ },
    { what: 'without subtype', refused: () => create({ name: 'x', customer_file_source: 'USER_PROVIDED_ONLY' }), ...param, words: /subtype/ },
    { what: 'without name', refused: () => create(source), ...param, words: /name/ },
    { what: 'with an unknown source', refused: () => create({ ...source, name: 'x', customer_file_source: 'ME' }), ...param, words: /must be one of/ },
    { what: 'with 181 days', refused: () => meta.audience({ settings: { retentionDays: 181 } }), ...param, words: /retention_days/ },
    {
      what: 'in an account whose terms are not signed',
      refused: () => meta.audience({ as: meta.contextOf(ACCOUNTS.noTerms) }),
      kind: 'terms',
      code: 'terms_not_signed',
      said: '200/1870034',
      words: /Terms Not Accepted/,
    },
    {
      what: 'with ANALYZE only',
      refused: () => meta.audience({ as: meta.contextOf(ACCOUNTS.onlyLooks) }),
      kind: 'permission',
      code: 'permission_denied',
      said: '2654/1713092',
    },
    {
      what: 'in a disabled account',
      refused: () => meta.audience({ as: meta.contextOf(ACCOUNTS.closed) }),
      kind: 'permission',
      code: 'permission_denied',
      said: '200',
      words: /disabled/,
    },
  ])

  test('unsigned terms come with the link where they are signed', async () => {
    const { link } = await refusal(meta.audience({ as: meta.contextOf(ACCOUNTS.noTerms) }))
    expect(link).toBe(`https://business.facebook.com/ads/manage/customaudiences/tos/?act=${ACCOUNTS.noTerms}`)
  })
})

describe('the 501st audience', () => {
  test('is refused by Meta, and says how many there may be; once the list was read, without a call', async () => {
    const full = await withTwin({ limits: { score: 1_000_000, audienceCallsPerHour: 1_000_000 } })
    for (let i = 0; i < 500; i++) await full.audience()
    const failure = await refusal(full.audience())
    expect(failure).toMatchObject({ kind: 'invalid', code: 'audience_limit', message: expect.stringMatching(/500/), platform: { code: '2654' } })
    await full.destination.findAudiences(full.ctx, 'none')
    const before = full.calls.length
    expect(await refusal(full.audience())).toMatchObject({ code: 'audience_limit' })
    expect(full.calls).toHaveLength(before)
    // Somebody makes room.
    await full.destination.deleteAudience(full.ctx, (await full.destination.findAudiences(full.ctx, 'm1'))[0]?.externalId ?? '')
    expect(await full.destination.findAudiences(full.ctx, 'none')).toEqual([])
    await expect(full.audience()).resolves.toMatch(/^\d+$/)
    await full.twin.close()
  })
})

describe('adopting', () => {
  const adopted = (id: string, more: object = {}) => meta.destination.adoptAudience?.(meta.ctx, id, { settings: { ...settings, ...more } }) as Promise<unknown>
  test('takes a list of customers as it is', async () => {
    const id = await meta.audience({ name: 'Made by hand' })
    await expect(adopted(id)).resolves.toMatchObject({ externalId: id, name: 'Made by hand' })
  })
  test.each<[string, () => Promise<string>, object, Code]>([
    ['what is not there', async () => '12345', {}, 'audience_missing'],
    ['other values', () => meta.audience(), { valueBased: true }, 'adopt_setting'],
    ['a flagged one', () => meta.audience({ name: 'Credit score' }), {}, 'audience_flagged'],
  ])('refuses %s', async (_what, id, more, code) => {
    expect(await refusal(adopted(await id(), more))).toMatchObject({ code })
  })
})

describe('a flagged audience', () => {
  const flagged = { kind: 'integrity', code: 'audience_flagged' } as const
  const seedOf = async () => meta.audience({ name: 'People with diabetes' })
  table([
    { what: 'takes no rows', refused: async () => meta.destination.push(meta.ctx, batch(await seedOf(), 2)), ...flagged, said: '100/1713230' },
    {
      what: 'takes no change but the one asked for',
      refused: async () => meta.destination.updateAudience(meta.ctx, await seedOf(), { settings: { ...settings, retentionDays: 9 } }),
      ...flagged,
      said: '100/1713231',
      words: /name/,
    },
    {
      what: 'is no seed',
      refused: async () =>
        meta.json('POST', edge, {
          name: 'l',
          subtype: 'LOOKALIKE',
          origin_audience_id: await seedOf(),
          lookalike_spec: '{"type":"similarity","country":"US"}',
        }),
      ...flagged,
      said: '100/1713232',
    },
  ])
})

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

describe('lookalikes', () => {
  /** People enough for a seed, applied. */
  const seed = async () => {
    const id = await meta.audience()
    await meta.destination.push(meta.ctx, batch(id, 400))
    meta.twin.clock.advance(600_000)
    return id
  }
  const lookalike = (origin: string, spec: object) =>
    meta.json('POST', edge, { name: 'l', subtype: 'LOOKALIKE', origin_audience_id: origin, lookalike_spec: JSON.stringify({ country: 'US', ...spec }) })
  table([
    {
      what: 'a seed of nobody',
      refused: async () => lookalike(await meta.audience(), { type: 'similarity' }),
      kind: 'permission',
      code: 'permission_denied',
      said: '2654',
      words: /100 people/,
    },
    {
      what: 'the same twice',
      refused: async () => {
        const id = await seed()
        await lookalike(id, { type: 'similarity' })
        return lookalike(id, { type: 'similarity' })
      },
      kind: 'invalid',
      code: 'lookalike_duplicate',
      said: '2654/1713007',
    },
    { what: 'a wrong ratio', refused: async () => lookalike(await seed(), { ratio: 0.5 }), ...notOurs, said: '100', words: /ratio/ },
    {
      what: 'deleting the seed',
      refused: async () => {
        const id = await seed()
        await lookalike(id, { type: 'similarity' })
        return meta.destination.deleteAudience(meta.ctx, id)
      },
      kind: 'invalid',
      code: 'lookalikes_exist',
      said: '2656',
    },
  ])
})

describe('limits', () => {
  test('a score that is used up: throttled, for as long as the header says', async () => {
    const small = await withTwin({ limits: { score: 9, blockMs: 300_000 } })
    const failure = await refusal(
      (async () => {
        for (let i = 0; i < 9; i++) await small.audience()
      })(),
    )
    expect(failure).toMatchObject({ kind: 'throttled', code: 'platform_throttled', platform: { code: '17/2446079' } })
    expect(failure.retryAfterMs).toBeGreaterThan(200_000)
    await small.twin.close()
  })

  test('the calls of an hour: throttled, for minutes', async () => {
    const small = await withTwin({ limits: { score: 1_000_000, audienceCallsPerHour: 3 } })
    const failure = await refusal(
      (async () => {
        for (let i = 0; i < 400; i++) await small.destination.findAudiences(small.ctx, 'none')
      })(),
    )
    expect(failure).toMatchObject({ kind: 'throttled', code: 'platform_throttled', platform: { code: '80003' } })
    expect(failure.retryAfterMs).toBeGreaterThanOrEqual(60_000)
    await small.twin.close()
  })
})

describe('faults', () => {
  /** A twin of its own for each: a fault that is left over would meet the next call. */
  const failing = async (fault: Parameters<WithTwin['twin']['fault']>[0], operation: Operation = 'add') => {
    const broken = await withTwin()
    const id = await broken.audience()
    if (operation === 'remove') await broken.destination.push(broken.ctx, batch(id, 5))
    broken.twin.fault({ times: 1, match: { path: '/users' }, ...fault })
    try {
      return await broken.destination.push(broken.contextOf(ACCOUNTS.works, broken.accessToken, 700), batch(id, 5, operation))
    } finally {
      await broken.twin.close()
    }
  }

  test.each<[Parameters<WithTwin['twin']['fault']>[0], FailureKind, Code]>([
    [{ kind: 'status', status: 503 }, 'unavailable', 'destination_unavailable'],
    [{ kind: 'status', status: 200, code: 190 }, 'auth', 'connection_expired'],
    [{ kind: 'status', code: 368 }, 'blocked', 'platform_blocked'],
    [{ kind: 'status', code: 200, subcode: 1_870_034 }, 'terms', 'terms_not_signed'],
    [{ kind: 'status', code: 1_404_163 }, 'permission', 'advertiser_banned'],
    [{ kind: 'status', code: 1_487_301 }, 'gone', 'audience_not_shared'],
    [{ kind: 'throttle' }, 'throttled', 'platform_throttled'],
    [{ kind: 'throttle', code: 80_003 }, 'throttled', 'platform_throttled'],
    [{ kind: 'hang' }, 'unknown', 'destination_unavailable'],
    [{ kind: 'html_200' }, 'unknown', 'platform_bad_reply'],
    [{ kind: 'bad_json' }, 'unknown', 'platform_bad_reply'],
    [{ kind: 'huge_body' }, 'unknown', 'destination_unavailable'],
    [{ kind: 'redirect' }, 'blocked', 'platform_bad_reply'],
    [{ kind: 'expire_token' }, 'auth', 'connection_expired'],
    [{ kind: 'expire_token', subcode: 0 }, 'auth', 'connection_expired'],
    [{ kind: 'apply_then_hang' }, 'unknown', 'destination_unavailable'],
    [{ kind: 'apply_then_reset' }, 'unknown', 'destination_unavailable'],
    [{ kind: 'slow_body', delayMs: 5_000 }, 'unknown', 'destination_unavailable'],
  ])('%j is %s, %s', async (fault, kind, code) => {
    expect(await refusal(failing(fault))).toMatchObject({ kind, code })
  })

  test('too_small: the removal is refused because of what it leaves', async () => {
    expect(await refusal(failing({ kind: 'too_small' }, 'remove'))).toMatchObject({ kind: 'too_small', code: 'removal_refused' })
  })
  test('reject_rows: those rows, by name', async () => {
    const { rejections, unnamedRejections } = await failing({ kind: 'reject_rows', rows: 2 })
    expect([rejections.map(({ row }) => row), unnamedRejections]).toEqual([[0, 1], 0])
  })
  test('partial: counted, not named', async () => {
    expect(await failing({ kind: 'partial', rows: 2 })).toMatchObject({ rejections: [], unnamedRejections: 2 })
  })
  test('apply_late: taken all the same', async () => {
    expect(await failing({ kind: 'apply_late' })).toMatchObject({ rejections: [], receipt: { numReceived: 5 } })
  })
})
