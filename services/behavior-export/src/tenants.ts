/** Tenants as this service knows them: from `tenant.changed`, each with a key of its own for fingerprints. */
import { randomBytes } from 'node:crypto'
import type { Database, Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { aad, dekIdOf, KEY_BYTES, openText, sealText } from '@audience-sync/vault/envelope'
import { type Hmac, hmacSha256 } from '@audience-sync/vault/hmac'

export interface Tenant {
  readonly no: number
  /** UUID. */
  readonly id: string
  /** ISO 3166-1 alpha-2; for national phone numbers, and for consent where a person has no country. */
  readonly defaultCountry: string | undefined
  /** Under the tenant's own key: fingerprints, and subjects of erasure. */
  readonly hmac: Hmac
}

export interface TenantChange {
  readonly id: string
  readonly slug: string
  readonly defaultCountry: string | undefined
  readonly status: string
  readonly occurredAt: Date
}

const RETRY_MS = 1_000 // `tenant.changed` is under way; the relay takes less

const COUNTRY = 7_310_004 // the first half of the advisory lock's key; the second is made of the tenant's id

/**
 * To be called by whoever judges people by the tenant's default country, before the tenant is read: the country stays until the commit. Else
 * somebody judged by the old one could be committed behind the sweep that follows a change, and stay so.
 */
export const holdCountry = (tx: Tx, tenantId: string): Promise<unknown> =>
  tx.query('SELECT pg_advisory_xact_lock_shared($1, hashtext($2))', [COUNTRY, tenantId])

const place = (tenantId: string, dekId: string) => aad('fingerprint', tenantId, dekId)

/** The tenant of this transaction, or undefined when we have not heard of it. */
export async function findTenant(tx: Tx, vault: DekStore, tenantId: string): Promise<Tenant | undefined> {
  const { rows } = await tx.query<{ no: number; default_country: string | null; fingerprint_key: string }>(
    'SELECT no, default_country, fingerprint_key FROM tenant WHERE id = $1',
    [tenantId],
  )
  if (!rows[0]) return undefined
  const { no, default_country, fingerprint_key } = rows[0]
  const dek = await vault.byId(tx, tenantId, dekIdOf(fingerprint_key))
  return {
    no,
    id: tenantId,
    defaultCountry: default_country ?? undefined,
    hmac: hmacSha256(Buffer.from(openText(dek, fingerprint_key, place(tenantId, dek.id)), 'base64url')),
  }
}

/** The UUID of the tenant that other teams know by this slug. Runs outside any tenant: a policy shows ids and slugs there. */
export const tenantNamed = (db: Database, slug: string): Promise<string | undefined> =>
  db.tx(async (tx) => (await tx.query<{ id: string }>('SELECT id FROM tenant WHERE slug = $1 LIMIT 1', [slug])).rows[0]?.id)

/** For requests: the gateway vouches for the tenant, so one that we do not know was made a moment ago. */
export async function requireTenant(tx: Tx, vault: DekStore, tenantId: string): Promise<Tenant> {
  const tenant = await findTenant(tx, vault, tenantId)
  if (!tenant) throw new AppError('service_unavailable', 'The tenant is new and not known here yet.', { retryAfterMs: RETRY_MS })
  return tenant
}

/** Keeps the newest state. Another default country has all customers looked at again (`reassess`). */
export async function storeTenant(tx: Tx, vault: DekStore, { id, slug, defaultCountry, status, occurredAt }: TenantChange): Promise<void> {
  const dek = await vault.current(id)
  const key = sealText(dek, randomBytes(KEY_BYTES).toString('base64url'), place(id, dek.id))
  await tx.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [COUNTRY, id])
  await tx.query(
    `INSERT INTO tenant AS t (id, slug, status, default_country, occurred_at, fingerprint_key) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (id) DO UPDATE SET slug = excluded.slug, status = excluded.status, default_country = excluded.default_country, occurred_at = excluded.occurred_at,
       reassess_after = CASE WHEN t.default_country IS DISTINCT FROM excluded.default_country THEN 0 ELSE t.reassess_after END
     WHERE excluded.occurred_at > t.occurred_at`,
    [id, slug, status, defaultCountry ?? null, occurredAt, key],
  )
}
