import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const body = (fields: Record<string, unknown> = {}) => ({
  behaviorId: rig.behavior(),
  destination: 'meta',
  accountId: rig.account(),
  name: 'Comfort Seekers',
  ...fields,
})

describe('creation', () => {
  test('answers 201 with the first run queued, and tells everyone', async () => {
    const { status, body: audience } = await rig.call('POST', '/v1/audiences', body({ schedule: { frequency: 'hourly' } }))
    expect(status).toBe(201)
    expect(audience).toMatchObject({
      status: 'syncing',
      statusReason: null,
      externalId: null,
      identifiers: ['email', 'phone'],
      minimumSize: 100,
      brake: { sharePercent: 30, minimum: 100 },
      settings: { customerFileSource: 'USER_PROVIDED_ONLY', valueBased: false },
      size: { behavior: 520, eligible: null, destination: null },
      lastRun: { trigger: 'created', status: 'queued', counts: { planned: 0 } },
    })
    expect(Date.parse(audience.nextRunAt)).toBeGreaterThan(Date.now())
    expect(await rig.said('audience.created')).toMatchObject([{ audienceId: audience.id, status: 'syncing', version: 1n, schedule: { frequency: 'hourly' } }])
    expect(await rig.said('audience.sync.requested')).toMatchObject([{ audienceId: audience.id, runId: audience.lastRun.id, trigger: 'created' }])
    expect((await rig.call('GET', `/v1/audiences/${audience.id}`)).body).toEqual(audience)
  })

  test('without an account it goes to the default one, asked for by behavior, its kind, purpose and destination', async () => {
    const asked = body({ accountId: undefined, purpose: 'exclusion' })
    const none = await rig.call('POST', '/v1/audiences', asked)
    expect(none).toMatchObject({ status: 422, body: { code: 'account_required', solution: expect.stringContaining('/v1/default-accounts') } })
    expect(rig.world.defaultAsked.at(-1)).toEqual({ destination: 'meta', behaviorId: asked.behaviorId, behaviorKind: 'custom', purpose: 'exclusion' })

    rig.world.defaultAccount = rig.account()
    expect(await rig.call('POST', '/v1/audiences', asked)).toMatchObject({ status: 201, body: { accountId: rig.world.defaultAccount, purpose: 'exclusion' } })
    const named = rig.account() // one that is named goes before the default
    expect(await rig.call('POST', '/v1/audiences', body({ accountId: named }))).toMatchObject({ status: 201, body: { accountId: named } })
    // A default is no permission: what stands against the account is said as of any other.
    rig.world.defaultAccount = rig.account({ selected: false })
    expect(await rig.call('POST', '/v1/audiences', asked)).toMatchObject({ status: 409, body: { code: 'account_not_selected' } })
    rig.world.defaultAccount = publicId('account', newUuid())
    expect(await rig.call('POST', '/v1/audiences', asked)).toMatchObject({ status: 422, body: { code: 'account_unknown' } })
    rig.world.defaultAccount = null
  })

  test('start: false makes no run', async () => {
    const audience = await rig.audience({ start: false })
    expect(audience).toMatchObject({ status: 'pending', lastRun: null })
  })

  test('too few people: 201 paused, nothing asked for; a refresh answers 409', async () => {
    const audience = await rig.audience({ behaviorId: rig.behavior(99) })
    expect(audience).toMatchObject({
      status: 'paused',
      statusReason: { code: 'audience_too_small' },
      externalId: null,
      lastRun: null,
      size: { eligible: 99 },
      sizeAdvice: { band: expect.any(String) },
    })
    expect(await rig.call('POST', `/v1/audiences/${audience.id}/refresh`)).toMatchObject({ status: 409, body: { code: 'audience_too_small' } })
  })

  test.each([
    ['a behavior that is unknown', () => ({ behaviorId: publicId('behavior', newUuid()) }), 422, 'behavior_unknown'],
    ['an id that is none', () => ({ behaviorId: 'seg_1' }), 422, 'behavior_unknown'],
    ['an account that is unknown', () => ({ accountId: publicId('account', newUuid()) }), 422, 'account_unknown'],
    ['an account of another destination', () => ({ accountId: rig.account({ destination: 'hubspot' }) }), 422, 'account_unknown'],
    ['an account that is not selected', () => ({ accountId: rig.account({ selected: false }) }), 409, 'account_not_selected'],
    ['terms that are not signed', () => ({ accountId: rig.account({ termsSigned: false }) }), 409, 'terms_not_signed'],
    [
      'an account that is disabled at the platform',
      () => ({ accountId: rig.account({ status: 'disabled', statusDetail: 'disabled' }) }),
      409,
      'account_inactive',
    ],
    ['an account that is closed', () => ({ accountId: rig.account({ status: 'closed', statusDetail: 'closed' }) }), 409, 'account_inactive'],
    ['an id to adopt that would lead elsewhere', () => ({ adopt: { externalId: '../me' } }), 400, 'validation_failed'],
    ['a dead connection', () => ({ accountId: rig.account({ connectionStatus: 'expired' }) }), 409, 'connection_expired'],
    ['a revoked connection', () => ({ accountId: rig.account({ connectionStatus: 'revoked' }) }), 409, 'connection_revoked'],
    ['settings of another kind', () => ({ settings: { retentionDays: 999 } }), 400, 'settings_invalid'],
    ['a destination that we do not have', () => ({ destination: 'tiktok' }), 422, 'destination_unknown'],
    ['an identifier twice', () => ({ identifiers: ['email', 'email'] }), 400, 'validation_failed'],
    ['transformations', () => ({ transformations: [{ field: 'email' }] }), 400, 'validation_failed'],
    ['a zone that does not exist', () => ({ schedule: { frequency: 'daily', timeZone: 'Mars/Olympus' } }), 400, 'validation_failed'],
    ['a field that is unknown', () => ({ colour: 'red' }), 400, 'validation_failed'],
    ['an empty name', () => ({ name: '  ' }), 400, 'validation_failed'],
  ])('refuses %s', async (_what, fields, status, code) => {
    const answer = await rig.call('POST', '/v1/audiences', body(fields()))
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  test('the same Idempotency-Key makes one audience, and answers the same even when the account was unselected since', async () => {
    const asked = body()
    const headers = { 'idempotency-key': newUuid() }
    const first = await rig.call('POST', '/v1/audiences', asked, { headers })
    Object.assign(rig.world.accounts.get(asked.accountId) ?? {}, { selected: false })
    expect(await rig.call('POST', '/v1/audiences', asked, { headers })).toEqual(first)
    expect(await rig.call('POST', '/v1/audiences', { ...asked, name: 'Other' }, { headers })).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    })
  })

  test('one far audience is adopted by one audience only, also through another connection of the same account', async () => {
    const [one, two] = [rig.account({ externalId: '7001' }), rig.account({ externalId: '7001' })]
    const adopt = { externalId: '9001' }
    expect(await rig.audience({ accountId: one, adopt })).toMatchObject({ notices: [{ code: 'adopted_members_unknown', solution: expect.any(String) }] })
    expect(await rig.call('POST', '/v1/audiences', body({ accountId: two, adopt }))).toMatchObject({ status: 409, body: { code: 'conflict' } })
  })

  test('an account that has as many audiences as the platform allows takes no more: 409 with the figures', async () => {
    const accountId = rig.account({ externalId: '7002' })
    const { id } = await rig.audience({ accountId })
    const columns = (
      await rig.database.admin(`SELECT string_agg(quote_ident(column_name), ', ') AS names FROM information_schema.columns
      WHERE table_schema = 'sync' AND table_name = 'audience' AND column_name NOT IN ('no', 'id', 'name')`)
    )[0] as { names: string }
    await rig.database.admin(
      `INSERT INTO sync.audience (id, name, ${columns.names}) SELECT gen_random_uuid(), 'Copy ' || n, ${columns.names} FROM sync.audience, generate_series(1, 499) n WHERE id = $1`,
      [id.slice(4)],
    )
    expect(await rig.call('POST', '/v1/audiences', body({ accountId, name: 'One more' }))).toMatchObject({
      status: 409,
      body: { code: 'audience_limit', detail: expect.stringMatching(/500/), solution: expect.any(String), limit: 500, used: 500 },
    })
  })

  test('value-based or not, and exclusion or not, is settled when the audience exists: 409 with what to do', async () => {
    const { id } = await rig.audience({ start: false })
    expect((await rig.call('PATCH', `/v1/audiences/${id}`, { settings: { valueBased: true }, purpose: 'exclusion' })).body).toMatchObject({
      settings: { valueBased: true },
      notices: [{ code: 'exclusion_only' }],
    })
    await rig.database.admin(`UPDATE sync.audience SET external_id = '2390' WHERE id = $1`, [id.slice(4)])
    const refused = { status: 409, body: { code: 'setting_fixed', solution: expect.stringMatching(/new audience/) } }
    expect(await rig.call('PATCH', `/v1/audiences/${id}`, { settings: { valueBased: false } })).toMatchObject({
      ...refused,
      body: { ...refused.body, errors: [{ path: 'settings.valueBased' }] },
    })
    expect(await rig.call('PATCH', `/v1/audiences/${id}`, { purpose: 'targeting' })).toMatchObject(refused)
    expect((await rig.call('PATCH', `/v1/audiences/${id}`, { settings: { retentionDays: 30 }, name: 'Other name' })).status).toBe(200)
  })

  test('a seed says what it needs', async () => {
    const small = await rig.audience({ behaviorId: rig.behavior(50), purpose: 'seed', minimumSize: 100 })
    expect(small.notices.map(({ code }: { code: string }) => code)).toEqual(['seed_needs_people', 'seed_without_values'])
    expect((await rig.audience({ purpose: 'seed', settings: { valueBased: true } })).notices).toEqual([])
  })

  test('a size that the platform shows for every small audience is no size to judge by', async () => {
    const { id } = await rig.audience()
    const shown = async (size: number) => {
      await rig.database.admin('UPDATE sync.audience SET size_destination = $2, size_eligible = 4000 WHERE id = $1', [id.slice(4), size])
      return (await rig.call('GET', `/v1/audiences/${id}`)).body
    }
    expect(await shown(1000)).toMatchObject({ size: { destination: 1000 }, matchRate: null })
    expect(await shown(2000)).toMatchObject({ size: { destination: 2000 }, matchRate: 0.5 })
  })

  test('one far audience is adopted by one audience only', async () => {
    const accountId = rig.account()
    const adopt = { externalId: '2384' }
    expect(await rig.audience({ accountId, adopt })).toMatchObject({ externalId: '2384', adopted: true })
    expect(await rig.call('POST', '/v1/audiences', body({ accountId, adopt, name: 'Other' }))).toMatchObject({ status: 409, body: { code: 'conflict' } })
  })

  test('from a campaign, and found by it', async () => {
    const made = await rig.call('POST', '/v1/campaigns/spring-26/audiences', body())
    expect(made).toMatchObject({ status: 201, body: { campaignRef: 'spring-26' } })
    expect((await rig.call('GET', '/v1/audiences?campaignRef=spring-26')).body.data.map(({ id }: { id: string }) => id)).toEqual([made.body.id])
  })
})

