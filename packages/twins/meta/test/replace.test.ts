import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { MetaTwin } from '../src/twin.ts'
import { apply, type Client, client, control, hash, login, members, newAudience, startTwin, statusOf, upload } from './helpers.ts'

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

describe('replacing', () => {
  const batch = (seq: number, emails: string[], last = false, id = 1) => upload(emails, { session_id: id, batch_seq: seq, last_batch_flag: last })
  const replace = (body: object) => call('POST', `${audience}/usersreplace`, body)
  beforeEach(async () => {
    await call('POST', `${audience}/users`, upload(['old']))
    apply(twin)
  })

  test('swaps the whole list at the last batch and refuses /users meanwhile', async () => {
    expect((await replace(batch(1, ['a']))).status).toBe(200)
    expect(await status()).toMatchObject({ operation_status: { code: 414 } })
    expect((await call('POST', `${audience}/users`, upload(['x']))).body.error).toMatchObject({ code: 2650, error_subcode: 1870145 })
    expect((await replace(batch(1, ['z'], false, 2))).body.error).toMatchObject({ error_subcode: 1870145 })
    await replace(batch(2, ['b'], true))
    expect(members(twin, audience)).toEqual([hash('old')])
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('a'), hash('b')])
    expect(await status()).toMatchObject({ operation_status: { code: 200 } })
    expect((await replace(batch(3, ['c']))).body.error).toMatchObject({ code: 2650, error_subcode: 1870159 })
  })

  test('begins with batch 1, begins anew when it comes twice, and never while an upload is being worked on', async () => {
    expect((await replace(batch(2, ['a']))).body.error).toMatchObject({ code: 2650, error_subcode: 1870147 })
    await replace(batch(1, ['a']))
    await replace(batch(2, ['b']))
    await replace(batch(1, ['a']))
    await replace(batch(3, ['c'], true))
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('a'), hash('c')])
    await call('POST', `${audience}/users`, upload(['x']))
    expect((await replace(batch(1, ['q'], true, 3))).body.error).toMatchObject({ error_subcode: 1870145 })
  })

  test('C21: ends after 90 minutes with what has arrived, and later batches are refused', async () => {
    await replace(batch(1, ['a']))
    twin.clock.advance(90 * 60_000)
    expect(members(twin, audience)).toEqual([hash('a')])
    expect((await call('POST', `${audience}/usersreplace`, batch(2, ['b'], true), { authorization: `Bearer ${await login(twin)}` })).body.error).toMatchObject({
      code: 2650,
      error_subcode: 1870158,
    })
  })
  test('batch 1 again, even with other people and after the end, begins anew: what came before is gone, and 90 minutes later so is the rest', async () => {
    await replace(batch(1, ['a']))
    await replace(batch(2, ['b']))
    await replace(batch(1, ['c']))
    await replace(batch(2, ['d'], true))
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('c'), hash('d')])
    expect((await replace(batch(1, ['c']))).body).toMatchObject({ num_received: 1 })
    expect(await status()).toMatchObject({ operation_status: { code: 414 } })
    twin.clock.advance(90 * 60_000)
    expect(members(twin, audience)).toEqual([hash('c')])
  })

  test('a replacement that fails leaves the old list and 415, its batches 1870148, and can be begun anew', async () => {
    await replace(batch(1, ['a']))
    await control(twin, 'POST', 'faults', { kind: 'replace_fails' })
    await replace(batch(2, ['b'], true))
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('old')])
    expect(await status()).toMatchObject({ operation_status: { code: 415 } })
    expect((await replace(batch(2, ['b'], true))).body.error).toMatchObject({ code: 2650, error_subcode: 1870148 })
    await replace(batch(1, ['x'], true, 2))
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('x')])
    expect(await status()).toMatchObject({ operation_status: { code: 200 } })
  })

  test('cannot switch between value-based and plain, nor begin before the first upload', async () => {
    const values = { payload: { schema: ['EMAIL', 'LOOKALIKE_VALUE'], data: [[hash('a'), 1]] }, session: { session_id: 1, batch_seq: 1 } }
    expect((await replace(values)).body.error).toMatchObject({ code: 2650 })
    const fresh = await newAudience(call)
    expect((await call('POST', `${fresh}/usersreplace`, batch(1, ['a']))).body.error).toMatchObject({ code: 2650, error_subcode: 1870145 })
  })

  test('its session is told like others', async () => {
    await replace(batch(1, ['a', 'b'], true))
    apply(twin)
    twin.clock.advance(600_000)
    expect((await call('GET', `${audience}/sessions?session_id=1`)).body.data).toMatchObject([{ stage: 'complete', num_received: '2' }])
  })
})
