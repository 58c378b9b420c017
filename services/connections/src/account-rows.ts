/** Accounts as rows: listed, found with what their connection is worth, selected. */
import { publicId } from '@audience-sync/contracts/ids'
import type { AccountSummary } from '@audience-sync/contracts/internal/grants'
import type { Account } from '@audience-sync/contracts/rest/connections'
import { orm, type Tx } from '@audience-sync/db/database'
import { and, asc, eq, gt, isNull, type SQL } from 'drizzle-orm'
import { account, connection } from './schema.ts'

export type AccountRow = typeof account.$inferSelect

export interface AccountFilter {
  readonly connectionId?: string | undefined
  readonly destination?: string | undefined
  readonly selected?: boolean | undefined
}

const joined = and(eq(connection.tenantId, account.tenantId), eq(connection.id, account.connectionId))

/** Accounts of connections that are not deleted, by id. */
export async function listAccounts(tx: Tx, tenantId: string, filter: AccountFilter, after: string | undefined, limit: number): Promise<AccountRow[]> {
  const conditions: (SQL | undefined)[] = [
    eq(account.tenantId, tenantId),
    isNull(connection.deletedAt),
    filter.connectionId === undefined ? undefined : eq(account.connectionId, filter.connectionId),
    filter.destination === undefined ? undefined : eq(account.destination, filter.destination),
    filter.selected === undefined ? undefined : eq(account.selected, filter.selected),
    after === undefined ? undefined : gt(account.id, after),
  ]
  const rows = await orm(tx)
    .select({ account })
    .from(account)
    .innerJoin(connection, joined)
    .where(and(...conditions))
    .orderBy(asc(account.id))
    .limit(limit)
  return rows.map((row) => row.account)
}

export type AccountWithConnection = { readonly account: AccountRow; readonly connection: typeof connection.$inferSelect }

/** Deleted connections included: who asks on behalf of an audience must learn that it was. */
export async function findAccount(tx: Tx, tenantId: string, id: string): Promise<AccountWithConnection | undefined> {
  const [row] = await orm(tx)
    .select()
    .from(account)
    .innerJoin(connection, joined)
    .where(and(eq(account.tenantId, tenantId), eq(account.id, id)))
  return row
}

/** Selects exactly these of a connection's accounts. Answers the external ids that it does not have. */
export async function selectAccounts(tx: Tx, tenantId: string, connectionId: string, externalIds: readonly string[]): Promise<string[]> {
  const { rows } = await tx.query<{ missing: string }>(
    `SELECT wanted AS missing FROM unnest($3::text[]) AS wanted
      WHERE NOT EXISTS (SELECT 1 FROM account WHERE tenant_id = $1 AND connection_id = $2 AND external_id = wanted AND lost_at IS NULL)`,
    [tenantId, connectionId, externalIds],
  )
  if (rows.length === 0)
    await tx.query(`UPDATE account SET selected = external_id = ANY($3) WHERE tenant_id = $1 AND connection_id = $2 AND selected <> (external_id = ANY($3))`, [
      tenantId,
      connectionId,
      externalIds,
    ])
  return rows.map(({ missing }) => missing)
}

export const toAccount = (row: AccountRow): Account => ({
  id: publicId('account', row.id),
  connectionId: publicId('connection', row.connectionId),
  destination: row.destination,
  externalId: row.externalId,
  name: row.name,
  selected: row.selected,
  status: row.lostAt ? 'lost' : row.status,
  statusDetail: row.statusDetail,
  currency: row.currency,
  timeZone: row.timeZone,
  business: row.business,
  termsSigned: row.termsSigned,
  userTermsSigned: row.userTermsSigned,
  termsUrl: row.termsUrl,
  canManageAudiences: row.canManageAudiences && row.lostAt === null,
  seenAt: row.seenAt.toISOString(),
})

export const toSummary = ({ account: row, connection: owner }: AccountWithConnection): AccountSummary => ({
  id: publicId('account', row.id),
  connectionId: publicId('connection', row.connectionId),
  destination: row.destination,
  externalId: row.externalId,
  name: row.name,
  selected: row.selected,
  status: row.status,
  statusDetail: row.statusDetail,
  connectionStatus: owner.status,
  termsSigned: row.termsSigned,
  termsUrl: row.termsUrl,
  canManageAudiences: row.canManageAudiences && row.lostAt === null,
})
