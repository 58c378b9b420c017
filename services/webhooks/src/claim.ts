/**
 * Who speaks to an endpoint. A worker leases the endpoint's row by the database's clock, so that of several pods one sends at a
 * time, and what a killed one held is taken up when its lease is over.
 */
import type { Database, Tx } from '@audience-sync/db/database'
import type { Secrets } from './secrets.ts'

/** Longer than a worker's slice and its last attempt together, see `worker.ts`. */
const LEASE = '60 seconds'
const PAGE = 20 // deliveries looked up at once: a few rounds of the concurrency

export interface Claimed {
  readonly tenantId: string
  readonly endpointId: string
}

/** Takes endpoints that are due and nobody's, up to `atMost`, the longest due first. */
export async function claimEndpoints(db: Database, lease: string, atMost: number): Promise<Claimed[]> {
  return db.tx(async (tx) => {
    const { rows } = await tx.query<Claimed>(
      `UPDATE endpoint SET lease = $1, lease_until = now() + interval '${LEASE}' WHERE (tenant_id, id) IN (
         SELECT tenant_id, id FROM endpoint WHERE due_at <= now() AND status = 'enabled' AND (lease_until IS NULL OR lease_until <= now())
         ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
       RETURNING tenant_id AS "tenantId", id AS "endpointId"`,
      [lease, atMost],
    )
    return rows
  })
}

export interface Due {
  readonly id: string
  readonly tries: number
  readonly body: string
}

export interface Work {
  readonly url: string
  /** The current one first. */
  readonly secrets: readonly string[]
  readonly due: readonly Due[]
}

interface EndpointRow {
  readonly url: string
  readonly secret: string
  readonly oldSecret: string | null
}

/** What is due at an endpoint that we hold and may tell; undefined when there is nothing. */
export async function readWork(tx: Tx, { tenantId, endpointId }: Claimed, lease: string, secrets: Secrets): Promise<Work | undefined> {
  const { rows } = await tx.query<EndpointRow>(
    `SELECT url, secret, CASE WHEN old_secret_until > now() THEN old_secret END AS "oldSecret" FROM endpoint
     WHERE tenant_id = $1 AND id = $2 AND lease = $3 AND lease_until > now() AND status = 'enabled' AND coalesce(throttled_until, '-infinity') <= now()`,
    [tenantId, endpointId, lease],
  )
  const [row] = rows
  if (!row) return undefined
  const { rows: due } = await tx.query<Due>(
    `SELECT d.id, d.tries, e.body FROM delivery d JOIN event e ON e.tenant_id = d.tenant_id AND e.id = d.event_id
     WHERE d.tenant_id = $1 AND d.endpoint_id = $2 AND d.state = 'waiting' AND d.next_at <= now() ORDER BY d.next_at, d.id LIMIT ${PAGE}`,
    [tenantId, endpointId],
  )
  if (due.length === 0) return undefined
  const sealed = row.oldSecret === null ? [row.secret] : [row.secret, row.oldSecret]
  return { url: row.url, due, secrets: await Promise.all(sealed.map((one) => secrets.open(tx, tenantId, endpointId, one))) }
}

/** Gives the endpoint back, due again when its first waiting delivery is. The lock comes first: what is told meanwhile is then seen. */
export async function release(tx: Tx, { tenantId, endpointId }: Claimed, lease: string): Promise<void> {
  const { rowCount } = await tx.query('SELECT FROM endpoint WHERE tenant_id = $1 AND id = $2 AND lease = $3 FOR NO KEY UPDATE', [tenantId, endpointId, lease])
  if (rowCount !== 1) return
  await tx.query('UPDATE endpoint SET lease = NULL, lease_until = NULL WHERE tenant_id = $1 AND id = $2', [tenantId, endpointId])
  await setDue(tx, tenantId, endpointId)
}

/** `due_at` from what waits, in a transaction that has locked the endpoint. */
export async function setDue(tx: Tx, tenantId: string, endpointId: string): Promise<void> {
  await tx.query(
    `UPDATE endpoint SET due_at = CASE WHEN status = 'enabled' THEN
       (SELECT greatest(min(d.next_at), endpoint.throttled_until) FROM delivery d
        WHERE d.tenant_id = $1 AND d.endpoint_id = $2 AND d.state = 'waiting' HAVING min(d.next_at) IS NOT NULL) END
     WHERE tenant_id = $1 AND id = $2`,
    [tenantId, endpointId],
  )
}
