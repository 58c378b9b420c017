/**
 * What the twin refuses (the table of its README, row by row), met through the real adapter over HTTP: each refusal becomes the
 * failure that the engine must act upon, with our code and Meta's own words. Here: what is made, taken over, changed or deleted.
 */
import type { Code } from '@audience-sync/errors/catalogue'
import { describe, expect, test } from '@jest/globals'
import { batch, edge, meta, notOurs, oneTwin, table } from './refused.ts'
import { ACCOUNTS, refusal, settings, withTwin } from './with-twin.ts'

oneTwin()

describe('creating', () => {
  const source = { subtype: 'CUSTOM', customer_file_source: 'USER_PROVIDED_ONLY' }
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
