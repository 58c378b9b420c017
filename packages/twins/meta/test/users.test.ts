import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { MetaTwin } from '../src/twin.ts'
import {
  apply,
  CLOSED,
  type Client,
  client,
  control,
  hash,
  login,
  members,
  NO_TERMS,
  newAudience,
  ONLY_LOOK,
  STORE,
  startTwin,
  statusOf,
  upload,
} from './helpers.ts'

let twin: MetaTwin
let call: Client
let audience: string
beforeEach(async () => {
  twin = await startTwin()
  call = client(twin, await login(twin))
  audience = await newAudience(call)
})
afterEach(() => twin.close())

const status = () => statusOf(call, audience)

describe('adding', () => {
  test('people show only when the call is applied, and the audience says so by its status and time', async () => {
    const { body, headers } = await call('POST', `${audience}/users`, upload(['ann', 'bob'], { session_id: 77, batch_seq: 1, last_batch_flag: true }))
    expect(body).toEqual({ audience_id: audience, session_id: '77', num_received: 2, num_invalid_entries: 0, invalid_entry_samples: [] })
    expect(twin.audience(audience)).toEqual({ members: [], size: 0, pending: 1 })
    const acceptedAt = new Date(headers.get('date') ?? '').getTime() / 1000
    expect(await status()).toMatchObject({ operation_status: { code: 441 } })
    expect((await status()).time_content_updated).toBeLessThanOrEqual(acceptedAt)
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('ann'), hash('bob')])
    expect(await status()).toMatchObject({ operation_status: { code: 200 } })
    expect((await status()).time_content_updated).toBe(acceptedAt + 60)
  })

  test('C20: a call without effect never moves time_content_updated', async () => {
    await call('POST', `${audience}/users`, upload(['ann']))
    apply(twin)
    const before = await status()
    await call('POST', `${audience}/users`, upload(['ann']))
    await call('DELETE', `${audience}/users`, upload(['nobody']))
    apply(twin)
    expect(await status()).toEqual(before)
  })

  test('num_received runs over the session, invalid entries are those of the call, and come with samples', async () => {
    const payload = { schema: ['EMAIL'], data: [[hash('ann')], ['plain@example.com'], [hash('')]] }
    await call('POST', `${audience}/users`, upload(['x', 'y'], { session_id: 5, batch_seq: 1 }))
    const { body } = await call('POST', `${audience}/users`, { payload, session: { session_id: 5, batch_seq: 2, last_batch_flag: true } })
    expect(body).toMatchObject({
      num_received: 5,
      num_invalid_entries: 2,
      invalid_entry_samples: { '["plain@example.com"]': 'invalid hash in EMAIL', [`["${hash('')}"]`]: 'invalid hash in EMAIL' },
    })
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('x'), hash('y'), hash('ann')])
  })

  test('a session says uploading and -1 long after its people show, and then what was found', async () => {
    const slow = await startTwin({ sessionLagMs: 3_600_000 })
    const slowCall = client(slow, await login(slow))
    const id = await newAudience(slowCall)
    const session = async () => (await slowCall('GET', `${id}/sessions?session_id=5`)).body.data
    await slowCall('POST', `${id}/users`, { ...upload(['x', 'y', 'z']), session: { session_id: 5, batch_seq: 1, last_batch_flag: true } })
    apply(slow)
    expect(slow.audience(id)?.size).toBe(3)
    expect(await session()).toMatchObject([{ session_id: '5', stage: 'uploading', progress: '0', num_received: '3', num_matched: '-1' }])
    slow.clock.advance(3_600_000)
    expect(await session()).toMatchObject([{ stage: 'complete', progress: '100', num_matched: '2', num_invalid_entries: '0' }])
    await slow.close()
  })

  test('the same batch again changes nothing but the count; a batch out of turn is refused', async () => {
    const batch = upload(['ann'], { session_id: 5, batch_seq: 1 })
    await call('POST', `${audience}/users`, batch)
    expect((await call('POST', `${audience}/users`, batch)).body).toMatchObject({ num_received: 2 })
    expect((await call('POST', `${audience}/users`, upload(['bob'], { session_id: 5, batch_seq: 1 }))).body.error).toMatchObject({ code: 100 })
    expect((await call('POST', `${audience}/users`, upload(['bob'], { session_id: 5, batch_seq: 3 }))).body.error).toMatchObject({ code: 100 })
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('ann')])
  })

  test('a call without a session gets one made up', async () => {
    expect((await call('POST', `${audience}/users`, upload(['ann']))).body.session_id).toMatch(/^\d{16}$/)
  })

  test('string and list schemas do not mix in one audience: 2650', async () => {
    await call('POST', `${audience}/users`, upload(['ann']))
    const { body } = await call('POST', `${audience}/users`, { payload: { schema: 'EMAIL_SHA256', data: [hash('bob')] } })
    expect(body.error).toMatchObject({ code: 2650, message: expect.stringContaining('MULTI_HASHES, which does not support HASHES_OR_USER_IDS') })
  })

  test('unsigned terms, missing tasks and a closed account are told apart', async () => {
    const at = async (account: string, patch: object, back: object) => {
      await control(twin, 'PATCH', `accounts/${account.slice(4)}`, back)
      const id = await newAudience(call, {}, account)
      await control(twin, 'PATCH', `accounts/${account.slice(4)}`, patch)
      return (await call('POST', `${id}/users`, upload(['ann']))).body.error
    }
    expect(await at(NO_TERMS, { terms: false }, { terms: true })).toMatchObject({ code: 200, error_subcode: 1870034 })
    expect(await at(ONLY_LOOK, { tasks: ['ANALYZE'] }, { tasks: ['MANAGE'] })).not.toHaveProperty('error_subcode')
    expect(await at(CLOSED, { status: 2 }, { status: 1 })).toMatchObject({ code: 200 })
  })

  test('right after its creation an audience may not be readable yet: 803', async () => {
    const slow = await startTwin({ readyAfterMs: 60_000 })
    const slowCall = client(slow, await login(slow))
    const id = await newAudience(slowCall)
    expect((await slowCall('POST', `${id}/users`, upload(['ann']))).body.error).toMatchObject({ code: 803 })
    slow.clock.advance(60_000)
    expect((await slowCall('POST', `${id}/users`, upload(['ann']))).status).toBe(200)
    await slow.close()
  })

  test('ten thousand rows of fifteen keys fit into one call', async () => {
    const schema = 'EMAIL PHONE GEN DOBY DOBM DOBD LN FN FI CT ST ZIP COUNTRY MADID EXTERN_ID'.split(' ')
    const data = Array.from({ length: 10_000 }, (_, number) => [
      hash(`e${number}`),
      hash(`p${number}`),
      ...Array.from({ length: 11 }, () => hash('x')),
      '',
      `c${number}`,
    ])
    expect((await call('POST', `${audience}/users`, { payload: { schema, data } })).body).toMatchObject({ num_received: 10_000, num_invalid_entries: 0 })
    apply(twin)
    expect(twin.audience(audience)?.size).toBe(10_000)
    expect((await call('GET', `${audience}?fields=approximate_count_lower_bound,delivery_status`)).body).toMatchObject({
      approximate_count_lower_bound: 8_000,
      delivery_status: { code: 200 },
    })
  })
})

