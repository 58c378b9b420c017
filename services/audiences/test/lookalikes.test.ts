/** Lookalikes as users wish for them: what is refused and why, what is shown, and what stands in the way of deleting a seed. */
import { newUuid } from '@audience-sync/contracts/ids'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const BODY = { name: 'Like them', type: 'similarity', countries: ['US'] }
const at = (audienceId: string) => `/v1/audiences/${audienceId}/lookalikes`
const wish = (audienceId: string, changes: object = {}) => rig.call('POST', at(audienceId), { ...BODY, ...changes })
const set = (id: string, changes: string) => rig.database.admin(`UPDATE sync.lookalike SET ${changes} WHERE id = $1`, [id.slice(4)])

describe('wishing for one', () => {
  test('answers 201: it waits for its seed and says for what; found again, listed, and a line of the seed’s history', async () => {
    const { id, accountId } = await rig.audience({ purpose: 'seed' })
    const made = await wish(id, { type: 'custom_ratio', ratio: 0.07, startingRatio: 0.02, countries: ['FR', 'DE', 'FR'], allowInternationalSeeds: true })
    expect(made).toMatchObject({
      status: 201,
      body: {
        id: expect.stringMatching(/^lal_/),
        seedAudienceId: id,
        destination: 'meta',
        accountId,
        name: 'Like them',
        type: 'custom_ratio',
        ratio: 0.07,
        startingRatio: 0.02,
        countries: ['DE', 'FR'],
        countryGroups: [],
        excludedCountries: [],
        allowInternationalSeeds: true,
        valueBased: false,
        status: 'pending',
        statusReason: { code: 'seed_not_exported', since: expect.any(String), solution: expect.any(String) },
        externalId: null,
        adopted: false,
        size: null,
      },
    })
    expect((await rig.call('GET', `/v1/lookalikes/${made.body.id}`)).body).toEqual(made.body)
    const second = await wish(id, { countries: [], countryGroups: ['worldwide'], excludedCountries: ['US'] })
    const page = (await rig.call('GET', `${at(id)}?limit=1`)).body
    expect(page.data).toEqual([second.body])
    expect((await rig.call('GET', `${at(id)}?cursor=${page.nextCursor}`)).body).toEqual({ data: [made.body], nextCursor: null })
    const { data } = (await rig.call('GET', `/v1/audiences/${id}/history?kind=lookalike`)).body
    expect(data.at(-1)).toMatchObject({ kind: 'lookalike', data: { lookalikeId: made.body.id, from: null, to: 'pending' } })
  })

  test('a paused or too small seed is said at once', async () => {
    const { id } = await rig.audience()
    await rig.call('POST', `/v1/audiences/${id}/pause`)
    expect((await wish(id)).body).toMatchObject({ status: 'pending', statusReason: { code: 'seed_paused' } })
    const small = await rig.audience({ behaviorId: rig.behavior(3) })
    expect((await wish(small.id)).body).toMatchObject({ status: 'pending', statusReason: { code: 'seed_too_small' } })
  })

  test('the same Idempotency-Key makes one; the same choice again is refused and names the one that is there', async () => {
    const { id } = await rig.audience()
    const headers = { 'idempotency-key': newUuid() }
    const answers = [await rig.call('POST', at(id), BODY, { headers }), await rig.call('POST', at(id), BODY, { headers })]
    expect(answers.map(({ status }) => status)).toEqual([201, 201])
    expect(answers[0]?.body.id).toBe(answers[1]?.body.id)
    expect(await wish(id, { name: 'Other name' })).toMatchObject({ status: 409, body: { code: 'lookalike_duplicate', lookalikeId: answers[0]?.body.id } })
    expect((await wish(id, { countries: ['FR'] })).status).toBe(201)
  })

  test.each<[object, string]>([
    [{ type: 'custom_ratio' }, 'ratio'],
    [{ type: 'custom_ratio', ratio: 0.21 }, 'ratio'],
    [{ type: 'custom_ratio', ratio: 0.005 }, 'ratio'],
    [{ type: 'custom_ratio', ratio: 0.015 }, 'ratio'],
    [{ ratio: 0.02 }, 'ratio'],
    [{ startingRatio: 0.02 }, 'startingRatio'],
    [{ type: 'custom_ratio', ratio: 0.05, startingRatio: 0.05 }, 'startingRatio'],
    [{ type: 'custom_ratio', ratio: 0.05, startingRatio: 0.011 }, 'startingRatio'],
    [{ countries: [] }, 'countries'],
    [{ countries: ['usa'] }, 'countries.0'],
    [{ countryGroups: ['Asia!'] }, 'countryGroups.0'],
    [{ countryGroups: ['asia'], excludedCountries: ['US'] }, 'excludedCountries'],
    [{ excludedCountries: ['FR'] }, 'excludedCountries'],
    [{ name: 'x'.repeat(201) }, 'name'],
    [{ name: 'Like {behavior}' }, 'name'],
    [{ type: 'closest' }, 'type'],
  ])('%j is malformed at %s', async (changes, path) => {
    const { id } = await rig.audience()
    const answer = await wish(id, changes)
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual([path])
  })

  test('every ratio that the platform takes is taken', async () => {
    const { id } = await rig.audience()
    for (let percent = 1; percent <= 20; percent += 1) expect((await wish(id, { type: 'custom_ratio', ratio: percent / 100 })).status).toBe(201)
  })

  test('values: a seed without them refuses, a seed with them makes value-based ones only', async () => {
    const plain = await rig.audience()
    expect(await wish(plain.id, { valueBased: true })).toMatchObject({ status: 409, body: { code: 'lookalike_needs_values' } })
    const valued = await rig.audience({ settings: { valueBased: true } })
    expect(await wish(valued.id, { valueBased: false })).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect((await wish(valued.id, { valueBased: true })).body.valueBased).toBe(true)
    expect((await wish(valued.id, { countries: ['FR'] })).body.valueBased).toBe(true)
  })

  test('a name that the platform may flag is warned of', async () => {
    const { id } = await rig.audience()
    expect((await wish(id, { name: 'Like people with diabetes' })).body.nameWarnings).toMatchObject([{ field: 'name', words: ['diabetes'] }])
    expect((await wish(id, { countries: ['FR'] })).body.nameWarnings).toEqual([])
  })

  test('unknown, foreign and deleting seeds refuse it', async () => {
    const { id } = await rig.audience()
    expect((await wish('aud_nothing')).status).toBe(404)
    const { body } = await wish(id)
    for (const path of [at(id), `/v1/lookalikes/${body.id}`]) expect((await rig.call('GET', path, undefined, { tenantId: newUuid() })).status).toBe(404)
    expect((await rig.call('DELETE', `/v1/lookalikes/${body.id}`, undefined, { tenantId: newUuid() })).status).toBe(404)
    await rig.call('DELETE', `/v1/audiences/${id}`)
    expect(await wish(id, { countries: ['FR'] })).toMatchObject({ status: 409, body: { code: 'audience_deleting' } })
  })

  test('what a seed needs is in the catalogue; a caller needs the scopes', async () => {
    const { capabilities } = (await rig.call('GET', '/v1/destinations/meta')).body
    expect(capabilities.lookalikes).toEqual({ minimumSeed: 100, ratio: { min: 0.01, max: 0.2, step: 0.01 }, unusedDays: 90 })
    const { id } = await rig.audience()
    expect((await rig.call('POST', at(id), BODY, { scopes: ['audiences:read'] })).status).toBe(403)
    expect((await rig.call('GET', at(id), undefined, { scopes: ['audiences:write'] })).status).toBe(403)
  })
})

