import { randomUUID } from 'node:crypto'
import { topics } from '@audience-sync/contracts/events/topics'
import { Explained } from '@audience-sync/contracts/internal/feed'
import { UNREAD_BIT } from '@audience-sync/contracts/people'
import { until } from '@audience-sync/testing/until'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Service, startService } from './service.ts'

const AT = '2026-11-01T10:00:00.000Z'
let s: Service
let behaviorId = ''
beforeAll(async () => {
  s = await startService()
  behaviorId = (await s.call('POST', '/v1/behaviors', { key: 'comfort', name: 'Comfort Seekers' })).body.id
  await s.ndjson('/v1/customers', [
    {
      customerId: 'e/1',
      identifiers: { email: 'e1@example.com', emails: ['none'], phone: '030 1234567', city: 'Berlin' },
      consent: { adUserData: 'granted', adPersonalization: 'granted', saleShareOptOut: true },
      occurredAt: AT,
    },
  ])
})
afterAll(() => s.stop())

const explain = async (customerId: string, transformations: unknown[] = []) =>
  s.call('POST', `/internal/v1/behaviors/${behaviorId}/members/${encodeURIComponent(customerId)}/explain`, { transformations })
const explained = async (...transformations: unknown[]) => Explained.parse((await explain('e/1', transformations)).body)

test('who was never a member is explained as such; an unknown customer is 404', async () => {
  expect(await explained()).toMatchObject({ membership: { member: false, since: null, eventId: null }, row: [expect.any(Number), 0, 0, 0, ''] })
  expect(await explain('nobody')).toMatchObject({ status: 404, body: { code: 'customer_unknown' } })
})

test('membership comes with the event that said so, consent with what it forbids, identifiers with what cannot be used, and no value leaves', async () => {
  const id = randomUUID()
  const changes = [{ customerId: 'e/1', member: true, occurredAt: timestampFromDate(new Date(AT)) }]
  await s.send(topics.behaviorMembershipChanged, { behavior: { case: 'behaviorId', value: behaviorId }, changes }, { id })
  const found = await until('the membership to be known', async () => {
    const answer = await explained()
    return answer.membership.member ? answer : undefined
  })
  expect(found).toMatchObject({
    membership: { member: true, since: AT, eventId: id },
    consent: { adUserData: 'granted', saleShareOptOut: true },
    suppressedBy: { ads: 'opted_out', ads_ldu: null, crm: null },
    leftOut: false,
    fields: { email: null, emails: 'email_malformed', phone: 'phone_not_e164', city: null },
  })
  expect(found.row[3] & UNREAD_BIT).toBe(UNREAD_BIT)
  expect(JSON.stringify(found)).not.toContain('e1@example.com')
})

test('the transformations of an audience are applied first', async () => {
  expect((await explained({ type: 'dropPerson', when: { field: 'city', equals: ['berlin'] } })).leftOut).toBe(true)
  const { fields, leftOut } = await explained({ type: 'drop', field: 'city' }, { type: 'defaultCountry', country: 'DE' }, { type: 'drop', field: 'emails' })
  expect([fields, leftOut]).toEqual([{ email: null, phone: null }, false])
})

test('C2: an identifier that somebody carries who may not be sent is named as withheld, for the purposes that they refused', async () => {
  const shared = { phone: '+14155550177' }
  const granted = { adUserData: 'granted', adPersonalization: 'granted' }
  await s.ndjson('/v1/customers', [
    { customerId: 'e/2', identifiers: { email: 'e2@example.com', ...shared }, consent: granted, occurredAt: AT },
    { customerId: 'e/3', identifiers: shared, consent: { ...granted, adUserData: 'denied' }, occurredAt: AT },
  ])
  const answer = Explained.parse((await explain('e/2')).body)
  expect(answer).toMatchObject({ fields: { email: null, phone: null }, withheld: { ads: ['phone'] } })
  expect(answer.withheld.crm).toBeUndefined()
  expect((await explained()).withheld).toEqual({})
})
