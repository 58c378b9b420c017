/**
 * What the twin refuses (the table of its README, row by row), met through the real adapter over HTTP: each refusal becomes the
 * failure that the engine must act upon, with our code and Meta's own words. Here: every call, whatever it is for.
 */
import type { Operation } from '@audience-sync/destination-kit/contract'
import type { FailureKind } from '@audience-sync/destination-kit/failure'
import type { Code } from '@audience-sync/errors/catalogue'
import { describe, expect, test } from '@jest/globals'
import { batch, check, edge, meta, notOurs, oneTwin, table } from './refused.ts'
import { ACCOUNTS, REDIRECT, refusal, type WithTwin, withTwin } from './with-twin.ts'

oneTwin()

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
