import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { MetaTwin } from '../src/twin.ts'
import { CLOSED, type Client, client, control, login, NO_TERMS, STORE, startTwin } from './helpers.ts'

let twin: MetaTwin
let call: Client
beforeEach(async () => {
  twin = await startTwin()
  call = client(twin, await login(twin))
})
afterEach(() => twin.close())

const creation = { name: 'Comfort seekers', subtype: 'CUSTOM', customer_file_source: 'USER_PROVIDED_ONLY' }

describe('accounts', () => {
  test('the list shows status, tasks and signed terms, in pages', async () => {
    const fields =
      'id,account_id,name,account_status,disable_reason,currency,timezone_name,business{id,name},user_tasks,capabilities,tos_accepted,user_tos_accepted'
    const { body } = await call('GET', `me/adaccounts?limit=3&fields=${fields}`)
    expect(body.data).toMatchObject([
      { id: STORE, account_id: STORE.slice(4), account_status: 1, tos_accepted: { custom_audience_tos: 1 }, business: { id: '2000000000000001' } },
      { id: NO_TERMS },
      { user_tasks: ['ANALYZE'] },
    ])
    expect((body.data as { tos_accepted: object }[])[1]?.tos_accepted).not.toHaveProperty('custom_audience_tos')
    const { next } = body.paging as { next: string }
    const rest = (await (await fetch(next, { headers: { authorization: `Bearer ${await login(twin)}` } })).json()) as { data: object[]; paging: object }
    expect(rest.data).toMatchObject([{ id: CLOSED, account_status: 2 }])
    expect(rest.paging).not.toHaveProperty('next')
  })

  test('a control route changes terms, tasks, status and tier; an account without tasks is invisible', async () => {
    await control(twin, 'PATCH', 'accounts/1000000000000002', { terms: true })
    expect((await call('POST', `${NO_TERMS}/customaudiences`, creation)).status).toBe(200)
    await control(twin, 'PATCH', 'accounts/1000000000000002', { tasks: [] })
    expect((await call('GET', NO_TERMS)).body.error).toMatchObject({ code: 100, error_subcode: 33 })
    expect((await control(twin, 'PATCH', 'accounts/1000000000000002', { term: true })).status).toBe(400)
    expect((await control(twin, 'PATCH', 'accounts/5', { terms: true })).status).toBe(404)
  })
})

describe('paths', () => {
  test('dead versions and none are 2635 for Marketing calls, what means nothing is 2500, nothing is a 500', async () => {
    const token = await login(twin)
    const at = async (path: string, method = 'GET') =>
      (
        (await (await fetch(`${twin.url}/${path}`, { method, headers: { authorization: `Bearer ${token}` } })).json()) as {
          error: { code: number; error_subcode?: number }
        }
      ).error
    for (const path of ['v24.0/me/adaccounts', 'v25.0/act_1000000000000001', 'act_1000000000000001/customaudiences', 'me/adaccounts'])
      expect(await at(path)).toMatchObject({ code: 2635 })
    for (const path of ['v26.0/no/such/path', 'v99.0/me', 'v26.0', 'v26.0/act_1000000000000001/unicorns']) expect(await at(path)).toMatchObject({ code: 2500 })
    expect(await at('v26.0/123')).toMatchObject({ code: 100, error_subcode: 33 })
    expect(await at('v26.0/act_1000000000000001', 'DELETE')).toMatchObject({ code: 100, error_subcode: 33 })
    expect(await at('v26.0/me?ids=1,2')).toMatchObject({ code: 100 })
    expect((await fetch(`${twin.url}/me`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200)
  })
})
