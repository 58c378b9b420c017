/**
 * What an attempt has come to: the attempt, the delivery's next step and the endpoint's health, in one transaction. A result that
 * comes when the delivery has moved on (deleted, replayed, disabled meanwhile) changes nothing.
 */
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import type { Tx } from '@audience-sync/db/database'
import { type Code, catalogue } from '@audience-sync/errors/catalogue'
import type { Claimed, Due } from './claim.ts'
import type { Answer } from './post.ts'
import { judge, pauseAfter } from './schedule.ts'
import { tell } from './tell.ts'

const DISABLED_AFTER = '120 hours' // of nothing but failures
const BREAKER_AFTER = '1 minute' // an endpoint that has failed for so long …
const BREAKER_PAUSE_MS = 30_000 // … is tried at most this often, so that it does not keep a worker from others

/** Answers whether more may be sent to the endpoint now. */
export async function record(tx: Tx, { tenantId, endpointId }: Claimed, due: Due, at: Date, answer: Answer, random: () => number): Promise<boolean> {
  const verdict = judge(answer, Date.now())
  const delivered = verdict.error === null
  const pause = delivered ? undefined : pauseAfter(due.tries + 1, random)
  const { rows } = await tx.query<{ attempts: number }>(
    `UPDATE delivery SET tries = tries + 1, attempts = attempts + 1, state = $4, delivered_at = CASE WHEN $4 = 'delivered' THEN now() END,
       next_at = CASE WHEN $4 = 'waiting' THEN now() + $5 * interval '1 millisecond' END
     WHERE tenant_id = $1 AND id = $2 AND state = 'waiting' AND tries = $3 RETURNING attempts`,
    [tenantId, due.id, due.tries, delivered ? 'delivered' : pause === undefined ? 'failed' : 'waiting', Math.max(pause ?? 0, verdict.throttleMs)],
  )
  if (!rows[0]) return false
  await tx.query('INSERT INTO attempt (tenant_id, delivery_id, n, at, duration_ms, status, error, response) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)', [
    tenantId,
    due.id,
    rows[0].attempts,
    at,
    answer.durationMs,
    answer.status,
    verdict.error,
    answer.response,
  ])
  if (delivered) {
    await tx.query('UPDATE endpoint SET failing_since = NULL WHERE tenant_id = $1 AND id = $2 AND failing_since IS NOT NULL', [tenantId, endpointId])
    return true
  }
  return failed(tx, tenantId, endpointId, verdict.gone, verdict.throttleMs)
}

async function failed(tx: Tx, tenantId: string, endpointId: string, gone: boolean, throttleMs: number): Promise<boolean> {
  const { rows } = await tx.query<{ status: string; hopeless: boolean; paused: boolean }>(
    `UPDATE endpoint SET failing_since = coalesce(failing_since, now()),
       throttled_until = nullif(greatest(throttled_until, now() + $3 * interval '1 millisecond',
         CASE WHEN failing_since < now() - interval '${BREAKER_AFTER}' THEN now() + $4 * interval '1 millisecond' END), now())
     WHERE tenant_id = $1 AND id = $2
     RETURNING status, failing_since <= now() - interval '${DISABLED_AFTER}' AS hopeless, coalesce(throttled_until > now(), false) AS paused`,
    [tenantId, endpointId, throttleMs, BREAKER_PAUSE_MS],
  )
  const [row] = rows
  if (row?.status === 'enabled' && (gone || row.hopeless)) await disable(tx, tenantId, endpointId, gone ? 'webhook_endpoint_gone' : 'webhook_endpoint_failing')
  return row?.status === 'enabled' && !gone && !row.hopeless && !row.paused
}

/** Nothing more is sent; what waited can be replayed. The tenant's other endpoints are told. */
export async function disable(tx: Tx, tenantId: string, endpointId: string, code: Code & `webhook_${string}`): Promise<void> {
  await tx.query(
    `UPDATE endpoint SET status = 'disabled', status_code = $3, status_since = now(), due_at = NULL, updated_at = now() WHERE tenant_id = $1 AND id = $2`,
    [tenantId, endpointId, code],
  )
  await tx.query(`UPDATE delivery SET state = 'skipped', next_at = NULL WHERE tenant_id = $1 AND endpoint_id = $2 AND state = 'waiting'`, [
    tenantId,
    endpointId,
  ])
  const { title, solution } = catalogue[code]
  const data = { endpointId: publicId('webhookEndpoint', endpointId), reason: { code, title, solution } }
  await tell(tx, { id: newUuid(), tenantId, type: 'webhook_endpoint.disabled', at: new Date(), data }, { except: endpointId })
}
