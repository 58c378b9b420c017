/**
 * By when a user has to connect again, or exports stop: the end of what the platform shows us on this consent, and the end of
 * a token that cannot be renewed, or whose renewals have failed for a day. A connection that comes near it says so, once, while it goes on.
 */
import type { Tx } from '@audience-sync/db/database'
import { findConnection, setStatus } from './connection-rows.ts'

const WARN_BEFORE = '14 days' // time for somebody to be back from a holiday

const FAILING_FOR = '1 day' // a platform's bad hour worries nobody

/** Of `connection` joined with `credential`; least() passes over what is null. */
export const RECONNECT_BY = `least(connection.access_ends_at,
  CASE WHEN (credential.renew_at IS NULL AND credential.refresh_token IS NULL)
    OR (credential.refresh_failed_at IS NOT NULL AND credential.renew_at < now() - interval '${FAILING_FOR}') THEN credential.expires_at END)`

/** Active connections whose warning is due, or over. */
export const TO_WARN = `SELECT connection.tenant_id, connection.id FROM connection
  JOIN credential ON credential.tenant_id = connection.tenant_id AND credential.connection_id = connection.id
  WHERE status = 'active' AND deleted_at IS NULL AND (status_code IS NULL OR status_code = 'reconnect_soon')
    AND coalesce(${RECONNECT_BY} < now() + interval '${WARN_BEFORE}', false) <> (status_code IS NOT NULL)`

export async function warn(tx: Tx, tenantId: string, id: string): Promise<void> {
  const { rows } = await tx.query<{ by: Date | null; near: boolean }>(
    `SELECT ${RECONNECT_BY} AS by, coalesce(${RECONNECT_BY} < now() + interval '${WARN_BEFORE}', false) AS near
     FROM connection JOIN credential ON credential.tenant_id = connection.tenant_id AND credential.connection_id = connection.id
     WHERE connection.tenant_id = $1 AND connection.id = $2 FOR UPDATE OF connection`,
    [tenantId, id],
  )
  const row = await findConnection(tx, tenantId, id)
  if (!rows[0] || row?.status !== 'active') return
  const { by, near } = rows[0]
  await setStatus(tx, tenantId, id, 'active', near && by ? { code: 'reconnect_soon', detail: `The consent ends on ${by.toISOString()}.` } : null)
}
