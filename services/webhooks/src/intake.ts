/** What other services say → what customers are told. The inbox row, the event and its deliveries are one transaction. */
import type { SyncCompleted, SyncFailed } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/sync_pb'
import { type Topic, topics } from '@audience-sync/contracts/events/topics'
import { type WebhookData, type WebhookEventType, webhookEvents } from '@audience-sync/contracts/webhook-events'
import type { Tx } from '@audience-sync/db/database'
import { catalogue, isCode } from '@audience-sync/errors/catalogue'
import { type AnyConsumer, defineConsumer, PoisonError, type ReceivedEvent } from '@audience-sync/events/consumer'
import type { Message } from '@bufbuild/protobuf'
import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt'
import { tell } from './tell.ts'

type Data<M extends Message, T extends WebhookEventType> = (
  message: M,
  event: ReceivedEvent<M>,
  tx: Tx,
) => WebhookData<T> | undefined | Promise<WebhookData<T> | undefined>

/** `dataOf` answers undefined where there is nothing to tell. */
const relay = <M extends Message, T extends WebhookEventType>(topic: Topic<M>, type: T, dataOf: Data<M, T>): AnyConsumer =>
  defineConsumer<M>({
    name: `webhooks.${topic.name.replaceAll('.', '-')}`,
    topic,
    async handle(tx, events) {
      for (const event of events) {
        const data = await dataOf(event.message, event, tx)
        // One that does not fit would fail in every try, and hold up all behind it.
        if (data && !webhookEvents[type].data.safeParse(data).success) throw new PoisonError('event_malformed', `The event is no ${type}.`)
        if (data) await tell(tx, { id: event.id, tenantId: event.tenantId, type, at: event.occurredAt, data })
      }
    },
  })

/** null: nothing is wrong. A code that the catalogue lacks is shown as it is. */
function whyOf(code: string | undefined) {
  if (!code) return null
  const { title, solution } = isCode(code) ? catalogue[code] : { title: code, solution: catalogue.internal.solution }
  return { code, title, solution }
}

const timeOf = (timestamp: Timestamp | undefined) => (timestamp ? timestampDate(timestamp).toISOString() : null)

const syncOf = ({ $typeName: _name, code, counts, startedAt, finishedAt, ...sync }: SyncCompleted | SyncFailed): WebhookData<'sync.completed'> => ({
  ...sync,
  counts: counts as unknown as WebhookData<'sync.completed'>['counts'],
  startedAt: timeOf(startedAt),
  finishedAt: timeOf(finishedAt),
  reason: whyOf(code),
})

export const consumers: readonly AnyConsumer[] = [
  relay(topics.audienceCreated, 'audience.created', ({ audienceId, behaviorId, destination, status, code }) => ({
    audienceId,
    behaviorId,
    destination,
    status,
    reason: whyOf(code),
  })),
  relay(topics.audienceStatusChanged, 'audience.status.changed', ({ audienceId, from, to, code, runId, hold }) => ({
    audienceId,
    from,
    to,
    reason: whyOf(code),
    runId: runId ?? null,
    hold: hold ?? null,
  })),
  relay(topics.audienceSizeThresholdCrossed, 'audience.size.threshold_crossed', ({ audienceId, direction, eligible, minimum }) => ({
    audienceId,
    direction: direction as 'above' | 'below',
    eligible,
    minimum,
  })),
  relay(topics.audienceMatchRateLow, 'audience.match_rate.low', ({ audienceId, destination, matchRate, threshold }) => ({
    audienceId,
    destination,
    matchRate,
    threshold,
  })),
  relay(topics.syncCompleted, 'sync.completed', syncOf),
  relay(topics.syncFailed, 'sync.failed', syncOf),
  relay(topics.connectionChanged, 'connection.expired', async ({ connectionId, destination, status, accountIds, code }, { tenantId }, tx) => {
    // Events of one connection come in order; other changes of an expired one are no news.
    const { rowCount } = await tx.query(
      `INSERT INTO connection_status (tenant_id, connection_id, status) VALUES ($1, $2, $3)
       ON CONFLICT (tenant_id, connection_id) DO UPDATE SET status = excluded.status WHERE connection_status.status <> excluded.status`,
      [tenantId, connectionId, status],
    )
    return rowCount === 1 && status === 'expired' ? { connectionId, destination, accounts: accountIds.length, reason: whyOf(code) } : undefined
  }),
  relay(topics.behaviorCreated, 'behavior.created', ({ behaviorId, key, kind }) => ({ behaviorId, key, kind })),
  relay(topics.behaviorCriteriaChanged, 'behavior.criteria_changed', ({ behaviorId, key, kind }) => ({ behaviorId, key, kind })),
  relay(topics.customerErasureCompleted, 'customer.erasure.completed', ({ erasureId, requestedAt, completedAt }) => ({
    erasureId,
    requestedAt: timeOf(requestedAt),
    completedAt: timeOf(completedAt),
  })),
  relay(topics.quotaLow, 'quota.low', ({ accountId, destination, quota, percent, until }) => ({
    accountId,
    destination,
    quota,
    percent,
    until: timeOf(until),
  })),
]
