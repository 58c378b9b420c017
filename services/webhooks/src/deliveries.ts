/** Deliveries as the API shows them, and as they are sent again. Every function runs in a transaction of the tenant. */
import { newUuid, publicId, uuidOf } from '@audience-sync/contracts/ids'
import type { WebhookDelivery } from '@audience-sync/contracts/rest/webhooks'
import { orm, type Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { and, desc, eq, inArray, lt } from 'drizzle-orm'
import { setDue } from './claim.ts'
import { lockEndpoint } from './endpoints.ts'
import { attempt, delivery, event } from './schema.ts'
import { tell } from './tell.ts'

type DeliveryRow = typeof delivery.$inferSelect

/** Newest first. `before`: the last one's id of the page before. */
export const listDeliveries = (tx: Tx, endpointId: string, state: string | undefined, before: string | undefined, limit: number): Promise<DeliveryRow[]> =>
  orm(tx)
    .select()
    .from(delivery)
    .where(
      and(
        eq(delivery.endpointId, endpointId),
        state === undefined ? undefined : eq(delivery.state, state),
        before === undefined ? undefined : lt(delivery.id, before),
      ),
    )
    .orderBy(desc(delivery.id))
    .limit(limit)

export async function deliveriesJson(tx: Tx, rows: readonly DeliveryRow[]): Promise<WebhookDelivery[]> {
  if (rows.length === 0) return []
  const ids = rows.map(({ id }) => id)
  const eventIds = rows.map(({ eventId }) => eventId)
  const events = new Map((await orm(tx).select().from(event).where(inArray(event.id, eventIds))).map((row) => [row.id, row]))
  const tried = Map.groupBy(await orm(tx).select().from(attempt).where(inArray(attempt.deliveryId, ids)).orderBy(attempt.n), (row) => row.deliveryId)
  return rows.map((row) => ({
    id: publicId('delivery', row.id),
    eventId: row.eventId,
    type: events.get(row.eventId)?.type ?? '',
    state: row.state as WebhookDelivery['state'],
    payload: JSON.parse(events.get(row.eventId)?.body ?? 'null') as unknown,
    createdAt: row.createdAt.toISOString(),
    deliveredAt: row.deliveredAt?.toISOString() ?? null,
    nextAttemptAt: row.nextAt?.toISOString() ?? null,
    attempts: (tried.get(row.id) ?? []).map(({ at, durationMs, status, error, response }) => ({ at: at.toISOString(), durationMs, status, error, response })),
  }))
}

export interface Replay {
  readonly since?: string | undefined
  readonly deliveryId?: string | undefined
}

/**
 * Sends again, under the same ids and with the schedule begun anew: one delivery, whatever became of it, or all since a time that
 * were not delivered. A pause that the endpoint earned is over. Answers how many.
 */
export async function replay(tx: Tx, endpointId: string, { since, deliveryId }: Replay): Promise<number> {
  const { tenantId, status } = await lockEndpoint(tx, endpointId)
  if (status !== 'enabled') throw new AppError('webhook_endpoint_disabled', 'The endpoint is disabled.')
  const one = deliveryId === undefined ? undefined : uuidOf('delivery', deliveryId)
  if (deliveryId !== undefined && one === undefined) throw missing()
  const { rowCount } = await tx.query(
    `UPDATE delivery SET state = 'waiting', tries = 0, next_at = now(), delivered_at = NULL
     WHERE tenant_id = $1 AND endpoint_id = $2 AND CASE WHEN $3::uuid IS NULL THEN state <> 'delivered' AND created_at >= coalesce($4::timestamptz, '-infinity') ELSE id = $3 END`,
    [tenantId, endpointId, one ?? null, since ?? null],
  )
  if (one !== undefined && rowCount !== 1) throw missing()
  await tx.query('UPDATE endpoint SET throttled_until = NULL WHERE tenant_id = $1 AND id = $2', [tenantId, endpointId])
  await setDue(tx, tenantId, endpointId)
  return rowCount ?? 0
}

const missing = () => new AppError('not_found', 'There is no such delivery to this endpoint.')

/** A delivery that says nothing but that it came. */
export async function sendTest(tx: Tx, endpointId: string): Promise<DeliveryRow> {
  const { tenantId, status } = await lockEndpoint(tx, endpointId)
  if (status !== 'enabled') throw new AppError('webhook_endpoint_disabled', 'The endpoint is disabled.')
  const id = newUuid()
  const data = { endpointId: publicId('webhookEndpoint', endpointId) }
  await tell(tx, { id, tenantId, type: 'webhook_endpoint.test', at: new Date(), data }, { only: endpointId })
  const [row] = await orm(tx)
    .select()
    .from(delivery)
    .where(and(eq(delivery.endpointId, endpointId), eq(delivery.eventId, id)))
  return row as DeliveryRow
}
