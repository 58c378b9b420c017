import * as feed from '@audience-sync/contracts/internal/feed'
import { groupBit } from '@audience-sync/contracts/people'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Service, startService } from './service.ts'

let s: Service
let behaviorId = ''
let numbers: Record<string, number> = {}
const AT = '2026-11-01T10:00:00Z'
const granted = { adUserData: 'granted', adPersonalization: 'granted' }
const at = (path = '') => `/internal/v1/behaviors/${behaviorId}${path}`

beforeAll(async () => {
  s = await startService()
  behaviorId = (await s.call('POST', '/v1/behaviors', { key: 'comfort', name: 'Comfort Seekers' })).body.id
  await s.ndjson('/v1/customers', [
    { customerId: 'i_1', identifiers: { email: 'i1@example.com' }, consent: granted, value: 1.5, occurredAt: AT },
    { customerId: 'i_2', identifiers: { phone: '+14155550100' }, consent: { ...granted, saleShareOptOut: true }, occurredAt: AT },
    { customerId: 'i_3', identifiers: { email: 'i3@example.com' }, consent: { adUserData: 'denied' }, occurredAt: AT },
    { customerId: 'i_4', identifiers: { email: 'i4@example.com' }, consent: granted, occurredAt: AT },
  ])
  await s.ndjson(
    `/v1/behaviors/${behaviorId}/members`,
    ['i_1', 'i_2', 'i_3'].map((customerId) => ({ customerId, member: true, occurredAt: AT })),
  )
  const { body } = await s.call('POST', '/internal/v1/customers/resolve', { customerIds: ['i_1', 'i_2', 'i_3', 'i_4', 'i_5'] })
  numbers = Object.fromEntries(feed.ResolveAnswer.parse(body).customers.map(({ no, customerId }) => [customerId, no]))
})
afterAll(() => s.stop())

const no = (id: string) => numbers[id] ?? 0
const get = async (path: string) => (await s.call('GET', path)).body
/** The horizon once it has passed all that was done so far: other test files share the cluster. */
const settled = async () => {
  const { xmax } = feed.Horizon.parse(await get(at('/horizon')))
  return until('older transactions to end', async () => {
    const horizon = feed.Horizon.parse(await get(at('/horizon')))
    return BigInt(horizon.xmin) >= BigInt(xmax) ? horizon : undefined
  })
}

test('resolve answers both ways and leaves the unknown out', async () => {
  expect(Object.keys(numbers)).toEqual(['i_1', 'i_2', 'i_3', 'i_4'])
  const { body } = await s.call('POST', '/internal/v1/customers/resolve', { numbers: [no('i_2'), 999_999_999] })
  expect(body).toEqual({ customers: [{ no: no('i_2'), customerId: 'i_2' }] })
})

test('a behavior, its horizon, changes and members have the shapes of the contract', async () => {
  expect(feed.BehaviorSummary.parse(await get(at()))).toMatchObject({ id: behaviorId, members: 3 })
  const horizon = await settled()
  const changes = feed.ChangesPage.parse(await get(at(`/changes?after=0:0&below=${horizon.xmin}&limit=10`)))
  expect([changes.done, changes.rows.map(([customer]) => customer)]).toEqual([true, [no('i_1'), no('i_2'), no('i_3')]])
  const members = feed.MembersPage.parse(await get(at(`/members?afterCustomer=${no('i_1')}&limit=1`)))
  expect([members.done, members.nextCustomer, members.rows[0]?.[0]]).toEqual([false, no('i_2'), no('i_2')])
  expect(feed.ChangesPage.parse(await get(at(`/changes?after=${members.start}`))).rows).toEqual([])
})

test('rows come one per number asked for, in the order asked', async () => {
  const { body } = await s.call('POST', at('/rows'), { customers: [no('i_4'), no('i_2'), 999_999_999] })
  const { rows, count } = feed.RowsAnswer.parse(body)
  expect(count).toBe(3)
  expect(rows[0]).toEqual([no('i_4'), 0, 0, 0, ''])
  expect(rows[1]?.slice(0, 4)).toEqual([no('i_2'), 1, 6, groupBit('phone') | groupBit('consent')])
  expect(rows[2]).toEqual([999_999_999, 0, 0, 0, ''])
})

test('eligible counts by purpose and group, and stops where it may', async () => {
  const of = async (query: string) => feed.EligibleCount.parse(await get(at(`/eligible?${query}`)))
  const both = groupBit('email') | groupBit('phone')
  expect(await of(`purpose=ads&groups=${both}`)).toEqual({ members: 3, eligible: 1 })
  expect(await of(`purpose=ads_ldu&groups=${both}`)).toEqual({ members: 3, eligible: 2 })
  expect(await of(`purpose=crm&groups=${groupBit('email')}`)).toEqual({ members: 3, eligible: 2 })
  expect(await of(`purpose=crm&groups=${both}&atMost=1`)).toEqual({ members: 1, eligible: 1 })
})

test('C7 fetch gives a verdict for each', async () => {
  const { body } = await s.call('POST', at('/fetch'), { customers: [no('i_3'), no('i_1'), no('i_4')], purpose: 'ads' })
  const answer = feed.FetchAnswer.parse(body)
  expect(answer.count).toBe(3)
  expect(answer.verdicts).toMatchObject([
    { verdict: 'suppressed', reason: 'consent_denied' },
    { verdict: 'send', customerId: 'i_1', identifiers: { email: 'i1@example.com' }, value: 1.5 },
    { verdict: 'not_member' },
  ])
})

test('C10 suppressions are read by cursor, whoever the tenant is', async () => {
  await settled()
  const before = feed.SuppressionsPage.parse(await get('/internal/v1/suppressions'))
  await s.call('PUT', '/v1/customers/i_1/consent', { ...granted, adPersonalization: 'denied' })
  await settled()
  const page = feed.SuppressionsPage.parse(await get(`/internal/v1/suppressions?after=${before.next}&limit=5`))
  expect(page.rows).toMatchObject([{ tenantId: s.tenant, customerNo: no('i_1'), purposes: 3, reason: 'consent_denied' }])
})

test('a foreign tenant finds no behavior, a tenant key has no way in, and bad positions are refused', async () => {
  const tenantId = await s.newTenant()
  expect((await s.call('GET', at('/changes'), undefined, { tenantId })).status).toBe(404)
  expect((await s.call('GET', at('/changes?after=x'))).status).toBe(400)
  expect((await s.call('POST', at('/fetch'), { customers: Array(10_001).fill(1), purpose: 'ads' })).status).toBe(400)
})
