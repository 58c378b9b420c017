import { topics } from '@audience-sync/contracts/events/topics'
import { until } from '@audience-sync/testing/until'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { NOW, type Service, startService } from './service.ts'

let s: Service
let behaviorId = ''
beforeAll(async () => {
  s = await startService()
  behaviorId = (await s.call('POST', '/v1/behaviors', { key: 'comfort', name: 'Comfort Seekers' })).body.id
})
afterAll(() => s.stop())

const occurredAt = timestampFromMs(NOW - 3_600_000)
const change = (customerId: string, member = true) => ({ customerId, member, occurredAt })
const customer = async (customerId: string, tenantId = s.tenant) => {
  const { status, body } = await s.call('GET', `/internal/v1/customers/${customerId}`, undefined, { tenantId })
  return status === 200 ? body.customer : undefined
}

describe('both doors call the same functions', () => {
  test('memberships by id and by key, customers after them', async () => {
    await s.send(topics.behaviorMembershipChanged, { behavior: { case: 'behaviorId', value: behaviorId }, changes: [change('e_1')] })
    await s.send(topics.behaviorMembershipChanged, { behavior: { case: 'behaviorKey', value: 'comfort' }, changes: [change('e_2')] })
    await s.send(topics.customerChanged, {
      customers: [
        {
          customerId: 'e_1',
          occurredAt,
          identifiers: { email: 'e1@example.com', emails: [] },
          consent: { adUserData: 'granted', adPersonalization: 'granted' },
          value: 2,
        },
      ],
    })
    const one = await until('the customer', async () => {
      const found = await customer('e_1')
      return found?.occurredAt && found.behaviors.length > 0 && found
    })
    expect(one).toMatchObject({ identifiers: { email: { usable: true } }, value: 2, behaviors: [{ behaviorId, member: true }] })
    await until('the member by key', () => customer('e_2'))
  })

  test('an erasure requested by event', async () => {
    await s.send(topics.behaviorMembershipChanged, { behavior: { case: 'behaviorKey', value: 'comfort' }, changes: [change('e_3')] })
    await until('the customer', () => customer('e_3'))
    await s.send(topics.customerErasureRequested, { customerId: 'e_3', occurredAt })
    await until('the customer to be gone', async () => !(await customer('e_3')))
  })

  test('a behavior by event, and older news of it do nothing', async () => {
    const described = (name: string, ms: number) =>
      s.send(topics.behaviorChanged, { key: 'by_event', name, kind: 'suggested', description: '', occurredAt: timestampFromMs(ms) })
    const named = async () => (await s.call('GET', '/v1/behaviors')).body.data.find(({ key }: { key: string }) => key === 'by_event')?.name
    await described('New', NOW)
    await described('Old', NOW - 1)
    await described('Newest', NOW + 1)
    await until('the newest name', async () => (await named()) === 'Newest')
  })

  test('bad ones go to the dead letters, each with its code, and stop nobody', async () => {
    const before = (await s.deadLetters()).length
    await s.send(topics.customerChanged, { customers: [{ customerId: 'bad', occurredAt, identifiers: { emails: [] } }] })
    await s.send(topics.behaviorMembershipChanged, {
      behavior: { case: 'behaviorId', value: behaviorId },
      changes: [{ customerId: 'x', member: true, occurredAt: timestampFromMs(NOW + 600_000) }],
    })
    await s.send(
      topics.behaviorMembershipChanged,
      { behavior: { case: 'behaviorId', value: behaviorId }, changes: [change('x')] },
      { tenantId: '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d' },
    )
    await s.send(topics.behaviorMembershipChanged, { behavior: { case: 'behaviorId', value: behaviorId }, changes: [change('after')] })
    await s.send(topics.behaviorMembershipChanged, { behavior: { case: 'behaviorKey', value: 'no\u0000key' }, changes: [change('x')] })
    await s.send(topics.behaviorChanged, { behaviorId: 'beh_01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d', key: 'comfort', name: 'Thief', occurredAt })
    await s.send(topics.behaviorChanged, { key: 'bad', name: 'no\u0000name', occurredAt })
    await until('the good one', () => customer('after'))
    await until('six dead letters', async () => (await s.deadLetters()).length === before + 6)
    expect((await s.deadLetters()).slice(before).toSorted()).toEqual([
      'behavior.changed.dlq behavior_key_taken',
      'behavior.changed.dlq validation_failed',
      'behavior.membership.changed.dlq line_malformed',
      'behavior.membership.changed.dlq occurred_at_in_future',
      'behavior.membership.changed.dlq tenant_unknown',
      'customer.changed.dlq customer_empty',
    ])
  })
})

describe('events for a behavior that nobody has told us of', () => {
  const parked = async () => (await s.database.admin(`SELECT FROM behavior_export.parked_event`)).length

  test('are kept and used when it appears', async () => {
    await s.send(topics.behaviorMembershipChanged, { behavior: { case: 'behaviorKey', value: 'later' }, changes: [change('p_1'), change('p_2')] })
    await until('the event to be parked', async () => (await parked()) === 1)
    await s.call('POST', '/v1/behaviors', { key: 'later', name: 'Later' })
    await until('the members', async () => (await customer('p_2'))?.behaviors.length === 1)
    expect(await parked()).toBe(0)
  })

  test('are dead-lettered after seven days', async () => {
    const before = (await s.deadLetters()).length
    await s.send(topics.behaviorMembershipChanged, { behavior: { case: 'behaviorKey', value: 'never' }, changes: [change('p_3')] })
    await until('the event to be parked', async () => (await parked()) === 1)
    s.clock.now += 7 * 24 * 3_600_000 + 1
    await until('the dead letter', async () => (await s.deadLetters()).length > before)
    expect((await s.deadLetters()).at(-1)).toBe('behavior.membership.changed.dlq behavior_unknown')
    await until('nothing to be parked', async () => (await parked()) === 0)
    s.clock.now = NOW
  })
})

test('another default country has everybody looked at again', async () => {
  const tenantId = await s.newTenant('US')
  await s.ndjson('/v1/customers', [{ customerId: 'd_1', identifiers: { phone: '(415) 555-0100' }, occurredAt: '2026-11-01T10:00:00Z' }], { tenantId })
  expect(await customer('d_1', tenantId)).toMatchObject({ maySendTo: ['ads', 'ads_ldu', 'crm'] })
  s.clock.now += 1_000
  await s.send(topics.tenantChanged, { tenantId, slug: 'demo', status: 'active', defaultCountry: 'DE' }, { tenantId })
  await until('silence to be no consent', async () => (await customer('d_1', tenantId)).maySendTo.join() === 'crm')
  const logged = await s.database.admin('SELECT reason FROM behavior_export.suppression_log WHERE tenant_id = $1', [tenantId])
  expect(logged).toEqual([{ reason: 'consent_denied' }])
})
