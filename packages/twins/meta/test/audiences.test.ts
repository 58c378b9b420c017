import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { MetaTwin } from '../src/twin.ts'
import { apply, CLOSED, type Client, client, control, hash, login, members, NO_TERMS, newAudience, ONLY_LOOK, STORE, startTwin, upload } from './helpers.ts'

let twin: MetaTwin
let call: Client
beforeEach(async () => {
  twin = await startTwin()
  call = client(twin, await login(twin))
})
afterEach(() => twin.close())

const creation = { name: 'Comfort seekers', subtype: 'CUSTOM', customer_file_source: 'USER_PROVIDED_ONLY' }

describe('creation', () => {
  test.each([
    ['without customer_file_source', { customer_file_source: undefined }, 100, undefined],
    ['without a subtype', { subtype: undefined }, 100, undefined],
    ['without a name', { name: undefined }, 100, undefined],
    ['with a source that does not exist', { customer_file_source: 'BOUGHT' }, 100, undefined],
    ['with a retention of 181 days', { retention_days: 181 }, 100, undefined],
    ['with a parameter that does not exist', { custmer_file_source: 'x' }, 100, undefined],
    ['with a wrong type', { is_value_based: 'perhaps' }, 100, undefined],
  ])('%s is refused', async (_, change, code, subcode) => {
    const { status, body } = await call('POST', `${STORE}/customaudiences`, { ...creation, ...change })
    expect({ status, code: body.error?.code, subcode: body.error?.error_subcode }).toEqual({ status: 400, code, subcode })
    expect(body.error?.fbtrace_id).toBeTruthy()
  })

  test('says what is missing: terms, tasks, an open account, sight of it', async () => {
    const errors = await Promise.all(
      [NO_TERMS, ONLY_LOOK, CLOSED, 'act_99'].map(async (account) => (await call('POST', `${account}/customaudiences`, creation)).body.error),
    )
    expect(errors).toMatchObject([
      { code: 200, error_subcode: 1870034 },
      { code: 2654, error_subcode: 1713092 },
      { code: 200 },
      { code: 100, error_subcode: 33 },
    ])
  })

  test('is not idempotent, and ids are strings beyond what a number holds', async () => {
    const ids = [await newAudience(call), await newAudience(call)]
    expect(ids[0]).not.toBe(ids[1])
    expect(Number(ids[0])).toBeGreaterThan(Number.MAX_SAFE_INTEGER)
  })

  test('takes a form as well as JSON', async () => {
    const answer = await fetch(`${twin.url}/v26.0/${STORE}/customaudiences`, {
      method: 'POST',
      body: new URLSearchParams({ ...creation, access_token: await login(twin), use_for_products: '["ADS"]' }),
    })
    expect(answer.status).toBe(200)
  })

  test('ends at 500 audiences in an account', async () => {
    for (let number = 0; number < 500; number++) await newAudience(call)
    expect((await call('POST', `${STORE}/customaudiences`, creation)).body.error).toMatchObject({ code: 2654 })
  })
})