describe('what a list is', () => {
  test('LOOKALIKE_VALUE is for value-based audiences, and those take no additions without it', async () => {
    const payload = { schema: ['EMAIL', 'LOOKALIKE_VALUE'], data: [[hash('ann'), 12.5]] }
    expect((await call('POST', `${audience}/users`, { payload })).body.error).toMatchObject({ code: 100 })
    const valued = await newAudience(call, { is_value_based: true })
    expect((await call('POST', `${valued}/users`, upload(['ann']))).body.error?.message).toContain('Value-Based Custom Audience requires LOOKALIKE_VALUE')
    const bad = { ...payload, data: [...payload.data, [hash('bob'), -1], [hash('eve'), '3']] }
    expect((await call('POST', `${valued}/users`, { payload: bad })).body).toMatchObject({ num_invalid_entries: 2 })
    expect((await call('DELETE', `${valued}/users`, upload(['ann']))).status).toBe(200)
  })

  test('412 after a session with many invalid rows, until a better one', async () => {
    await call('POST', `${audience}/users`, { payload: { schema: ['EMAIL'], data: Array.from({ length: 12 }, (_, n) => [n < 2 ? hash(`${n}`) : 'plain']) } })
    apply(twin)
    expect(await status()).toMatchObject({ operation_status: { code: 412 } })
    await call('POST', `${audience}/users`, upload(['ann']))
    apply(twin)
    expect(await status()).toMatchObject({ operation_status: { code: 200 } })
  })

  test('retention_days after they were said last, people are gone; who is said again stays', async () => {
    const short = await newAudience(call, { retention_days: 2 })
    await call('POST', `${short}/users`, upload(['ann', 'bob']))
    apply(twin)
    twin.clock.advance(86_400_000)
    call = client(twin, await login(twin))
    await call('POST', `${short}/users`, upload(['bob']))
    apply(twin)
    twin.clock.advance(86_400_000)
    expect(members(twin, short)).toEqual([hash('bob')])
    twin.clock.advance(86_400_000)
    expect(members(twin, short)).toEqual([])
  })

  test('an EXTERN_ID is known for 90 days; after that its row is found by its other identifiers only', async () => {
    const row = (values: string[]) => ({ payload: { schema: ['EMAIL', 'EXTERN_ID'], data: [values] } })
    const byId = { payload: { schema: ['EXTERN_ID'], data: [['c1']] } }
    await call('POST', `${audience}/users`, row([hash('ann'), 'c1']))
    apply(twin)
    twin.clock.advance(90 * 86_400_000)
    call = client(twin, await login(twin))
    await call('DELETE', `${audience}/users`, byId)
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('ann')])
    await call('POST', `${audience}/users`, row([hash('ann'), 'c1']))
    await call('DELETE', `${audience}/users`, byId)
    apply(twin)
    expect(members(twin, audience)).toEqual([])
  })
})

