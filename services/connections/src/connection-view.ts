/** Connections as the API shows them. */
import { publicId } from '@audience-sync/contracts/ids'
import type { Connection } from '@audience-sync/contracts/rest/connections'
import { orm, type Tx } from '@audience-sync/db/database'
import { catalogue, isCode } from '@audience-sync/errors/catalogue'
import { and, asc, eq, gt, isNull, type SQL, sql } from 'drizzle-orm'
import type { ConnectionRow } from './connection-rows.ts'
import { RECONNECT_BY } from './reconnect.ts'
import { connection, credential } from './schema.ts'

export interface ConnectionFilter {
  readonly id?: string
  readonly destination?: string | undefined
  readonly status?: ConnectionRow['status'] | undefined
}

/** Connections that are not deleted, by id, with what their credential says of its end. */
export async function listConnections(tx: Tx, tenantId: string, filter: ConnectionFilter, after: string | undefined, limit: number): Promise<Connection[]> {
  const conditions: (SQL | undefined)[] = [
    eq(connection.tenantId, tenantId),
    isNull(connection.deletedAt),
    filter.id === undefined ? undefined : eq(connection.id, filter.id),
    filter.destination === undefined ? undefined : eq(connection.destination, filter.destination),
    filter.status === undefined ? undefined : eq(connection.status, filter.status),
    after === undefined ? undefined : gt(connection.id, after),
  ]
  const rows = await orm(tx)
    .select({ row: connection, expiresAt: credential.expiresAt, renewAt: credential.renewAt, reconnectBy: sql<Date | null>`${sql.raw(RECONNECT_BY)}` })
    .from(connection)
    .leftJoin(credential, and(eq(credential.tenantId, connection.tenantId), eq(credential.connectionId, connection.id)))
    .where(and(...conditions))
    .orderBy(asc(connection.id))
    .limit(limit)
  return rows.map(({ row, expiresAt, renewAt, reconnectBy }) => ({
    id: publicId('connection', row.id),
    destination: row.destination,
    status: row.status,
    statusReason: reasonOf(row),
    grantedScopes: row.grantedScopes,
    createdAt: row.createdAt.toISOString(),
    checkedAt: row.checkedAt?.toISOString() ?? null,
    expiresAt: expiresAt?.toISOString() ?? null,
    renewAt: renewAt?.toISOString() ?? null,
    reconnectBy: reconnectBy === null ? null : new Date(reconnectBy).toISOString(),
    businessId: row.businessId,
  }))
}

function reasonOf({ statusCode, statusDetail, statusSince }: ConnectionRow): Connection['statusReason'] {
  if (statusCode === null || !isCode(statusCode)) return null
  const { title, solution } = catalogue[statusCode]
  return { code: statusCode, title, detail: statusDetail ?? title, solution, since: statusSince.toISOString() }
}
