/** What a user may choose of an audience: transformations, presets, names, how calls are tried again. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const post = (fields: Record<string, unknown>, query = '') =>
  rig.call('POST', `/v1/audiences${query}`, { behaviorId: rig.behavior(), destination: 'meta', accountId: rig.account(), name: 'Comfort Seekers', ...fields })
const bare = (id: string) => id.slice(4)
const stored = async (id: string) =>
  (await rig.database.admin('SELECT config_version, full_reason, far_stale FROM sync.audience WHERE id = $1', [bare(id)]))[0] as Record<string, unknown>

describe('transformations', () => {
  const drop = { type: 'dropPerson', when: { field: 'country', equals: ['US'] } }

  test('are kept as they were checked, and shown', async () => {
    const { body } = await post({
      transformations: [
        { type: 'defaultCountry', country: 'de' },
        { type: 'chooseIdentifier', order: ['email', 'emails'] },
      ],
    })
    expect(body.transformations).toEqual([
      { type: 'defaultCountry', country: 'DE' },
      { type: 'chooseIdentifier', order: ['email', 'emails'], take: 1 },
    ])
  })

  test('others make the next run look at everyone; the same ones in other words do not', async () => {
    const { id } = await rig.audience({ transformations: [drop] })
    await rig.database.admin('UPDATE sync.audience SET full_reason = NULL WHERE id = $1', [bare(id)])
    const same = { when: { equals: ['US'], field: 'country' }, type: 'dropPerson' }
    expect((await rig.call('PATCH', `/v1/audiences/${id}`, { transformations: [same] })).status).toBe(200)
    expect(await stored(id)).toMatchObject({ config_version: 1, full_reason: null })
    expect((await rig.call('PATCH', `/v1/audiences/${id}`, { transformations: [] })).body.transformations).toEqual([])
    expect(await stored(id)).toMatchObject({ config_version: 2, full_reason: 'config_changed' })
  })

  test('are refused when saved, not when a run meets them', async () => {
    const { id } = await rig.audience()
    const bad = { transformations: [{ type: 'constant', field: 'email', value: 'a@example.com' }] }
    expect(await rig.call('PATCH', `/v1/audiences/${id}`, bad)).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  })

  test('preview applies them, and what came hashed is not hashed again', async () => {
    const digest = 'f'.repeat(64)
    const consent = { adUserData: 'granted', adPersonalization: 'granted' }
    const { status, body } = await rig.call('POST', '/v1/destinations/meta/preview', {
      operation: 'add',
      identifiers: ['email'],
      transformations: [{ type: 'prefix', field: 'email', text: 'x' }, drop],
      members: [
        { customerId: 'c_1', identifiers: { email: digest }, consent },
        { customerId: 'c_2', identifiers: { email: 'b@example.com', country: 'us' }, consent },
      ],
    })
    expect([status, body.members]).toMatchObject([
      200,
      [
        { sent: { EMAIL: digest }, rejected: null },
        { sent: {}, rejected: { code: 'dropped_by_rule' } },
      ],
    ])
  })
})

describe('identifiers', () => {
  test('a preset chooses several at once, at creation and later', async () => {
    const { body } = await post({ identifierPreset: 'email_phone_address' })
    expect(body.identifiers).toEqual(['email', 'phone', 'address'])
    expect((await rig.call('PATCH', `/v1/audiences/${body.id}`, { identifierPreset: 'email' })).body.identifiers).toEqual(['email'])
    expect(await stored(body.id)).toMatchObject({ config_version: 2 })
  })
  test('an unknown preset, and a preset beside a choice, are refused', async () => {
    expect(await post({ identifierPreset: 'everything' })).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect(await post({ identifierPreset: 'email', identifiers: ['phone'] })).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  })
  test('the catalogue lists presets, templates, advice on names, and words that are flagged', async () => {
    const { body } = await rig.call('GET', '/v1/destinations/meta')
    expect(body.presets).toContainEqual(expect.objectContaining({ id: 'email_phone', identifiers: ['email', 'phone'] }))
    expect(body.names).toMatchObject({ templates: expect.arrayContaining(['{behavior}', '{quarter}']), advice: [{ text: expect.any(String) }, {}, {}] })
    expect(body.names.flagged[0].words).toContain('diabetes')
    expect(body.sizeBands[0]).toMatchObject({ upTo: 999, limitedReach: true })
  })
})

describe('names', () => {
  test('templates are filled in at creation, and only then', async () => {
    const { body } = await post({ name: '{purpose} - {behavior} - {duration}', purpose: 'seed', settings: { retentionDays: 90 } })
    expect(body.name).toBe('Seed - Name - 90d')
    expect(await rig.call('PATCH', `/v1/audiences/${body.id}`, { name: '{behavior}' })).toMatchObject({ status: 400 })
    expect(await post({ name: '{duration}' })).toMatchObject({ status: 400, body: { errors: [{ path: 'name' }] } })
    expect(await post({ name: '{nothing}' })).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  })

  test('a name is taken once per account: 409 with one that is free; a deleted audience gives its name away', async () => {
    const accountId = rig.account()
    const first = await rig.audience({ accountId, name: 'Loyal Regulars' })
    expect(await post({ accountId, name: 'loyal regulars' })).toMatchObject({ status: 409, body: { code: 'name_taken', suggestion: 'loyal regulars (2)' } })
    const other = await rig.audience({ accountId, name: 'Loyal Regulars (2)' })
    expect(await rig.call('PATCH', `/v1/audiences/${other.id}`, { name: 'Loyal Regulars' })).toMatchObject({
      status: 409,
      body: { suggestion: 'Loyal Regulars (3)' },
    })
    expect((await rig.call('PATCH', `/v1/audiences/${other.id}`, { name: 'LOYAL REGULARS (2)' })).status).toBe(200)
    await rig.call('DELETE', `/v1/audiences/${first.id}`)
    expect((await post({ accountId, name: 'Loyal Regulars' })).status).toBe(201)
  })

  test('of two who ask for one name at once, one gets it', async () => {
    const accountId = rig.account()
    const answers = await Promise.all([1, 2, 3].map(() => post({ accountId, name: 'Twins' })))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409])
  })

  test('words that the platform flags are a warning, and refused when asked to be strict', async () => {
    const { status, body } = await post({ name: 'Diabetes - high income' })
    expect([status, body.nameWarnings]).toMatchObject([
      201,
      [
        { code: 'name_flagged', field: 'name', topic: 'health', words: ['diabetes'] },
        { topic: 'financial status', words: ['high income'] },
      ],
    ])
    expect(await post({ name: 'Diabetes' }, '?strict=true')).toMatchObject({ status: 422, body: { code: 'name_flagged' } })
    expect((await post({}, '?strict=true')).body.nameWarnings).toEqual([])
  })
})

test('how calls are tried again stays within safe bounds', async () => {
  const { body } = await post({ retryPolicy: { attempts: 3, windowHours: 2, backoffSeconds: 10 } })
  expect(body.retryPolicy).toEqual({ attempts: 3, windowHours: 2, backoffSeconds: 10 })
  for (const bad of [{ attempts: 0 }, { attempts: 21 }, { windowHours: 169 }, { backoffSeconds: 0 }, { backoffSeconds: 301 }])
    expect((await post({ retryPolicy: bad })).status).toBe(400)
})

test('an audience below a thousand people is told of its limited reach', async () => {
  const { body } = await post({ behaviorId: rig.behavior(99) })
  expect(body.sizeAdvice).toMatchObject({ band: 'too_small', limitedReach: true })
})
