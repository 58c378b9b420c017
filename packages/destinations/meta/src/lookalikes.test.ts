import type { FarLookalike, LookalikeSpec, Lookalikes } from '@audience-sync/destination-kit/lookalike-contract'
import { describe, expect, test } from '@jest/globals'
import { failed, fakeGraph, graphError, testContext } from '../test/fake-graph.ts'
import { createMetaDestination } from './destination.ts'
import { farLookalike, specOf } from './lookalikes.ts'

const chosen: LookalikeSpec = {
  type: 'similarity',
  ratio: null,
  startingRatio: null,
  countries: ['US'],
  countryGroups: [],
  excludedCountries: [],
  allowInternationalSeeds: false,
}

function meta(answers: Parameters<typeof fakeGraph>[0]) {
  const http = fakeGraph(answers)
  const { lookalikes } = createMetaDestination({ baseUrl: 'http://127.0.0.1:9', http })
  return { lookalikes: lookalikes as Lookalikes, http, ctx: testContext() }
}

describe('what is asked for', () => {
  test.each<[string, Partial<LookalikeSpec>, object]>([
    ['one country by itself', {}, { type: 'similarity', country: 'US' }],
    ['the five per cent', { type: 'reach' }, { type: 'reach', country: 'US' }],
    [
      'a slice of an own ratio',
      { type: 'custom_ratio', ratio: 0.05, startingRatio: 0.02 },
      { type: 'custom_ratio', ratio: 0.05, starting_ratio: 0.02, country: 'US' },
    ],
    ['several countries', { countries: ['DE', 'FR'] }, { type: 'similarity', location_spec: { geo_locations: { countries: ['DE', 'FR'] } } }],
    [
      'groups without some countries',
      { countries: [], countryGroups: ['asia'], excludedCountries: ['JP'] },
      { type: 'similarity', location_spec: { geo_locations: { country_groups: ['asia'] }, excluded_geo_locations: { countries: ['JP'] } } },
    ],
    ['a seed from elsewhere', { allowInternationalSeeds: true }, { type: 'similarity', country: 'US', allow_international_seeds: true }],
  ])('%s', (_, changes, expected) => expect(specOf({ ...chosen, ...changes })).toEqual(expected))

  test('the specification is a string within the body, beside seed and marker', async () => {
    const { lookalikes, http, ctx } = meta([{ body: { id: '9' } }])
    expect(await lookalikes.create(ctx, { name: 'Like them', marker: 'm1', seedExternalId: '2', spec: chosen })).toBe('9')
    expect(http.requests[0]).toMatchObject({ method: 'POST', path: '/v26.0/act_77/customaudiences' })
    expect(JSON.parse(String(http.requests[0]?.body))).toEqual({
      name: 'Like them',
      description: '[as:m1]',
      subtype: 'LOOKALIKE',
      origin_audience_id: '2',
      lookalike_spec: '{"type":"similarity","country":"US"}',
    })
  })
})

describe('what is refused', () => {
  const create = (code: number, subcode?: number) => {
    const { lookalikes, ctx } = meta([graphError(code, subcode)])
    return failed(lookalikes.create(ctx, { name: 'x', marker: 'm', seedExternalId: '2', spec: chosen }))
  }

  test('a plain "create failed" is the seed’s fault, not a missing permission; with a subcode it is what that says', async () => {
    expect(await create(2654)).toMatchObject({ kind: 'invalid', code: 'lookalike_refused', platform: { code: '2654', message: 'why' } })
    expect(await create(2654, 1713092)).toMatchObject({ kind: 'permission', code: 'permission_denied' })
    expect(await create(2654, 1713007)).toMatchObject({ kind: 'invalid', code: 'lookalike_duplicate' })
    expect(await create(100, 1713232)).toMatchObject({ kind: 'integrity', code: 'seed_flagged' })
    expect(await create(2663)).toMatchObject({ kind: 'terms' })
  })

  test('an answer without an id may have made one', async () => {
    const { lookalikes, ctx } = meta([{ body: {} }])
    expect(await failed(lookalikes.create(ctx, { name: 'x', marker: 'm', seedExternalId: '2', spec: chosen }))).toMatchObject({ kind: 'unknown' })
  })
})