describe('removing', () => {
  beforeEach(async () => {
    await call('POST', `${audience}/users`, {
      payload: {
        schema: ['EMAIL', 'PHONE'],
        data: [
          [hash('ann'), hash('1')],
          [hash('bob'), hash('1')],
          [hash('eve'), ''],
        ],
      },
    })
    apply(twin)
  })

  test.each([
    ['DELETE', ''],
    ['POST', '?method=DELETE'],
  ])('%s users%s deletes every row that shares an identifier', async (method, query) => {
    const { body } = await call(method, `${audience}/users${query}`, { payload: { schema: ['PHONE'], data: [[hash('1')]] } })
    expect(body).toMatchObject({ audience_id: audience, num_received: 1 })
    expect(twin.audience(audience)?.size).toBe(3)
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('eve')])
  })

  test('one session id serves either adding or removing', async () => {
    await call('POST', `${audience}/users`, upload(['x'], { session_id: 9, batch_seq: 1 }))
    expect((await call('DELETE', `${audience}/users`, upload(['x'], { session_id: 9, batch_seq: 2 }))).body.error).toMatchObject({ code: 100 })
  })

  test('a removal that would leave too few is refused with 200/1870047', async () => {
    const careful = await startTwin({ minSize: 3 })
    const carefulCall = client(careful, await login(careful))
    const id = await newAudience(carefulCall)
    await carefulCall('POST', `${id}/users`, upload(['a', 'b', 'c', 'd']))
    apply(careful)
    expect((await carefulCall('DELETE', `${id}/users`, upload(['a', 'b']))).body.error).toMatchObject({ code: 200, error_subcode: 1870047 })
    expect((await carefulCall('DELETE', `${id}/users`, upload(['a']))).status).toBe(200)
    await careful.close()
  })

  test('usersofanyaudience removes from all audiences of the account, and is ignored without an error where terms are unsigned or the portfolio is missing', async () => {
    const other = await newAudience(call)
    await call('POST', `${other}/users`, upload(['ann', 'zoe']))
    apply(twin)
    for (const state of [{ terms: false }, { terms: true, business: null }]) {
      await control(twin, 'PATCH', `accounts/${STORE.slice(4)}`, state)
      expect((await call('DELETE', `${STORE}/usersofanyaudience`, upload(['ann']))).body).toMatchObject({ num_received: 1 })
      apply(twin)
      expect(members(twin, other)).toContain(hash('ann'))
    }
    await control(twin, 'PATCH', `accounts/${STORE.slice(4)}`, { business: { id: '1', name: 'B' } })
    await call('DELETE', `${STORE}/usersofanyaudience`, upload(['ann']))
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('bob'), hash('eve')])
    expect(members(twin, other)).toEqual([hash('zoe')])
    expect(twin.state().optOuts).toMatchObject([
      { heard: false, removed: 0 },
      { heard: false, removed: 0 },
      { heard: true, rows: 1, removed: 2 },
    ])
  })

  test('C1: two addresses of one platform account go together', async () => {
    await control(twin, 'POST', 'people', { identifiers: [hash('new'), hash('other')] })
    await call('POST', `${audience}/users`, upload(['other']))
    await call('POST', `${audience}/users`, upload(['new']))
    apply(twin)
    expect(members(twin, audience)).toContain(hash('new'))
    await call('DELETE', `${audience}/users`, upload(['other']))
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('ann'), hash('bob'), hash('eve')])
  })

  test('C4: with reorder a removal may be applied before the addition that it followed, the same way for the same seed', async () => {
    const outcome = async (seed: number) => {
      const loose = await startTwin({ reorder: true, seed })
      const looseCall = client(loose, await login(loose))
      const id = await newAudience(looseCall)
      await looseCall('POST', `${id}/users`, upload(['ann']))
      await looseCall('DELETE', `${id}/users`, upload(['ann']))
      apply(loose)
      const left = members(loose, id).length
      await loose.close()
      return left
    }
    const seeds = [1, 2, 3, 4, 5, 6, 7, 8]
    const outcomes = await Promise.all(seeds.map(outcome))
    expect(new Set(outcomes)).toEqual(new Set([0, 1]))
    expect(await Promise.all(seeds.map(outcome))).toEqual(outcomes)
  })
})