describe('what is shown', () => {
  test('status, reason with the catalogue’s and the platform’s words, and the platform’s bounds', async () => {
    const { id } = await rig.audience()
    const { body } = await wish(id)
    await set(body.id, `status = 'active', status_reason = NULL, external_id = '77', size_lower = 2000000, size_upper = 2300000, size_as_of = now()`)
    expect((await rig.call('GET', `/v1/lookalikes/${body.id}`)).body).toMatchObject({
      status: 'active',
      statusReason: null,
      externalId: '77',
      size: { lower: 2_000_000, upper: 2_300_000, asOf: expect.any(String) },
    })
    await set(body.id, `status = 'error', size_lower = NULL, size_upper = NULL, status_reason = '{"code": "lookalike_inactive", "platform": {"code": "450"}}'`)
    expect((await rig.call('GET', `/v1/lookalikes/${body.id}`)).body).toMatchObject({
      status: 'error',
      statusReason: { code: 'lookalike_inactive', title: expect.any(String), platform: { code: '450' } },
      size: null,
    })
  })

  test('given up it is deleting, and gone once the connector is done; twice is once', async () => {
    const { id } = await rig.audience()
    const { body } = await wish(id)
    for (let i = 0; i < 2; i += 1) expect(await rig.call('DELETE', `/v1/lookalikes/${body.id}`)).toMatchObject({ status: 202, body: { status: 'deleting' } })
    await set(body.id, 'deleted_at = now()')
    expect((await rig.call('GET', `/v1/lookalikes/${body.id}`)).status).toBe(404)
    expect((await rig.call('GET', at(id))).body.data).toEqual([])
    expect((await wish(id)).status).toBe(201)
  })

  test('a mended connection has it looked at again', async () => {
    const { id, connectionId } = await rig.audience()
    const { body } = await wish(id)
    await set(body.id, `due_at = now() + interval '1 day', status_reason = '{"code": "connection_expired"}'`)
    await rig.hear('audiences.connection-changed', { connectionId, status: 'active' })
    expect(await rig.database.admin('SELECT due_at <= now() AS due FROM sync.lookalike WHERE id = $1', [body.id.slice(4)])).toEqual([{ due: true }])
  })
})

