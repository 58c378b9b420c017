/**
 * What is known of one customer in one behavior, for whoever asks why they are in an audience or not: membership and the event that
 * said so, consent and what it allows, which fields can be used. Their identifiers are opened here, because an audience's rules
 * look at them, and never leave.
 */
import { type Explained, FeedRow } from '@audience-sync/contracts/internal/feed'
import { type Identifiers, purposeBit, purposes } from '@audience-sync/contracts/people'
import { countryOf, type Field, type Transformation } from '@audience-sync/contracts/transformations'
import type { Tx } from '@audience-sync/db/database'
import { permission, suppression } from '@audience-sync/destination-kit/consent'
import { transform } from '@audience-sync/destination-kit/transform'
import { usableGroups } from '@audience-sync/destination-kit/usable'
import { AppError } from '@audience-sync/errors/app-error'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { rowsAnswer } from './feed/pages.ts'
import { type ConsentColumns, consentOf } from './people/consent.ts'
import { openIdentifiers } from './people/identifiers.ts'
import { splitTags } from './people/tags.ts'
import { readWithheld, withoutWithheld } from './people/withheld.ts'
import type { Tenant } from './tenants.ts'

interface Row extends ConsentColumns {
  readonly no: number
  readonly country: string | null
  readonly identifiers: Buffer | null
  readonly tags: Buffer
  readonly withheld: Buffer
  readonly member: boolean | null
  readonly occurred_at: Date | null
  readonly event_id: string | null
}

/** @throws `customer_unknown`, for the unknown, the foreign and the erased. */
export async function explainMember(
  tx: Tx,
  vault: DekStore,
  tenant: Tenant,
  behaviorNo: number,
  customerId: string,
  transformations: readonly Transformation[],
): Promise<Explained> {
  const { rows } = await tx.query<Row>(
    `SELECT c.no, c.country, c.identifiers, c.tags, c.withheld, c.ad_user_data, c.ad_personalization, c.crm, c.sale_share_opt_out, m.member, m.occurred_at, m.event_id
     FROM customer c LEFT JOIN membership m ON m.behavior_no = $1 AND m.customer_no = c.no
     WHERE c.tenant_no = $2 AND c.customer_id = $3`,
    [behaviorNo, tenant.no, customerId],
  )
  const row = rows[0]
  if (!row) throw new AppError('customer_unknown', 'There is no customer with that id.')
  const feed = JSON.parse(await rowsAnswer(tx, behaviorNo, [row.no])) as { rows: unknown[] }
  const consent = consentOf(row)
  const given = permission(consent, row.country ?? undefined, tenant.defaultCountry)
  const identifiers = row.identifiers ? await openIdentifiers(vault, tx, tenant.id, row.no, row.identifiers) : {}
  const withheld = readWithheld(splitTags(row.tags), row.withheld)
  const left = transform({ customerId, identifiers }, transformations)
  return {
    row: FeedRow.parse(feed.rows[0]),
    membership: { member: row.member ?? false, since: row.occurred_at?.toISOString() ?? null, eventId: row.event_id },
    consent,
    suppressedBy: Object.fromEntries(purposes.map((purpose) => [purpose, suppression(given, purpose)])) as Explained['suppressedBy'],
    leftOut: left === null,
    fields: fieldsOf((left?.identifiers as Identifiers | undefined) ?? identifiers, countryOf(transformations) ?? tenant.defaultCountry),
    withheld: Object.fromEntries(
      purposes.flatMap((purpose) => {
        const fields = lost(identifiers, withoutWithheld(tenant.hmac, identifiers, withheld, purposeBit(purpose)))
        return fields.length > 0 ? [[purpose, fields]] : []
      }),
    ),
  }
}

/** Fields of which nothing is left. */
const lost = (before: Identifiers, after: Identifiers): Field[] =>
  (Object.keys(before) as Field[]).filter((field) => [before[field] ?? []].flat().length > 0 && [after[field] ?? []].flat().length === 0)

/** Each field that was given: null when it can be used, else why not. Of several e-mail addresses the first that cannot. */
function fieldsOf(identifiers: Identifiers, country: string | undefined): Explained['fields'] {
  const { unusable } = usableGroups(identifiers, country)
  const given = (Object.keys(identifiers) as Field[]).filter((field) => [identifiers[field]].flat().some((value) => value?.trim()))
  return Object.fromEntries(given.map((field) => [field, unusable.find((one) => one.field === field)?.code ?? null]))
}
