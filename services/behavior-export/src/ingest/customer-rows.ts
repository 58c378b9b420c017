/** Reading and writing customers by the thousand. */
import type { Consent } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import type { DroppedField } from '@audience-sync/destination-kit/contract'
import { type ConsentColumns, stateNumber } from '../people/consent.ts'
import { joinTags } from '../people/tags.ts'
import { marked, type Withheld, withheldBytes } from '../people/withheld.ts'
import type { Tenant } from '../tenants.ts'

export interface CustomerRow extends ConsentColumns {
  readonly no: number
  readonly customer_id: string
  readonly occurred_ms: number | null
  readonly consent_ms: number | null
  readonly value: number | null
  readonly country: string | null
  readonly purposes: number
  readonly groups: number
  readonly present: number
  readonly fingerprints: Buffer
  readonly unusable: readonly DroppedField[] | null
  readonly tags: Buffer
  readonly withheld: Buffer
}

/** What is to be stored of one customer. */
export interface CustomerState {
  readonly no: number
  readonly occurredAt: number | null
  readonly consentAt: number | null
  readonly value: number | null
  readonly consent: Consent
  readonly country: string | null
  readonly purposes: number
  readonly groups: number
  readonly present: number
  /** Without the marks of what is withheld; stored with them. */
  readonly fingerprints: Buffer
  readonly tags: readonly string[]
  readonly withheld: Withheld
  readonly unusable: readonly DroppedField[] | null
  /** Sealed; null: those stored stay. */
  readonly identifiers: Buffer | null
  /** The feed has to tell of it. */
  readonly feedChanged: boolean
}

const COLUMNS = `c.no, c.customer_id, (extract(epoch FROM c.occurred_at) * 1000)::float8 AS occurred_ms, (extract(epoch FROM c.consent_at) * 1000)::float8 AS consent_ms,
  c.value, c.country, c.purposes, c.groups, c.present, c.fingerprints, c.unusable, c.tags, c.withheld, c.ad_user_data, c.ad_personalization, c.crm, c.sale_share_opt_out`

/** Those that exist of these, locked in key order. */
export async function lockCustomers(tx: Tx, tenant: Tenant, ids: readonly string[]): Promise<CustomerRow[]> {
  const { rows } = await tx.query<CustomerRow>(
    // A lookup by key for each, in key order, whatever the statistics say (see memberships.ts).
    `WITH asked AS MATERIALIZED (SELECT id FROM unnest($2::text[]) AS id ORDER BY id)
     SELECT ${COLUMNS} FROM asked, LATERAL (SELECT * FROM customer WHERE tenant_no = $1 AND customer_id = asked.id FOR NO KEY UPDATE) c`,
    [tenant.no, ids],
  )
  return rows
}

export interface PageRow extends CustomerRow {
  readonly identifiers: Buffer | null
  /** Of the page; the others are sharers. */
  readonly paged: boolean
}

/** The same by number, for the sweep that follows a change of the default country; with `sharers` (customer ids) beside. */
export async function lockCustomersAfter(tx: Tx, tenant: Tenant, after: number, limit: number, sharers: readonly string[]): Promise<PageRow[]> {
  const { rows } = await tx.query<PageRow>(
    `WITH page AS (SELECT no FROM customer WHERE tenant_no = $1 AND no > $2 ORDER BY no LIMIT $3),
       asked AS (SELECT no, true AS paged FROM page
                 UNION ALL SELECT no, false FROM customer WHERE tenant_no = $1 AND customer_id = ANY($4) AND no NOT IN (SELECT no FROM page))
     SELECT ${COLUMNS}, c.identifiers, asked.paged FROM asked JOIN customer c USING (no)
     WHERE c.customer_id IS NOT NULL ORDER BY c.customer_id FOR NO KEY UPDATE OF c`,
    [tenant.no, after, limit, sharers],
  )
  return rows
}

/** Writes them, and a feed row for each behavior of those that the feed has to tell of. Answers rows written to the change log, by behavior. */
export async function storeCustomers(tx: Tx, tenant: Tenant, states: readonly CustomerState[]): Promise<Map<number, number>> {
  if (states.length === 0) return new Map()
  const { rows } = await tx.query<{ behavior_no: number; count: number }>(STORE, [
    tenant.no,
    states.map((state) => state.no),
    states.map((state) => state.occurredAt),
    states.map((state) => state.consentAt),
    states.map((state) => state.value),
    states.map((state) => state.country),
    states.map((state) => state.purposes),
    states.map((state) => state.groups),
    states.map((state) => state.present),
    states.map((state) => marked(tenant.hmac, state.groups, state.fingerprints, state.withheld)),
    states.map((state) => (state.unusable?.length ? JSON.stringify(state.unusable) : null)),
    states.map((state) => state.identifiers),
    states.map((state) => stateNumber(state.consent.adUserData)),
    states.map((state) => stateNumber(state.consent.adPersonalization)),
    states.map((state) => stateNumber(state.consent.crm)),
    states.map((state) => state.consent.saleShareOptOut),
    states.map((state) => state.feedChanged),
    states.map((state) => joinTags(state.tags)),
    states.map((state) => withheldBytes(state.tags, state.withheld)),
  ])
  return new Map(rows.map(({ behavior_no, count }) => [behavior_no, count]))
}

const STORE = `
WITH input AS MATERIALIZED (
  SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::float8[], $6::text[], $7::smallint[], $8::smallint[], $9::smallint[], $10::bytea[], $11::text[],
    $12::bytea[], $13::smallint[], $14::smallint[], $15::smallint[], $16::bool[], $17::bool[], $18::bytea[], $19::bytea[])
    AS i(no, occurred_ms, consent_ms, value, country, purposes, groups, present, fingerprints, unusable, identifiers, aud, adp, crm, opt_out, feed_changed, tags, withheld)
), stored AS (
  UPDATE customer c SET
    occurred_at = 'epoch'::timestamptz + i.occurred_ms * interval '1 millisecond', consent_at = 'epoch'::timestamptz + i.consent_ms * interval '1 millisecond',
    value = i.value, country = i.country, purposes = i.purposes, groups = i.groups, present = i.present, fingerprints = i.fingerprints, unusable = i.unusable::jsonb,
    identifiers = coalesce(i.identifiers, c.identifiers), ad_user_data = i.aud, ad_personalization = i.adp, crm = i.crm, sale_share_opt_out = i.opt_out, tags = i.tags, withheld = i.withheld
  FROM input i WHERE c.no = i.no
), logged AS (
  INSERT INTO change_log (behavior_no, tenant_no, customer_no) SELECT m.behavior_no, $1, i.no
  FROM input i, LATERAL (SELECT * FROM membership WHERE customer_no = i.no OFFSET 0) m WHERE i.feed_changed
  RETURNING behavior_no
)
SELECT behavior_no, count(*)::int AS count FROM logged GROUP BY behavior_no`