describe('deleting a seed', () => {
  test('with a lookalike at the platform it is refused, with what to do; with them, they are given up first', async () => {
    const { id } = await rig.audience()
    const { body } = await wish(id)
    await set(body.id, `external_id = '77', status = 'active'`)
    expect(await rig.call('DELETE', `/v1/audiences/${id}`)).toMatchObject({
      status: 409,
      body: {
        code: 'lookalikes_exist',
        solution: expect.stringContaining('deleteLookalikes=true'),
        lookalikes: [{ id: body.id, name: 'Like them', adopted: false }],
      },
    })
    expect((await rig.call('GET', `/v1/audiences/${id}`)).body.status).not.toBe('deleting')
    expect(await rig.call('DELETE', `/v1/audiences/${id}?deleteLookalikes=true`)).toMatchObject({ status: 202, body: { status: 'deleting' } })
    expect((await rig.call('GET', `/v1/lookalikes/${body.id}`)).body.status).toBe('deleting')
    expect((await rig.call('DELETE', `/v1/audiences/${id}`)).status).toBe(202)
  })

  test('one that was never sent is in nobody’s way; one whose create may have been sent is', async () => {
    const { id } = await rig.audience()
    const { body } = await wish(id)
    await set(body.id, `attempts = 1, status = 'creating'`)
    expect((await rig.call('DELETE', `/v1/audiences/${id}`)).status).toBe(409)
    await set(body.id, `attempts = 0, status = 'pending'`)
    expect((await rig.call('DELETE', `/v1/audiences/${id}`)).status).toBe(202)
  })

  test('one that somebody made at the platform is never deleted by us: the seed is refused, or kept there', async () => {
    const { id } = await rig.audience()
    const { body } = await wish(id)
    await set(body.id, `external_id = '77', adopted = true, status = 'active'`)
    expect(await rig.call('DELETE', `/v1/audiences/${id}?deleteLookalikes=true`)).toMatchObject({
      status: 409,
      body: { code: 'lookalikes_exist', detail: expect.stringContaining('made at the platform') },
    })
    expect((await rig.call('DELETE', `/v1/audiences/${id}?keepRemote=true`)).status).toBe(202)
  })

  test('a deletion that the platform refused says why, and may be asked again to keep everything there', async () => {
    const { id } = await rig.audience()
    await rig.call('DELETE', `/v1/audiences/${id}`)
    await rig.database.admin(
      `UPDATE sync.audience SET status_reason = '{"code": "lookalikes_exist", "platform": {"code": "2656"}}', next_run_at = now() + interval '1 hour' WHERE id = $1`,
      [id.slice(4)],
    )
    expect((await rig.call('GET', `/v1/audiences/${id}`)).body).toMatchObject({
      status: 'deleting',
      statusReason: { code: 'lookalikes_exist', platform: { code: '2656' } },
    })
    expect((await rig.call('DELETE', `/v1/audiences/${id}?keepRemote=true`)).status).toBe(202)
    expect(await rig.database.admin('SELECT keep_remote, next_run_at FROM sync.audience WHERE id = $1', [id.slice(4)])).toEqual([
      { keep_remote: true, next_run_at: null },
    ])
    expect((await rig.said('audience.changed')).filter(({ audienceId }) => audienceId === id)).toHaveLength(1)
  })
})
