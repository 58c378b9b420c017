import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { MetaTwin } from '../src/twin.ts'
import { apply, type Client, client, control, hash, login, members, newAudience, STORE, startTwin, until, upload } from './helpers.ts'

let twin: MetaTwin
let call: Client
let audience: string
let token: string
beforeEach(async () => {
  twin = await startTwin()
  token = await login(twin)
  call = client(twin, token)
  audience = await newAudience(call)
})
afterEach(() => twin.close())

const fault = (body: object) => control(twin, 'POST', 'faults', body)
const add = (emails: string[]) => call('POST', `${audience}/users`, upload(emails))
const rawAdd = (signal?: AbortSignal) =>
  fetch(`${twin.url}/v26.0/${audience}/users`, {
    method: 'POST',
    body: JSON.stringify(upload(['ann'])),
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    redirect: 'manual',
    ...(signal ? { signal } : {}),
  })
/** Calls, waits until the journal has the call, and gives up. */
const callAndLeave = async () => {
  const before = twin.journal().length
  const abort = new AbortController()
  const outcome = rawAdd(abort.signal).then(
    () => 'answered',
    () => 'gone',
  )
  await until(() => twin.journal().length > before)
  abort.abort()
  return outcome
}

describe('faults', () => {
  test.each([
    [{ status: 500 }, 500, 2, undefined],
    [{ status: 503 }, 503, 2, undefined],
    [{ status: 401 }, 401, 190, 463],
    [{ status: 403 }, 403, 200, undefined],
    [{ status: 404 }, 404, 100, 33],
    [{ status: 429 }, 429, 17, 2446079],
    [{ status: 400 }, 400, 100, undefined],
    [{ code: 368 }, 400, 368, undefined],
    [{ code: 190, subcode: 460 }, 400, 190, 460],
    [{ code: 80003 }, 400, 80003, undefined],
    [{ code: 200, subcode: 1870090 }, 403, 200, 1870090],
    [{ code: 2, status: 200 }, 200, 2, undefined],
    [{ code: 1, subcode: 99 }, 500, 1, 99],
  ])('status %j is answered with the platform’s envelope, once, and nothing is done', async (detail, status, code, subcode) => {
    expect((await fault({ match: { method: 'POST', path: '/users' }, kind: 'status', ...detail })).status).toBe(201)
    const answer = await add(['ann'])
    expect({ status: answer.status, code: answer.body.error?.code, subcode: answer.body.error?.error_subcode }).toEqual({ status, code, subcode })
    expect(answer.body.error?.fbtrace_id).toBeTruthy()
    expect(twin.audience(audience)?.pending).toBe(0)
    expect((await add(['ann'])).status).toBe(200)
  })

  test('a fault waits for the call that it is meant for, plays as often as it was told to, and can be taken back', async () => {
    await fault({ match: { method: 'DELETE', body: hash('ann') }, kind: 'status', status: 500, times: 2 })
    expect((await add(['ann'])).status).toBe(200)
    expect((await call('DELETE', `${audience}/users`, upload(['bob']))).status).toBe(200)
    expect((await call('DELETE', `${audience}/users`, upload(['ann']))).status).toBe(500)
    expect(twin.state().faults).toMatchObject([{ kind: 'status', times: 1 }])
    expect((await control(twin, 'DELETE', 'faults')).status).toBe(204)
    expect((await call('DELETE', `${audience}/users`, upload(['ann']))).status).toBe(200)
    expect((await fault({ kind: 'earthquake' })).status).toBe(400)
  })

  test('throttle tells the wait in the seconds of the account, or in the minutes of the business use case', async () => {
    await fault({ kind: 'throttle', delayMs: 5_000 })
    const score = await add(['ann'])
    expect(score.body.error).toMatchObject({ code: 17, error_subcode: 2446079 })
    expect(JSON.parse(score.headers.get('x-ad-account-usage') ?? '')).toMatchObject({ acc_id_util_pct: 100, reset_time_duration: 5 })
    await fault({ kind: 'throttle', code: 80003, delayMs: 61_000 })
    const calls = await add(['ann'])
    expect(calls.body.error).toMatchObject({ code: 80003 })
    const usage = JSON.parse(calls.headers.get('x-business-use-case-usage') ?? '')['2000000000000001'].find(
      ({ type }: { type: string }) => type === 'custom_audience',
    )
    expect(usage).toMatchObject({ type: 'custom_audience', call_count: 100, estimated_time_to_regain_access: 2 })
    expect(calls.headers.get('retry-after')).toBeNull()
  })

  test('apply_then_hang and apply_then_reset do the work and lose the answer', async () => {
    await fault({ kind: 'apply_then_hang' })
    expect(await callAndLeave()).toBe('gone')
    expect(twin.audience(audience)?.pending).toBe(1)
    await fault({ kind: 'apply_then_reset' })
    await expect(rawAdd()).rejects.toThrow()
    expect(twin.audience(audience)?.pending).toBe(2)
    expect(twin.journal().slice(-2)).toMatchObject([
      { status: 200, fault: 'apply_then_hang' },
      { status: 200, fault: 'apply_then_reset' },
    ])
  })

  test('an audience may be made although its maker was never told', async () => {
    await fault({ match: { path: '/customaudiences' }, kind: 'apply_then_reset' })
    await expect(call('POST', `${STORE}/customaudiences`, { name: 'Second', subtype: 'CUSTOM', customer_file_source: 'USER_PROVIDED_ONLY' })).rejects.toThrow()
    expect((await call('GET', `${STORE}/customaudiences?fields=name`)).body.data).toMatchObject([{ name: 'Second' }, { name: 'Comfort seekers' }])
  })

  test('hang does nothing and says nothing', async () => {
    await fault({ kind: 'hang' })
    expect(await callAndLeave()).toBe('gone')
    expect(twin.audience(audience)?.pending).toBe(0)
    expect(twin.journal().at(-1)).toMatchObject({ status: null })
  })

  test('slow_body sends the headers at once and the body a byte at a time', async () => {
    await fault({ kind: 'slow_body', delayMs: 0 })
    const answer = await rawAdd()
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ num_received: 1 })
    await fault({ kind: 'slow_body', delayMs: 3_600_000 })
    const abort = new AbortController()
    const slow = await rawAdd(abort.signal)
    const first = await slow.body?.getReader().read()
    expect(first?.value?.length).toBe(1)
    abort.abort()
  })

  test('html_200, bad_json, redirect and huge_body are answers that are none, and nothing is done', async () => {
    for (const kind of ['html_200', 'bad_json', 'redirect', 'huge_body']) await fault({ kind })
    const html = await rawAdd()
    expect([html.status, html.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    await expect((await rawAdd()).json()).rejects.toThrow()
    expect((await rawAdd()).status).toBe(302)
    const abort = new AbortController()
    const huge = await rawAdd(abort.signal)
    let read = 0
    for await (const chunk of huge.body ?? []) {
      read += (chunk as Uint8Array).length
      if (read > 2 * 1024 * 1024) break
    }
    abort.abort()
    expect(read).toBeGreaterThan(2 * 1024 * 1024)
    expect(twin.audience(audience)?.pending).toBe(0)
  })

  test('expire_token kills the token that was used, for good', async () => {
    await fault({ match: { path: '/users' }, kind: 'expire_token', subcode: 460 })
    expect((await add(['ann'])).body.error).toMatchObject({ code: 190, error_subcode: 460 })
    expect((await call('GET', 'me')).body.error).toMatchObject({ code: 190, error_subcode: 460 })
    expect((await client(twin, await login(twin))('GET', 'me')).status).toBe(200)
  })

  test('reject_rows names the rows that it refuses, partial only counts them', async () => {
    await fault({ kind: 'reject_rows', rows: 2 })
    const named = (await add(['a', 'b', 'c'])).body
    expect(named).toMatchObject({ num_received: 3, num_invalid_entries: 2 })
    expect(Object.keys(named.invalid_entry_samples as object)).toEqual([`["${hash('a')}"]`, `["${hash('b')}"]`])
    await fault({ kind: 'partial' })
    expect((await add(['d', 'e'])).body).toMatchObject({ num_invalid_entries: 1, invalid_entry_samples: [] })
    await fault({ kind: 'partial', rows: [1] })
    await add(['f', 'g'])
    apply(twin)
    expect(members(twin, audience)).toEqual([hash('c'), hash('e'), hash('f')])
  })

  test('too_small meets the next removal, not the calls before it', async () => {
    await fault({ kind: 'too_small' })
    expect((await add(['a'])).status).toBe(200)
    expect((await call('DELETE', `${audience}/users`, upload(['a']))).body.error).toMatchObject({ code: 200, error_subcode: 1870047 })
  })

  test('apply_late lets an addition land after the removal that followed it', async () => {
    await fault({ kind: 'apply_late', delayMs: 3_600_000 })
    await add(['ann'])
    await call('DELETE', `${audience}/users`, upload(['ann']))
    apply(twin)
    expect(twin.audience(audience)).toMatchObject({ size: 0, pending: 1 })
    twin.clock.advance(3_600_000)
    expect(members(twin, audience)).toEqual([hash('ann')])
  })
})
