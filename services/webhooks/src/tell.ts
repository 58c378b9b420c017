/** One thing that happened → its body, once, and one delivery for each endpoint that listens, in the caller's transaction. */
import { newUuid } from '@audience-sync/contracts/ids'
import { type WebhookData, type WebhookEventType, type WebhookPayload, webhookEvents } from '@audience-sync/contracts/webhook-events'
import type { Tx } from '@audience-sync/db/database'

const MOST_BYTES = 20_000 // Standard Webhooks: thin bodies

export interface Happened<T extends WebhookEventType> {
  /** Unique per tenant. */
  readonly id: string
  readonly tenantId: string
  readonly type: T
  readonly at: Date
  readonly data: WebhookData<T>
}

interface Listener {
  readonly id: string
  readonly status: string
}

/** Left out: to all that listen to the type. `only`: to this one, whatever it listens to. */
export interface Listeners {
  readonly only?: string
  readonly except?: string
}

/** One that is disabled gets a delivery that is skipped, so that a replay finds it. An event that was told already is not told again. */
export async function tell<T extends WebhookEventType>(tx: Tx, { id, tenantId, type, at, data }: Happened<T>, to: Listeners = {}): Promise<void> {
  const payload: WebhookPayload = { type, timestamp: at.toISOString(), data: webhookEvents[type].data.parse(data) }
  const body = JSON.stringify(payload)
  if (Buffer.byteLength(body) > MOST_BYTES) throw new RangeError(`A webhook of ${type} has more than ${MOST_BYTES} bytes.`)
  await tx.query('INSERT INTO event (tenant_id, id, type, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING', [tenantId, id, type, body])
  // Locked, so that none is disabled or given back by its worker between this look and the commit; in one order, so that two never wait for each other.
  const { rows: listeners } = await tx.query<Listener>(
    `SELECT id, status FROM endpoint WHERE tenant_id = $1 AND CASE WHEN $2::uuid IS NULL THEN event_types IS NULL OR $3 = ANY (event_types) ELSE id = $2 END
       AND id IS DISTINCT FROM $4
     ORDER BY id FOR NO KEY UPDATE`,
    [tenantId, to.only ?? null, type, to.except ?? null],
  )
  if (listeners.length === 0) return
  await tx.query(
    `WITH made AS (
       INSERT INTO delivery (tenant_id, id, endpoint_id, event_id, state, next_at)
       SELECT $1, n.id, n.endpoint_id, $2, CASE WHEN n.status = 'enabled' THEN 'waiting' ELSE 'skipped' END, CASE WHEN n.status = 'enabled' THEN now() END
       FROM unnest($3::uuid[], $4::uuid[], $5::text[]) AS n (id, endpoint_id, status)
       ON CONFLICT DO NOTHING RETURNING endpoint_id, state
     )
     UPDATE endpoint SET due_at = least(coalesce(due_at, 'infinity'), greatest(now(), throttled_until))
     WHERE tenant_id = $1 AND id IN (SELECT endpoint_id FROM made WHERE state = 'waiting')`,
    [tenantId, id, listeners.map(() => newUuid()), listeners.map((one) => one.id), listeners.map((one) => one.status)],
  )
}