describe('what is read', () => {
  test('of a seed: its state, and every lookalike that rests on it', async () => {
    const body = { operation_status: { code: 200 }, delivery_status: { code: 200 }, lookalike_audience_ids: ['5', 6] }
    const { lookalikes, http, ctx } = meta([{ body }, { body: { delivery_status: { code: 300 } } }, graphError(100, 33)])
    expect(await lookalikes.readSeed(ctx, '2')).toMatchObject({ externalId: '2', state: 'ready', lookalikeIds: ['5', '6'] })
    expect(await lookalikes.readSeed(ctx, '2')).toMatchObject({ state: 'too_small', lookalikeIds: [] })
    expect(await lookalikes.readSeed(ctx, '2')).toBeNull()
    expect(http.requests[0]?.query?.fields?.split(',')).toContain('lookalike_audience_ids')
  })

  test('of a lookalike: our marker, its bounds, and how it is; null where it is gone', async () => {
    const body = {
      name: 'Like them',
      description: '[as:m1]',
      operation_status: { code: 200 },
      delivery_status: { code: 200 },
      approximate_count_lower_bound: 2_000_000,
      approximate_count_upper_bound: '2300000',
    }
    const { lookalikes, ctx } = meta([{ body }, graphError(1487366)])
    expect(await lookalikes.read(ctx, '9')).toMatchObject({ name: 'Like them', marker: 'm1', size: { lower: 2_000_000, upper: 2_300_000 }, state: 'ready' })
    expect(await lookalikes.read(ctx, '9')).toBeNull()
  })

  test.each([
    [200, 200, 'ready'],
    [100, 200, 'ready'],
    [400, 200, 'ready'],
    [441, 200, 'building'],
    [441, 300, 'building'],
    [442, 300, 'building'],
    [431, 200, 'failed'],
    [432, 300, 'failed'],
    [433, 200, 'failed'],
    [434, 200, 'failed'],
    [450, 200, 'inactive'],
    [450, 300, 'inactive'],
    [471, 400, 'flagged'],
    [470, 200, 'unusable'],
    [200, 400, 'unusable'],
    [200, 300, 'unusable'],
  ] as const)('operation %s with delivery %s is %s', (operation, delivery, state) => {
    expect(farLookalike({ operation_status: { code: operation }, delivery_status: { code: delivery } }, '9').state).toBe(state)
  })

  test('a size of -1 is none, and says nothing of how it is: a lookalike without a place is ready all the same', () => {
    const node = { operation_status: { code: 200 }, delivery_status: { code: 200 }, approximate_count_lower_bound: -1, approximate_count_upper_bound: -1 }
    expect(farLookalike(node, '9')).toMatchObject({ size: null, state: 'ready', marker: null, spec: null })
  })
})

describe('two are the same', () => {
  const { lookalikes } = meta([])
  const same = (far: unknown, changes: Partial<LookalikeSpec> = {}) => lookalikes.same({ ...chosen, ...changes }, { spec: far } as FarLookalike)

  test('by share and place, however Meta writes them', () => {
    expect(same({ type: 'similarity', country: 'US' })).toBe(true)
    expect(same({ ratio: 0.01, target_countries: ['US'] })).toBe(true)
    expect(same('{"type":"similarity","country":"US"}')).toBe(true)
    expect(same({ type: 'reach', country: 'US' }, { type: 'custom_ratio', ratio: 0.05 })).toBe(true)
    expect(same({ ratio: '0.05', starting_ratio: 0.02, country: 'US' }, { type: 'custom_ratio', ratio: 0.05, startingRatio: 0.02 })).toBe(true)
    expect(same({ ratio: 0.01, location_spec: { geo_locations: { countries: ['FR', 'DE'] } } }, { countries: ['DE', 'FR'] })).toBe(true)
    expect(same({ ratio: 0.01 })).toBe(true) // bound to no place any more
  })

  test('and different where one differs, or nothing is told', () => {
    expect(same({ type: 'similarity', country: 'FR' })).toBe(false)
    expect(same({ type: 'reach', country: 'US' })).toBe(false)
    expect(same({ ratio: 0.01, starting_ratio: 0.005, country: 'US' })).toBe(false)
    expect(same({ ratio: 0.01, country: 'US', target_countries: ['US', 'CA'] })).toBe(false)
    expect(same(null)).toBe(false)
    expect(same('{')).toBe(false)
  })
})
