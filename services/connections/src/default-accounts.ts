/** Which account an export goes to when it names none: by behavior, else by purpose, else by kind of behavior, else by destination. */
import { publicId, uuidOf } from '@audience-sync/contracts/ids'
import type { DefaultAccount } from '@audience-sync/contracts/rest/connections'
import { orm, type Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { asc, eq } from 'drizzle-orm'
import { findAccount } from './account-rows.ts'
import { defaultAccount } from './schema.ts'

type Row = typeof defaultAccount.$inferSelect

export interface Export {
  readonly destination: string
  readonly behaviorId?: string | undefined
  readonly purpose?: string | undefined
  readonly behaviorKind?: string | undefined
}

export async function listDefaults(tx: Tx, tenantId: string): Promise<DefaultAccount[]> {
  const rows = await orm(tx)
    .select()
    .from(defaultAccount)
    .where(eq(defaultAccount.tenantId, tenantId))
    .orderBy(asc(defaultAccount.destination), asc(defaultAccount.scope), asc(defaultAccount.value))
  return rows.map(shown)
}

/** Puts the whole list in place of the one before. Throws `account_unknown`, or `validation_failed` for one that contradicts itself. */
export async function replaceDefaults(tx: Tx, tenantId: string, defaults: readonly DefaultAccount[]): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`default-accounts|${tenantId}`]) // two replacements do not mix
  const rows = new Map<string, Row>()
  for (const [index, one] of defaults.entries()) {
    const accountId = uuidOf('account', one.accountId)
    const found = accountId ? await findAccount(tx, tenantId, accountId) : undefined
    if (!accountId || !found || found.connection.deletedAt) throw new AppError('account_unknown', `There is no account ${one.accountId}.`)
    if (found.account.destination !== one.destination) throw invalid(index, `the account belongs to ${found.account.destination}`)
    const row = { tenantId, destination: one.destination, ...keyOf(one), accountId }
    const key = [row.destination, row.scope, row.value].join('|')
    if (rows.has(key)) throw invalid(index, 'there is another default for the same')
    rows.set(key, row)
  }
  await orm(tx).delete(defaultAccount).where(eq(defaultAccount.tenantId, tenantId))
  if (rows.size > 0)
    await orm(tx)
      .insert(defaultAccount)
      .values([...rows.values()])
}

/** The public id of the account to take, or null. */
export async function resolveDefault(tx: Tx, tenantId: string, { destination, behaviorId, purpose, behaviorKind }: Export): Promise<string | null> {
  const { rows } = await tx.query<{ account_id: string }>(
    `SELECT account_id FROM default_account WHERE tenant_id = $1 AND destination = $2
        AND (scope, value) IN (('behavior', $3), ('purpose', $4), ('behaviorKind', $5), ('destination', ''))
      ORDER BY array_position(ARRAY['behavior', 'purpose', 'behaviorKind', 'destination'], scope) LIMIT 1`,
    [tenantId, destination, behaviorId ?? null, purpose ?? null, behaviorKind ?? null],
  )
  return rows[0] ? publicId('account', rows[0].account_id) : null
}

function keyOf({ behaviorId, purpose, behaviorKind }: DefaultAccount): Pick<Row, 'scope' | 'value'> {
  if (behaviorId !== undefined) return { scope: 'behavior', value: behaviorId }
  if (purpose !== undefined) return { scope: 'purpose', value: purpose }
  if (behaviorKind !== undefined) return { scope: 'behaviorKind', value: behaviorKind }
  return { scope: 'destination', value: '' }
}

const FIELDS = { behavior: 'behaviorId', purpose: 'purpose', behaviorKind: 'behaviorKind' } as const

const shown = ({ destination, scope, value, accountId }: Row): DefaultAccount => ({
  destination,
  ...(scope !== 'destination' && { [FIELDS[scope]]: value }),
  accountId: publicId('account', accountId),
})

const invalid = (index: number, message: string) =>
  new AppError('validation_failed', 'The list of default accounts is not valid.', { extra: { errors: [{ in: 'body', path: `defaults.${index}`, message }] } })
