/** Tenants: who they are, and telling the other services (`tenant.changed`, in the same transaction). */

import { topics } from '@audience-sync/contracts/events/topics'
import { publicId } from '@audience-sync/contracts/ids'
import { type TenantLimits, tenantScopes } from '@audience-sync/contracts/rest/gateway'
import type { Database, Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { publish } from '@audience-sync/events/outbox'

/** The tenant that a fresh installation has; its id is the same everywhere. */
export const DEMO_TENANT = { id: '0190de30-0000-7000-8000-000000000001', slug: 'demo', name: 'Demo', defaultCountry: null } as const

export interface TenantRow {
  readonly id: string
  readonly slug: string
  readonly name: string
  readonly defaultCountry: string | null
  readonly limits: TenantLimits
  readonly status: 'active' | 'suspended'
  readonly createdAt: Date
}

const COLUMNS = `id, slug, name, default_country AS "defaultCountry", limits, status, created_at AS "createdAt"`
const UNIQUE_VIOLATION = '23505'

/** In a transaction of that tenant. */
export async function readTenant(tx: Tx, id: string): Promise<TenantRow | undefined> {
  const { rows } = await tx.query<TenantRow>(`SELECT ${COLUMNS} FROM tenant WHERE id = $1`, [id])
  return rows[0]
}

export const findTenant = (db: Database, id: string): Promise<TenantRow | undefined> => db.tenant(id, (tx) => readTenant(tx, id))

/** Makes the tenant, in a transaction of its own id. `conflict` when the slug is taken. */
export async function createTenant(tx: Tx, tenant: Pick<TenantRow, 'id' | 'slug' | 'name' | 'defaultCountry' | 'limits'>): Promise<TenantRow> {
  try {
    const { rows } = await tx.query<TenantRow>(
      `INSERT INTO tenant (id, slug, name, default_country, limits) VALUES ($1, $2, $3, $4, $5) RETURNING ${COLUMNS}`,
      [tenant.id, tenant.slug, tenant.name, tenant.defaultCountry, tenant.limits],
    )
    const made = rows[0] as TenantRow
    await tell(tx, made, 1)
    return made
  } catch (error) {
    if ((error as { code?: string }).code === UNIQUE_VIOLATION) throw new AppError('conflict', 'A tenant with this slug exists.', { cause: error })
    throw error
  }
}

export async function changeTenant(tx: Tx, id: string, patch: Partial<Pick<TenantRow, 'name' | 'defaultCountry' | 'limits' | 'status'>>): Promise<TenantRow> {
  const before = await readTenant(tx, id)
  if (!before) throw new AppError('not_found', 'No such tenant.')
  const { name, defaultCountry, limits, status } = { ...before, ...patch }
  const { rows } = await tx.query<TenantRow & { version: number }>(
    `UPDATE tenant SET name = $2, default_country = $3, limits = $4, status = $5, version = version + 1 WHERE id = $1 RETURNING ${COLUMNS}, version`,
    [id, name, defaultCountry, limits, status],
  )
  const { version, ...after } = rows[0] as TenantRow & { version: number }
  await tell(tx, after, version)
  return after
}

/** Makes the demo tenant unless it is there, and gives it these limits. */
export async function ensureDemoTenant(db: Database, limits: TenantLimits): Promise<void> {
  await db.tenant(DEMO_TENANT.id, async (tx) => {
    await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('demo tenant', 0))`) // several pods start at once
    const there = await readTenant(tx, DEMO_TENANT.id)
    if (!there) await createTenant(tx, { ...DEMO_TENANT, limits })
    else await tx.query('UPDATE tenant SET limits = $2 WHERE id = $1 AND limits <> $2::jsonb', [DEMO_TENANT.id, limits])
  })
}

/** All that a tenant's first key may do. */
export const allTenantScopes: readonly string[] = tenantScopes

async function tell(tx: Tx, { id, slug, defaultCountry, status }: TenantRow, version: number): Promise<void> {
  await publish(tx, {
    topic: topics.tenantChanged,
    tenantId: id,
    key: publicId('tenant', id),
    message: { tenantId: publicId('tenant', id), slug, defaultCountry: defaultCountry ?? '', status },
    version,
  })
}