describe('one audience', () => {
  test('reads by fields, starts empty and too small, and refuses fields that are gone', async () => {
    const id = await newAudience(call, { description: 'marker:1', retention_days: 30 })
    expect((await call('GET', id)).body).toEqual({ id })
    const fields =
      'id,name,description,subtype,delivery_status,operation_status,approximate_count_lower_bound,approximate_count_upper_bound,time_content_updated,time_updated,is_value_based,delete_time,fields_violating_integrity_policy,permission_for_actions,lookalike_audience_ids'
    const { body } = await call('GET', `${id}?fields=${fields}`)
    expect(body).toMatchObject({
      name: creation.name,
      description: 'marker:1',
      delivery_status: { code: 300 },
      operation_status: { code: 410 },
      approximate_count_lower_bound: -1,
      is_value_based: false,
      permission_for_actions: { can_edit: true },
    })
    for (const absent of ['delete_time', 'fields_violating_integrity_policy', 'lookalike_audience_ids']) expect(body).not.toHaveProperty(absent)
    expect((await call('GET', `${id}?fields=approximate_count`)).body.error).toMatchObject({ code: 100 })
  })

  test('is found by paging through the list by twenty, also when another is deleted on the way', async () => {
    const ids = []
    for (let number = 0; number < 45; number++) ids.push(await newAudience(call, { description: `marker:${number}` }))
    const seen: unknown[] = []
    let path = `${STORE}/customaudiences?fields=id,description&limit=20`
    for (;;) {
      const { body } = await call('GET', path)
      seen.push(...(body.data as { id: string }[]).map(({ id }) => id))
      const { next, cursors } = body.paging as { next?: string; cursors: { after: string } }
      if (next === undefined) break
      // The last one shown, so that the cursor names an audience that is gone.
      const last = String(seen.at(-1))
      await call('DELETE', last)
      ids.splice(ids.indexOf(last), 1)
      path = `${STORE}/customaudiences?fields=id,description&limit=20&after=${cursors.after}`
    }
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen).toEqual(expect.arrayContaining(ids))
    expect((await call('GET', `${STORE}/customaudiences?limit=200`)).body.error).toMatchObject({ code: 1 })
  })

  test('is flagged for what its name hints at: uploads, removals and edits are refused until it is renamed', async () => {
    const id = await newAudience(call, { name: 'People with diabetes' })
    expect((await call('GET', `${id}?fields=operation_status,fields_violating_integrity_policy`)).body).toMatchObject({
      operation_status: { code: 471 },
      fields_violating_integrity_policy: ['name'],
    })
    expect((await call('POST', `${id}/users`, upload(['a']))).body.error).toMatchObject({ code: 100, error_subcode: 1713230 })
    expect((await call('DELETE', `${id}/users`, upload(['a']))).body.error).toMatchObject({ code: 100, error_subcode: 1713230 })
    expect((await call('POST', id, { description: 'x' })).body.error).toMatchObject({ code: 100, error_subcode: 1713231 })
    expect((await call('POST', id, { name: 'Comfort seekers' })).body).toMatchObject({ success: true })
    expect((await call('POST', `${id}/users`, upload(['a']))).status).toBe(200)
  })

  test('once deleted, reads are 100/33 and uploads say that it is gone', async () => {
    const id = await newAudience(call)
    expect((await call('DELETE', id)).body).toEqual({ success: true })
    expect((await call('GET', id)).body.error).toMatchObject({ code: 100, error_subcode: 33 })
    expect((await call('POST', `${id}/users`, upload(['a']))).body.error).toMatchObject({ code: 100, error_subcode: 1487366 })
  })

  test('others may rename, flag, disable or delete it in the platform’s own screens', async () => {
    const id = await newAudience(call)
    await control(twin, 'PATCH', `audiences/${id}`, { name: 'Renamed', operationStatus: 100 })
    expect((await call('GET', `${id}?fields=name,operation_status`)).body).toMatchObject({ name: 'Renamed', operation_status: { code: 100 } })
    await control(twin, 'PATCH', `audiences/${id}`, { operationStatus: null, flagged: true })
    expect((await call('GET', `${id}?fields=operation_status`)).body).toMatchObject({ operation_status: { code: 471 } })
    await control(twin, 'PATCH', `audiences/${id}`, { flagged: false, disabled: true })
    expect((await call('POST', `${id}/users`, upload(['a']))).body.error).toMatchObject({ error_subcode: 1870065 })
    expect((await control(twin, 'DELETE', `audiences/${id}`)).status).toBe(204)
    expect((await call('GET', id)).status).toBe(400)
    for (const gone of [id, '1']) expect((await control(twin, 'GET', `audiences/${gone}`)).status).toBe(404)
  })
})

describe('audiences that others made', () => {
  test('by hand, with people in it, an audience can be found, read and filled like our own', async () => {
    const made = await control(twin, 'POST', 'audiences', { accountId: STORE, name: 'By hand', description: 'list of May', members: [{ EMAIL: hash('old') }] })
    expect(made.status).toBe(201)
    const { id } = (await made.json()) as { id: string }
    expect((await call('GET', `${STORE}/customaudiences?fields=name`)).body.data).toEqual([{ id, name: 'By hand' }])
    expect((await call('GET', `${id}?fields=subtype,operation_status,customer_file_source`)).body).toMatchObject({
      subtype: 'CUSTOM',
      operation_status: { code: 200 },
      customer_file_source: 'USER_PROVIDED_ONLY',
    })
    await call('POST', `${id}/users`, upload(['new']))
    await call('DELETE', `${id}/users`, upload(['old']))
    apply(twin)
    expect(members(twin, id)).toEqual([hash('new')])
  })

  test('one that is made from a website takes no people', async () => {
    const { id } = (await (await control(twin, 'POST', 'audiences', { accountId: STORE, name: 'Visitors', subtype: 'WEBSITE' })).json()) as { id: string }
    expect((await call('POST', `${id}/users`, upload(['a']))).body.error).toMatchObject({ code: 2650 })
    expect((await control(twin, 'POST', 'audiences', { accountId: '5', name: 'x' })).status).toBe(404)
    expect((await control(twin, 'POST', 'audiences', { accountId: STORE, name: 'x', members: [{ MAIL: 'x' }] })).status).toBe(400)
  })

  test('an audience that will be deleted for want of use says when', async () => {
    const id = await newAudience(call)
    await control(twin, 'PATCH', `audiences/${id}`, { operationStatus: 100, deleteTime: '2027-01-01T00:00:00Z' })
    expect((await call('GET', `${id}?fields=operation_status,delete_time`)).body).toMatchObject({ operation_status: { code: 100 }, delete_time: 1_798_761_600 })
  })

  test('an account may be given a lower limit of audiences and of lookalikes', async () => {
    await control(twin, 'PATCH', `accounts/${STORE.slice(4)}`, { audienceLimit: 1 })
    await newAudience(call)
    expect((await call('POST', `${STORE}/customaudiences`, creation)).body.error).toMatchObject({ code: 2654 })
  })
})

