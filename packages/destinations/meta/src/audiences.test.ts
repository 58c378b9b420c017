import { describe, expect, test } from '@jest/globals'
import { type FakeAnswer, failed, fakeGraph, graphError, testContext } from '../test/fake-graph.ts'
import { farAudience } from './audience-state.ts'
import { metaAudiences } from './audiences.ts'
import { createGraph } from './client.ts'
import { createMetaDestination } from './destination.ts'
import { MetaSettings } from './manifest.ts'

const settings = MetaSettings.parse({})

function meta(answers: Parameters<typeof fakeGraph>[0]) {
  const http = fakeGraph(answers)
  return { destination: createMetaDestination({ baseUrl: 'http://127.0.0.1:9', http }), http, ctx: testContext() }
}

const page = (data: readonly object[], next?: string): FakeAnswer => ({
  body: { data, ...(next === undefined ? {} : { paging: { cursors: { after: next }, next: 'https://…' } }) },
})

describe('audiences at Meta', () => {
  test('are found by our marker on every page, the oldest first', async () => {
    const { destination, http, ctx } = meta([
      page([{ id: '3', name: 'new', description: 'x [as:aud_1]', time_created: 30 }, { id: '9', description: '[as:aud_10]' }, 'odd' as never], 'c1'),
      page([{ id: '2', name: 'old', description: '[as:aud_1]', time_created: '20' }, { id: '4' }, { description: '[as:aud_1]' }], 'c2'),
      { body: { data: [], paging: { next: 'https://graph.facebook.com/v26.0/act_77/customaudiences?limit=20&after=c3' } } },
      { body: { data: [{ id: '5', description: '[as:aud_1]' }], paging: { cursors: { after: 'c4' } } } },
    ])
    expect((await destination.findAudiences(ctx, 'aud_1')).map(({ externalId }) => externalId)).toEqual(['5', '2', '3'])
    expect(http.requests.map(({ path, query }) => [path, query?.limit, query?.after])).toEqual([
      ['/v26.0/act_77/customaudiences', '20', undefined],
      ['/v26.0/act_77/customaudiences', '20', 'c1'],
      ['/v26.0/act_77/customaudiences', '20', 'c2'],
      ['/v26.0/act_77/customaudiences', '20', 'c3'],
    ])
  })

  test('a list that never ends is left after more pages than an account can fill', async () => {
    const { destination, http, ctx } = meta(() => page([], 'again'))
    expect(await destination.findAudiences(ctx, 'aud_1')).toEqual([])
    expect(http.requests).toHaveLength(550)
  })

  test('a list without data is no list', async () => {
    const { destination, ctx } = meta([{ body: {} }])
    expect(await failed(destination.findAudiences(ctx, 'aud_1'))).toMatchObject({ kind: 'unknown', code: 'platform_bad_reply' })
  })

  test('are made with source and marker, and their settings', async () => {
    const { destination, http, ctx } = meta([{ body: { id: '11', message: '' } }, { body: { id: '12' } }])
    const created = await destination.createAudience(ctx, { name: 'Comfort', description: '', marker: 'aud_1', settings })
    expect(created).toMatchObject({ externalId: '11', name: 'Comfort', state: 'processing', size: null })
    await destination.createAudience(ctx, {
      name: 'Value',
      description: 'Who pays',
      marker: 'aud_2',
      settings: { ...settings, retentionDays: 30, valueBased: true },
    })
    expect(http.requests.map(({ body }) => JSON.parse(String(body)))).toEqual([
      { name: 'Comfort', description: '[as:aud_1]', subtype: 'CUSTOM', customer_file_source: 'USER_PROVIDED_ONLY' },
      {
        name: 'Value',
        description: 'Who pays [as:aud_2]',
        subtype: 'CUSTOM',
        customer_file_source: 'USER_PROVIDED_ONLY',
        retention_days: 30,
        is_value_based: true,
      },
    ])
  })

  test('for exclusion are restricted to it; labels, opt-out link and products go along', async () => {
    const { destination, http, ctx } = meta([{ body: { id: '11' } }])
    const more = { labels: ['GENERAL_CUSTOMERS'], optOutLink: 'https://example.com/out', useForProducts: ['ADS' as const] }
    await destination.createAudience(ctx, { name: 'x', description: '', marker: 'm', settings: { ...settings, ...more }, purpose: 'exclusion' })
    expect(JSON.parse(String(http.requests[0]?.body))).toMatchObject({
      usage_restriction: 'EXCLUSION_ONLY',
      audience_labels: ['GENERAL_CUSTOMERS'],
      opt_out_link: 'https://example.com/out',
      use_for_products: ['ADS'],
    })
  })

  test('labels that Meta does not take are left out, whatever else was said', async () => {
    const { destination, http, ctx } = meta([graphError(100), { body: { id: '11' } }, graphError(100), { body: { success: true } }])
    const labelled = { ...settings, labels: ['OLD_LABEL'] }
    expect(await destination.createAudience(ctx, { name: 'x', description: '', marker: 'm', settings: labelled })).toMatchObject({ externalId: '11' })
    await destination.updateAudience(ctx, '11', { settings: labelled })
    const bodies = http.requests.map(({ body }) => JSON.parse(String(body)))
    expect(bodies.map((body) => 'audience_labels' in body)).toEqual([true, false, true, false])
  })

  test('one too many is refused with the figure: after Meta’s refusal, and before the call where the list was full', async () => {
    const customs = (count: number) => page(Array.from({ length: count }, (_, i) => ({ id: String(i), subtype: i === 500 ? 'LOOKALIKE' : 'CUSTOM' })))
    const asked = { name: 'x', description: '', marker: 'm', settings }
    const full = { kind: 'invalid', code: 'audience_limit', message: expect.stringMatching(/500/) }
    const { destination, http, ctx } = meta([graphError(2654), customs(501), graphError(2654), customs(499), customs(500)])
    expect(await failed(destination.createAudience(ctx, asked))).toMatchObject({ ...full, platform: { code: '2654' } })
    expect(await failed(destination.createAudience(ctx, asked))).toMatchObject({ code: 'permission_denied' })
    await destination.findAudiences(ctx, 'm')
    expect(await failed(destination.createAudience(ctx, asked))).toMatchObject(full)
    expect(http.requests).toHaveLength(5)
  })

  test('a full list is believed for a minute only, and not of another account', async () => {
    let now = 0
    const http = fakeGraph([page(Array.from({ length: 500 }, () => ({ subtype: 'CUSTOM' }))), { body: { id: '1' } }, { body: { id: '2' } }])
    const audiences = metaAudiences(
      createGraph(http, () => {}),
      'v26.0',
      () => now,
    )
    const asked = { name: 'x', description: '', marker: 'm', settings }
    await audiences.find(testContext(), 'm')
    expect(await failed(audiences.create(testContext(), asked))).toMatchObject({ code: 'audience_limit' })
    expect(await audiences.create({ ...testContext(), accountExternalId: '78' }, asked)).toMatchObject({ externalId: '1' })
    now = 60_001
    expect(await audiences.create(testContext(), asked)).toMatchObject({ externalId: '2' })
  })

  test('a creation without an id may have happened: the marker will tell', async () => {
    const { destination, ctx } = meta([{ body: {} }])
    expect(await failed(destination.createAudience(ctx, { name: 'x', description: '', marker: 'm', settings }))).toMatchObject({ kind: 'unknown' })
  })

  test('unsigned terms stop a creation with the link to sign at', async () => {
    const { destination, ctx } = meta([graphError(2663)])
    expect(await failed(destination.createAudience(ctx, { name: 'x', description: '', marker: 'm', settings }))).toMatchObject({
      kind: 'terms',
      code: 'terms_not_signed',
      link: 'https://business.facebook.com/ads/manage/customaudiences/tos/?act=77',
    })
  })

  test('reading answers null for what is gone or not shown, and raises everything else', async () => {
    const { destination, ctx } = meta([graphError(100, 33), graphError(803), graphError(100, 1487366), graphError(190), new TypeError('ours')])
    for (const _ of [1, 2, 3]) expect(await destination.readAudience(ctx, '2')).toBeNull()
    expect(await failed(destination.readAudience(ctx, '2'))).toMatchObject({ kind: 'auth' })
    await expect(destination.readAudience(ctx, '2')).rejects.toThrow('ours')
  })

  test('reading tells size and state', async () => {
    const { destination, ctx } = meta([
      {
        body: {
          id: '2',
          name: 'x',
          operation_status: { code: 200 },
          delivery_status: { code: 200, description: 'Ready' },
          approximate_count_lower_bound: 900,
          approximate_count_upper_bound: 1100,
        },
      },
    ])
    expect(await destination.readAudience(ctx, '2')).toEqual({
      externalId: '2',
      name: 'x',
      size: 1000,
      bounds: { lower: 900, upper: 1100 },
      state: 'ready',
      detail: 'operation 200, delivery 200, Ready',
      expiresAt: null,
    })
  })

  test('a new description keeps our marker; without one there is none to keep; no change is no call', async () => {
    const { destination, http, ctx } = meta([
      { body: { description: 'old [as:aud_1]' } },
      { body: { success: true } },
      { body: {} },
      { body: { success: true } },
      { body: { success: true } },
    ])
    await destination.updateAudience(ctx, '2', { description: 'new' })
    await destination.updateAudience(ctx, '2', { description: 'new' })
    await destination.updateAudience(ctx, '2', { name: 'n', settings: { ...settings, retentionDays: 9 } })
    await destination.updateAudience(ctx, '2', {})
    expect(http.requests.filter(({ method }) => method === 'POST').map(({ body }) => JSON.parse(String(body)))).toEqual([
      { description: 'new [as:aud_1]' },
      { description: 'new' },
      { name: 'n', customer_file_source: 'USER_PROVIDED_ONLY', retention_days: 9 },
    ])
  })

  test('a change that Meta does not confirm is not done', async () => {
    const { destination, ctx } = meta([{ body: { success: false, message: 'no' } }])
    expect(await failed(destination.updateAudience(ctx, '2', { name: 'n' }))).toMatchObject({ kind: 'unknown', code: 'platform_bad_reply' })
  })

  test('a deletion is done when it is confirmed, or when the audience is not there any more', async () => {
    const { destination, ctx } = meta([{ body: { success: true } }, graphError(100, 33), page([]), graphError(803), page([]), graphError(100, 1487366)])
    for (const _ of [1, 2, 3, 4]) await expect(destination.deleteAudience(ctx, '2')).resolves.toBeUndefined()
  })

  test('a deletion is not done while the account still lists the audience, lookalikes rest on it, or Meta says so', async () => {
    const { destination, ctx } = meta([graphError(100, 33), page([{ id: '2' }]), graphError(2656), { body: { success: false } }])
    expect(await failed(destination.deleteAudience(ctx, '2'))).toMatchObject({ kind: 'permission' })
    expect(await failed(destination.deleteAudience(ctx, '2'))).toMatchObject({ code: 'lookalikes_exist' })
    expect(await failed(destination.deleteAudience(ctx, '2'))).toMatchObject({ kind: 'unknown' })
  })

  test('C20: a batch is applied when the content changed in a later second than its acceptance, and Meta is not at work', async () => {
    const acceptedAt = new Date(1_000_900)
    const settle = async (body: object) => {
      const { destination, ctx } = meta([{ body }])
      return (await destination.settle(ctx, '2', [{ batchId: 'b', acceptedAt, receipt: {} }]))[0]?.state
    }
    expect(await settle({ operation_status: { code: 200 }, time_content_updated: 1_001 })).toBe('applied')
    expect(await settle({ operation_status: { code: 200 }, time_content_updated: '1001' })).toBe('applied')
    expect(await settle({ operation_status: { code: 412 }, time_content_updated: 1_001 })).toBe('applied')
    expect(await settle({ operation_status: { code: 200 }, time_content_updated: 1_000 })).toBe('pending')
    expect(await settle({ operation_status: { code: 414 }, time_content_updated: 1_001 })).toBe('pending')
    expect(await settle({ operation_status: { code: 471 }, time_content_updated: 1_001 })).toBe('pending')
    expect(await settle({ operation_status: { code: 200 } })).toBe('pending')
    expect(await settle({})).toBe('pending')
  })

  test('what Meta remarks on an upload that it applied goes along', async () => {
    const remarks = async (code: number) => {
      const { destination, ctx } = meta([{ body: { operation_status: { code, description: 'why' }, time_content_updated: 1_001 } }])
      const [word] = await destination.settle(ctx, '2', [{ batchId: 'b', acceptedAt: new Date(1_000_000), receipt: {} }])
      return word?.state === 'applied' ? word.remarks?.map((one) => one.code) : word?.state
    }
    expect(await Promise.all([200, 400, 411, 412, 441].map(remarks))).toEqual([[], ['platform_remark'], ['few_matches'], ['many_invalid_rows'], 'pending'])
  })

  test.each([
    [200, 200, 'ready'],
    [411, 200, 'ready'],
    [415, 200, 'ready'],
    [500, 200, 'ready'],
    [200, 300, 'too_small'],
    [410, 300, 'processing'],
    [414, 200, 'processing'],
    [441, 200, 'processing'],
    [442, 300, 'processing'],
    [100, 200, 'expiring'],
    [471, 200, 'flagged'],
    [470, 200, 'disabled'],
    [200, 400, 'disabled'],
    [0, 0, 'ready'],
  ] as const)('operation %s with delivery %s is %s', (operation, delivery, state) => {
    expect(farAudience({ operation_status: { code: operation }, delivery_status: { code: delivery } }, '1').state).toBe(state)
  })

  test.each([
    [{ approximate_count_lower_bound: -1, approximate_count_upper_bound: -1 }, null],
    [{}, null],
    [{ approximate_count_lower_bound: 1000 }, 1000],
    [{ approximate_count_lower_bound: '1000', approximate_count_upper_bound: -1 }, 1000],
  ])('bounds %j are a size of %s', (bounds, size) => {
    expect(farAudience(bounds, '1').size).toBe(size)
  })

  test('a flagged audience says for what', () => {
    expect(farAudience({ operation_status: { code: 471 }, fields_violating_integrity_policy: ['name', 'description'] }, '1').detail).toContain(
      'flagged for its name, description',
    )
  })

  test('an audience about to be deleted says when', () => {
    expect(farAudience({ delete_time: 86_400 }, '1').expiresAt).toEqual(new Date(86_400_000))
  })
})
