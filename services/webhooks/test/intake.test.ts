/** Each topic's events, as their publishers write them, become bodies that fit the published schemas; what does not fit goes to the dead letters. */
import {
  AudienceCreatedSchema,
  AudienceMatchRateLowSchema,
  AudienceSizeThresholdCrossedSchema,
  AudienceStatusChangedSchema,
} from '@audience-sync/contracts/events/gen/audience_sync/events/v1/audience_pb'
import {
  BehaviorCreatedSchema,
  BehaviorCriteriaChangedSchema,
  CustomerErasureCompletedSchema,
} from '@audience-sync/contracts/events/gen/audience_sync/events/v1/behavior_pb'
import { ConnectionChangedSchema } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/installation_pb'
import { QuotaLowSchema } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/quota_pb'
import { SyncCompletedSchema, SyncFailedSchema } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/sync_pb'
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { webhookEvents } from '@audience-sync/contracts/webhook-events'
import { create } from '@bufbuild/protobuf'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { consumers } from '../src/intake.ts'
import { type Rig, rig } from './rig.ts'

let at: Rig
beforeAll(async () => {
  at = await rig()
})
afterAll(() => at.close())

const audienceId = publicId('audience', newUuid())
const behaviorId = publicId('behavior', newUuid())
const accountId = publicId('account', newUuid())
const connectionId = publicId('connection', newUuid())
const when = new Date('2026-11-01T10:00:00Z')
const run = {
  audienceId,
  runId: publicId('run', newUuid()),
  behaviorId,
  destination: 'meta',
  trigger: 'api',
  mode: 'incremental',
  startedAt: timestampFromDate(when),
  finishedAt: timestampFromDate(when),
}

const bodies = async (): Promise<{ type: string; data: Record<string, unknown> }[]> =>
  (await at.database.admin<{ body: string }>('SELECT body FROM webhooks.event ORDER BY seq')).map(({ body }) => JSON.parse(body))

const said = [
  ['audience.created', create(AudienceCreatedSchema, { audienceId, behaviorId, destination: 'meta', status: 'pending', version: 1n }), { reason: null }],
  ['audience.status.changed', create(AudienceStatusChangedSchema, { audienceId, from: 'syncing', to: 'active' }), { to: 'active', runId: null, hold: null }],
  [
    'audience.size.threshold_crossed',
    create(AudienceSizeThresholdCrossedSchema, { audienceId, direction: 'below', eligible: 0, minimum: 100 }),
    { direction: 'below', eligible: 0 },
  ],
  [
    'audience.match_rate.low',
    create(AudienceMatchRateLowSchema, { audienceId, destination: 'meta', matchRate: 0.12, threshold: 0.3 }),
    { matchRate: 0.12, threshold: 0.3 },
  ],
  [
    'sync.completed',
    create(SyncCompletedSchema, { ...run, status: 'completed', counts: { planned: 3, accepted: 3, applied: 3, added: 3 } }),
    { counts: expect.objectContaining({ planned: 3, removed: 0, unknown: 0 }), startedAt: when.toISOString(), reason: null },
  ],
  [
    'sync.failed',
    create(SyncFailedSchema, { ...run, status: 'failed', code: 'audience_missing', counts: {} }),
    { status: 'failed', reason: expect.objectContaining({ code: 'audience_missing', solution: expect.any(String) }) },
  ],
  [
    'connection.changed',
    create(ConnectionChangedSchema, { connectionId, destination: 'meta', status: 'expired', accountIds: [accountId], code: 'connection_expired' }),
    { connectionId, destination: 'meta', accounts: 1, reason: expect.objectContaining({ code: 'connection_expired' }) },
  ],
  ['quota.low', create(QuotaLowSchema, { accountId, destination: 'meta', quota: 'app', percent: 81.5 }), { percent: 81.5, until: null }],
  [
    'customer.erasure.completed',
    create(CustomerErasureCompletedSchema, { erasureId: publicId('erasure', newUuid()), requestedAt: timestampFromDate(when) }),
    { requestedAt: when.toISOString(), completedAt: null },
  ],
  ['behavior.created', create(BehaviorCreatedSchema, { behaviorId, key: 'k', kind: 'custom' }), { behaviorId, key: 'k', kind: 'custom' }],
  ['behavior.criteria_changed', create(BehaviorCriteriaChangedSchema, { behaviorId, key: 'k', kind: 'custom' }), { behaviorId }],
] as const

test.each(said)('%s', async (topic, message, data) => {
  await at.handIn(topic, message)
  const [body] = (await bodies()).slice(-1)
  if (!body) throw new Error('Nothing was told.')
  expect(body.type).toBe(topic === 'connection.changed' ? 'connection.expired' : topic)
  expect(body.data).toMatchObject(data)
  const { data: schema } = webhookEvents[body.type as keyof typeof webhookEvents]
  expect(schema.parse(body.data)).toEqual(body.data) // and nothing beside what is published
  expect(JSON.stringify(body)).not.toContain('$typeName')
})

test('each topic that is listened to is here', () =>
  expect(said.map(([topic]) => topic as string).sort()).toEqual(consumers.map(({ topic }) => topic.name).sort()))

test('a connection is told to have expired at that step only: not again while it is, not when it is mended, but the next time', async () => {
  const id = publicId('connection', newUuid())
  const becomes = (status: string, accountIds: string[] = []) =>
    at.handIn('connection.changed', create(ConnectionChangedSchema, { connectionId: id, destination: 'meta', status, accountIds, code: '' }))
  const expired = async () => (await bodies()).filter(({ data }) => data.connectionId === id).length
  await becomes('pending')
  await becomes('active')
  expect(await expired()).toBe(0)
  await becomes('expired')
  await becomes('expired', [accountId])
  expect(await expired()).toBe(1)
  await becomes('active')
  await becomes('expired')
  expect(await expired()).toBe(2)
})

test('an event that does not fit goes to the dead letters, and holds up nobody', async () => {
  const bad = create(AudienceSizeThresholdCrossedSchema, { audienceId, direction: 'sideways', eligible: 1, minimum: 100 })
  await expect(at.handIn('audience.size.threshold_crossed', bad)).rejects.toMatchObject({ name: 'PoisonError', code: 'event_malformed' })
})
