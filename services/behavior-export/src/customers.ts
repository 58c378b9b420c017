/** A customer as the API shows them: what is known, never the values. */
import { publicId } from '@audience-sync/contracts/ids'
import { groupBit, identifierGroups, purposeBit, purposes } from '@audience-sync/contracts/people'
import type { Customer, KnownCustomer } from '@audience-sync/contracts/rest/behaviors'
import type { Tx } from '@audience-sync/db/database'
import type { DroppedField } from '@audience-sync/destination-kit/contract'
import { AppError } from '@audience-sync/errors/app-error'
import { type ConsentColumns, consentOf } from './people/consent.ts'

interface Row extends ConsentColumns {
  readonly no: number
  readonly customer_id: string
  readonly occurred_at: Date | null
  readonly consent_at: Date | null
  readonly value: number | null
  readonly purposes: number
  readonly groups: number
  readonly present: number
  readonly unusable: DroppedField[] | null
}

/** @throws `not_found`, for the unknown, the foreign and the erased. */
export const readCustomer = async (tx: Tx, customerId: string): Promise<Customer> => (await findCustomer(tx, customerId)).customer

/** @throws `not_found`, for the unknown, the foreign and the erased. */
export async function findCustomer(tx: Tx, customerId: string): Promise<KnownCustomer> {
  const { rows } = await tx.query<Row>(
    `SELECT no, customer_id, occurred_at, consent_at, value, purposes, groups, present, unusable, ad_user_data, ad_personalization, crm, sale_share_opt_out
     FROM customer WHERE tenant_no = (SELECT current_tenant_no()) AND customer_id = $1`,
    [customerId],
  )
  const row = rows[0]
  if (!row) throw new AppError('not_found', 'There is no customer with this id.')
  const { rows: behaviors } = await tx.query<{ id: string; key: string; name: string; member: boolean; occurred_at: Date }>(
    'SELECT b.id, b.key, b.name, m.member, m.occurred_at FROM membership m JOIN behavior b ON b.no = m.behavior_no WHERE m.customer_no = $1 ORDER BY b.no',
    [row.no],
  )
  const customer: Customer = {
    customerId: row.customer_id,
    occurredAt: row.occurred_at?.toISOString() ?? null,
    identifiers: Object.fromEntries(
      identifierGroups.filter((group) => row.present & groupBit(group)).map((group) => [group, { usable: (row.groups & groupBit(group)) !== 0 }]),
    ) as Customer['identifiers'],
    unusable: row.unusable ?? [],
    consent: consentOf(row),
    consentAt: row.consent_at?.toISOString() ?? null,
    maySendTo: purposes.filter((purpose) => row.purposes & purposeBit(purpose)),
    value: row.value,
    behaviors: behaviors.map(({ id, key, name, member, occurred_at }) => ({
      behaviorId: publicId('behavior', id),
      key,
      name,
      member,
      since: occurred_at.toISOString(),
    })),
  }
  return { no: row.no, customer }
}