describe('reading', () => {
  test('another tenant sees nothing: the same 404 as for an unknown id', async () => {
    const audience = await rig.audience()
    const foreign = await rig.call('GET', `/v1/audiences/${audience.id}`, undefined, { tenantId: newUuid() })
    const unknown = await rig.call('GET', `/v1/audiences/${publicId('audience', newUuid())}`)
    expect([foreign.status, foreign.body.detail]).toEqual([404, unknown.body.detail])
    expect((await rig.call('GET', `/v1/runs/${audience.lastRun.id}`, undefined, { tenantId: newUuid() })).status).toBe(404)
  })

  test('lists go page by page, newest first', async () => {
    const behaviorId = rig.behavior()
    const made = []
    for (let n = 0; n < 3; n += 1) made.unshift((await rig.audience({ behaviorId })).id)
    const first = (await rig.call('GET', `/v1/audiences?behaviorId=${behaviorId}&limit=2`)).body
    const second = (await rig.call('GET', `/v1/audiences?behaviorId=${behaviorId}&limit=2&cursor=${first.nextCursor}`)).body
    expect([...first.data, ...second.data].map(({ id }) => id)).toEqual(made)
    expect(second.nextCursor).toBeNull()
  })

  test('a read needs its scope', async () => {
    expect(await rig.call('GET', '/v1/audiences', undefined, { scopes: ['behaviors:read'] })).toMatchObject({ status: 403, body: { code: 'forbidden_scope' } })
  })
})
