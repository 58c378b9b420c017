/**
 * The one answer that carries personal data: the identifiers of exactly the customers asked for, and the second check of
 * consent and suppression (DESIGN.md §2.5). One verdict per id, in the order asked (SYNC.md C7); the fingerprints are those of
 * exactly these identifiers (C9): of what a person gave, less what is withheld for the purpose because somebody else who carries it
 * may not be sent (C2). All of one statement, and so of one snapshot.
 */
import type { FetchAnswer, FetchVerdict } from '@audience-sync/contracts/internal/feed'
import { type Purpose, purposeBit } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import { permission, suppression } from '@audience-sync/destination-kit/consent'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { type ConsentColumns, consentOf } from '../people/consent.ts'
import { openIdentifiers } from '../people/identifiers.ts'
import { splitTags } from '../people/tags.ts'
import { readWithheld, withoutWithheld } from '../people/withheld.ts'
import type { Tenant } from '../tenants.ts'
import { LOOKUP, positionBelow } from './horizon.ts'

interface Row extends ConsentColumns {
  readonly no: number
  readonly xmin: string
  readonly member: boolean | null
  readonly known: boolean
  readonly erased: boolean
  readonly customer_id: string
  readonly purposes: number
  readonly groups: number
  readonly fingerprints: Buffer
  readonly value: number | null
  readonly country: string | null
  readonly identifiers: Buffer | null
  readonly tags: Buffer
  readonly withheld: Buffer
}

export async function fetchCustomers(
  tx: Tx,
  vault: DekStore,
  tenant: Tenant,
  behaviorNo: number,
  customers: readonly number[],
  purpose: Purpose,
): Promise<FetchAnswer> {
  const { rows } = await tx.query<Row>(
    `SELECT a.no, pg_snapshot_xmin(pg_current_snapshot())::text AS xmin, m.member, c.no IS NOT NULL AS known, c.erased_at IS NOT NULL AS erased, c.customer_id, c.purposes, c.groups,
       c.fingerprints, c.value, c.country, c.identifiers, c.tags, c.withheld, c.ad_user_data, c.ad_personalization, c.crm, c.sale_share_opt_out
     FROM unnest($2::bigint[]) WITH ORDINALITY AS a(no, at)
     LEFT JOIN ${LOOKUP('customer', 'c', 'no = a.no')} LEFT JOIN ${LOOKUP('membership', 'm', 'behavior_no = $1 AND customer_no = a.no')} ORDER BY a.at`,
    [behaviorNo, customers],
  )
  const verdicts: FetchVerdict[] = []
  for (const row of rows) verdicts.push(await verdictOf(tx, vault, tenant, row, purpose))
  // Whoever was suppressed by a transaction that the snapshot may not have seen is at or above this.
  return { verdicts, count: verdicts.length, suppressionsAt: positionBelow(rows[0]?.xmin ?? '0') }
}

async function verdictOf(tx: Tx, vault: DekStore, tenant: Tenant, row: Row, purpose: Purpose): Promise<FetchVerdict> {
  const { no } = row
  if (row.erased) return { verdict: 'suppressed', no, reason: 'erased' }
  if (!row.known || !row.member) return { verdict: 'not_member', no }
  const consent = consentOf(row)
  // Judged anew: what is stored can be older than a change of the tenant's default country. Both must allow it.
  const now = permission(consent, row.country ?? undefined, tenant.defaultCountry)
  const reason = suppression(now, purpose) ?? (row.purposes & purposeBit(purpose) ? null : 'consent_denied')
  if (reason) return { verdict: 'suppressed', no, reason }
  const identifiers = row.identifiers ? await openIdentifiers(vault, tx, tenant.id, no, row.identifiers) : {}
  return {
    verdict: 'send',
    no,
    customerId: row.customer_id,
    identifiers: withoutWithheld(tenant.hmac, identifiers, readWithheld(splitTags(row.tags), row.withheld), purposeBit(purpose)),
    consent,
    ...(row.value !== null && { value: row.value }),
    limitedDataUse: purpose === 'ads_ldu' && consent.saleShareOptOut,
    groups: row.groups,
    fingerprints: row.fingerprints.toString('base64'),
  }
}