describe('lookalikes', () => {
  const spec = { type: 'similarity', ratio: 0.01, country: 'US' }
  const lookalike = (origin: string, more: object = {}) => ({
    name: 'Like them',
    subtype: 'LOOKALIKE',
    origin_audience_id: origin,
    lookalike_spec: JSON.stringify({ ...spec, ...more }),
  })

  test('need a seed of a hundred, exist once per seed, country and ratio, and keep their seed from being deleted', async () => {
    const seed = await newAudience(call)
    expect((await call('POST', `${STORE}/customaudiences`, lookalike(seed))).body.error).toMatchObject({ code: 2654 })
    await call('POST', `${seed}/users`, upload(Array.from({ length: 200 }, (_, number) => `p${number}`)))
    apply(twin)
    const { body } = await call('POST', `${STORE}/customaudiences`, lookalike(seed))
    expect(body.id).toEqual(expect.any(String))
    expect((await call('POST', `${STORE}/customaudiences`, lookalike(seed))).body.error).toMatchObject({ code: 2654, error_subcode: 1713007 })
    expect((await call('POST', `${STORE}/customaudiences`, lookalike(seed, { ratio: 0.05 }))).status).toBe(200)
    // The same share and place in other words: similarity is the top 1 %, reach the top 5 % (facts §6).
    const { country } = spec
    for (const words of [
      { type: 'reach', ratio: undefined },
      { type: 'custom_ratio', ratio: 0.05 },
      { ratio: 0.05, country: undefined, location_spec: { geo_locations: { countries: [country] } } },
    ])
      expect((await call('POST', `${STORE}/customaudiences`, lookalike(seed, words))).body.error).toMatchObject({ code: 2654, error_subcode: 1713007 })
    expect((await call('POST', `${STORE}/customaudiences`, lookalike(seed, { type: 'custom_ratio', ratio: undefined }))).body.error).toMatchObject({
      code: 100,
    })
    expect((await call('POST', `${STORE}/customaudiences`, lookalike(seed, { ratio: 0.5 }))).body.error).toMatchObject({ code: 100 })
    expect((await call('GET', `${seed}?fields=lookalike_audience_ids`)).body.lookalike_audience_ids).toContain(body.id)
    expect((await call('DELETE', seed)).body.error).toMatchObject({ code: 2656 })
    expect((await call('POST', `${STORE}/customaudiences`, lookalike(String(body.id), { country: 'FR' }))).body.error).toMatchObject({ code: 2654 })
    await control(twin, 'PATCH', `accounts/${STORE.slice(4)}`, { lookalikeLimit: 2 })
    expect((await call('POST', `${STORE}/customaudiences`, lookalike(seed, { country: 'IT' }))).body.error).toMatchObject({ code: 2654 })
    await control(twin, 'PATCH', `audiences/${seed}`, { flagged: true })
    expect((await call('POST', `${STORE}/customaudiences`, lookalike(seed, { country: 'FR' }))).body.error).toMatchObject({ code: 100, error_subcode: 1713232 })
  })
  test('are too small while they are built, then of a size, and of none (-1) once inactive', async () => {
    const seed = await newAudience(call)
    await call('POST', `${seed}/users`, upload(Array.from({ length: 200 }, (_, number) => `p${number}`)))
    apply(twin)
    const { id } = (
      await call('POST', `${STORE}/customaudiences`, lookalike(seed, { country: undefined, location_spec: { geo_locations: { country_groups: ['europe'] } } }))
    ).body as { id: string }
    const look = async () => (await call('GET', `${id}?fields=delivery_status,approximate_count_lower_bound,approximate_count_upper_bound`)).body
    expect(await look()).toMatchObject({ delivery_status: { code: 300 }, approximate_count_lower_bound: -1 })
    apply(twin)
    expect(await look()).toMatchObject({ delivery_status: { code: 200 }, approximate_count_lower_bound: 2_100_000 })
    await control(twin, 'PATCH', `audiences/${id}`, { operationStatus: 450 })
    expect(await look()).toMatchObject({ delivery_status: { code: 300 }, approximate_count_lower_bound: -1, approximate_count_upper_bound: -1 })
    const nowhere = await call('POST', `${STORE}/customaudiences`, lookalike(seed, { country: undefined, location_spec: { geo_locations: {} } }))
    expect(nowhere.body.error).toMatchObject({ code: 100 })
  })
})
