/** Connections as rows: found, made, moved from one status to another. Every change that others act on is announced in its own transaction. */
import { topics } from '@audience-sync/contracts/events/topics'
import { publicId } from '@audience-sync/contracts/ids'
import { orm, type Tx } from '@audience-sync/db/database'
import type { PlatformAnswer } from '@audience-sync/errors/app-error'
import type { Code } from '@audience-sync/errors/catalogue'
import { publish } from '@audience-sync/events/outbox'
import { and, eq, isNull, sql } from 'drizzle-orm'
import { account, connection } from './schema.ts'

export type ConnectionRow = typeof connection.$inferSelect
export type Status = ConnectionRow['status']

export interface Why {
  readonly code: Code
  readonly detail: string
}

const ours = (tenantId: string, id: string) => and(eq(connection.tenantId, tenantId), eq(connection.id, id))

/** The connection, unless it is unknown, another tenant's or deleted. */
export async function findConnection(tx: Tx, tenantId: string, id: string): Promise<ConnectionRow | undefined> {
  const [row] = await orm(tx)
    .select()
    .from(connection)
    .where(and(ours(tenantId, id), isNull(connection.deletedAt)))
  return row
}

/** The same, held until the transaction ends. */
export async function lockConnection(tx: Tx, tenantId: string, id: string): Promise<ConnectionRow | undefined> {
  const [row] = await orm(tx)
    .select()
    .from(connection)
    .where(and(ours(tenantId, id), isNull(connection.deletedAt)))
    .for('update')
  return row
}

/**
 * Whether a connection that works rests on this connection's person, itself included while it is not deleted. A platform revokes
 * the whole consent of a person, whichever of their tokens is named: not while this says yes. `subject` where the row has it not yet.
 */
export async function isConsentInUse(tx: Tx, tenantId: string, id: string, subject: string | null = null): Promise<boolean> {
  const { rowCount } = await tx.query(
    `SELECT 1 FROM connection this JOIN connection live ON live.tenant_id = this.tenant_id AND live.destination = this.destination
       AND live.subject = coalesce($3, this.subject) AND live.deleted_at IS NULL AND live.status = 'active'
     WHERE this.tenant_id = $1 AND this.id = $2 LIMIT 1`,
    [tenantId, id, subject],
  )
  return Boolean(rowCount)
}

/** Moves a live connection to a status and announces it, once: a repeated call changes nothing and says nothing. */
export async function setStatus(tx: Tx, tenantId: string, id: string, status: Status, why: Why | null): Promise<void> {
  const { rowCount } = await orm(tx)
    .update(connection)
    .set({ status, statusCode: why?.code ?? null, statusDetail: why?.detail ?? null, statusSince: sql`now()` })
    .where(
      and(
        ours(tenantId, id),
        isNull(connection.deletedAt),
        sql`(${connection.status}, ${connection.statusCode}) IS DISTINCT FROM (${status}::text, ${why?.code ?? null}::text)`,
      ),
    )
  if (rowCount) await announce(tx, tenantId, id)
}

/** `connection.changed`: the status, and the accounts that may be used. */
export async function announce(tx: Tx, tenantId: string, id: string): Promise<void> {
  const [row] = await orm(tx).select().from(connection).where(ours(tenantId, id))
  if (!row) return
  const selected = await orm(tx)
    .select({ id: account.id })
    .from(account)
    .where(and(eq(account.tenantId, tenantId), eq(account.connectionId, id), eq(account.selected, true)))
    .orderBy(account.id)
  const connectionId = publicId('connection', id)
  await publish(tx, {
    topic: topics.connectionChanged,
    tenantId,
    key: connectionId,
    message: {
      connectionId,
      destination: row.destination,
      status: row.status,
      accountIds: selected.map((one) => publicId('account', one.id)),
      code: row.statusCode ?? '',
    },
  })
}

const LONGEST_DETAIL = 500 // what a platform says can be long; the figure is for reading

/** Our words, and the platform's own beside them (R8). */
export function withPlatform(detail: string, platform: PlatformAnswer | undefined): string {
  const said = [platform?.code, platform?.message].filter(Boolean).join(': ')
  return (said ? `${detail} The platform says: ${said}` : detail).slice(0, LONGEST_DETAIL)
}
