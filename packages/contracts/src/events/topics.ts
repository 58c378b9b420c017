/**
 * Every topic, and the message that it carries. The one registry: the broker's topics, the outbox, the consumers and the
 * AsyncAPI document are made from it. Protobuf in `proto/` is the master of the messages; `npm run proto` makes the types.
 */
import type { Message } from '@bufbuild/protobuf'
import type { GenMessage } from '@bufbuild/protobuf/codegenv2'
import {
  AudienceChangedSchema,
  AudienceCreatedSchema,
  AudienceMatchRateLowSchema,
  AudienceSizeThresholdCrossedSchema,
  AudienceStatusChangedSchema,
  SyncRequestedSchema,
} from './gen/audience_sync/events/v1/audience_pb.ts'
import {
  BehaviorCreatedSchema,
  BehaviorCriteriaChangedSchema,
  BehaviorMemberEnteredSchema,
  BehaviorMemberExitedSchema,
  BehaviorUpdatedSchema,
  CustomerErasureCompletedSchema,
  CustomerSuppressedSchema,
} from './gen/audience_sync/events/v1/behavior_pb.ts'
import {
  BehaviorChangedSchema,
  CustomerChangedSchema,
  CustomerErasureRequestedSchema,
  MembershipChangedSchema,
} from './gen/audience_sync/events/v1/ingest_pb.ts'
import { ConnectionChangedSchema, TenantChangedSchema } from './gen/audience_sync/events/v1/installation_pb.ts'
import { QuotaLowSchema } from './gen/audience_sync/events/v1/quota_pb.ts'
import { SyncAcceptedSchema, SyncCancelledSchema, SyncCompletedSchema, SyncFailedSchema, SyncStartedSchema } from './gen/audience_sync/events/v1/sync_pb.ts'

export interface Topic<M extends Message> {
  readonly name: string
  readonly schema: GenMessage<M>
  /** One of the two bulk doors: up to 1 MiB a message, and protobuf-JSON is taken too (API.md). */
  readonly ingest?: boolean
}

const topic = <M extends Message>(name: string, schema: GenMessage<M>): Topic<M> => ({ name, schema })
const ingestTopic = <M extends Message>(name: string, schema: GenMessage<M>): Topic<M> => ({ name, schema, ingest: true })

export const topics = {
  behaviorMembershipChanged: ingestTopic('behavior.membership.changed', MembershipChangedSchema),
  customerChanged: ingestTopic('customer.changed', CustomerChangedSchema),
  behaviorChanged: topic('behavior.changed', BehaviorChangedSchema),
  customerErasureRequested: topic('customer.erasure.requested', CustomerErasureRequestedSchema),
  behaviorUpdated: topic('behavior.updated', BehaviorUpdatedSchema),
  behaviorCreated: topic('behavior.created', BehaviorCreatedSchema),
  behaviorCriteriaChanged: topic('behavior.criteria_changed', BehaviorCriteriaChangedSchema),
  customerErasureCompleted: topic('customer.erasure.completed', CustomerErasureCompletedSchema),
  customerSuppressed: topic('customer.suppressed', CustomerSuppressedSchema),
  audienceCreated: topic('audience.created', AudienceCreatedSchema),
  audienceChanged: topic('audience.changed', AudienceChangedSchema),
  audienceSyncRequested: topic('audience.sync.requested', SyncRequestedSchema),
  syncStarted: topic('sync.started', SyncStartedSchema),
  syncAccepted: topic('sync.accepted', SyncAcceptedSchema),
  syncCompleted: topic('sync.completed', SyncCompletedSchema),
  syncFailed: topic('sync.failed', SyncFailedSchema),
  syncCancelled: topic('sync.cancelled', SyncCancelledSchema),
  audienceStatusChanged: topic('audience.status.changed', AudienceStatusChangedSchema),
  audienceSizeThresholdCrossed: topic('audience.size.threshold_crossed', AudienceSizeThresholdCrossedSchema),
  audienceMatchRateLow: topic('audience.match_rate.low', AudienceMatchRateLowSchema),
  behaviorMemberEntered: topic('behavior.member.entered', BehaviorMemberEnteredSchema),
  behaviorMemberExited: topic('behavior.member.exited', BehaviorMemberExitedSchema),
  connectionChanged: topic('connection.changed', ConnectionChangedSchema),
  quotaLow: topic('quota.low', QuotaLowSchema),
  tenantChanged: topic('tenant.changed', TenantChangedSchema),
} as const

/** Where the events of a topic go that a consumer cannot use. */
export const deadLettersOf = (topicName: string): string => `${topicName}.dlq`
