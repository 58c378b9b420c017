/** API keys in Postgres. Every function but `findKey` runs in a transaction of the key's tenant. */
import type { ApiKey } from '@audience-sync/contracts/rest/gateway'
import type { Database, Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { NewKey } from './api-key.ts'

/** What authentication needs of a key. */
export interface StoredKey {
  readonly id: string
  readonly tenantId: string
  readonly secretSha256: Buffer
  readonly scopes: readonly string[]
  readonly expiresAt: Date
  readonly revokedAt: Date | null
}

export interface KeyRow extends StoredKey {
  readonly name: string
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

const COLUMNS = `id, tenant_id AS "tenantId", secret_sha256 AS "secretSha256", name, scopes, created_at AS "createdAt",
  expires_at AS "expiresAt", revoked_at AS "revokedAt", last_used_at AS "lastUsedAt"`

/** Looks a key up by its id whatever its tenant: the transaction names the key, and the policy `of_named_key` shows that row alone. */
export function findKey(db: Database, id: string): Promise<StoredKey | undefined> {
  return db.tx(async (tx) => {
    await tx.query(`SELECT set_config('app.key_id', $1, true)`, [id])
    return (await tx.query<StoredKey>(`SELECT ${COLUMNS} FROM api_key WHERE id = $1`, [id])).rows[0]
  })
}

export interface KeyToStore {
  readonly tenantId: string
  readonly key: NewKey
  readonly name: string
  readonly scopes: readonly string[]
  readonly lifetimeDays: number
}

export async function insertKey(tx: Tx, { tenantId, key, name, scopes, lifetimeDays }: KeyToStore): Promise<KeyRow> {
  const { rows } = await tx.query<KeyRow>(
    `INSERT INTO api_key (tenant_id, id, secret_sha256, name, scopes, expires_at)
     VALUES ($1, $2, $3, $4, $5, now() + make_interval(days => $6)) RETURNING ${COLUMNS}`,
    [tenantId, key.id, key.secretSha256, name, scopes, lifetimeDays],
  )
  return rows[0] as KeyRow
}

/** `not_found` for another tenant's key as for one that never was. */
export async function readKey(tx: Tx, id: string): Promise<KeyRow> {
  const { rows } = await tx.query<KeyRow>(`SELECT ${COLUMNS} FROM api_key WHERE id = $1 FOR UPDATE`, [id])
  return rows[0] ?? missing()
}

/** Newest first; `after` is the sort key of the last row of the page before. */
export async function listKeys(tx: Tx, limit: number, after?: readonly [createdAt: string, id: string]): Promise<KeyRow[]> {
  const { rows } = await tx.query<KeyRow>(
    `SELECT ${COLUMNS} FROM api_key WHERE $2::timestamptz IS NULL OR (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $1`,
    [limit, after?.[0] ?? null, after?.[1] ?? null],
  )
  return rows
}

export async function updateKey(tx: Tx, id: string, { name, scopes }: { name: string; scopes: readonly string[] }): Promise<KeyRow> {
  const { rows } = await tx.query<KeyRow>(`UPDATE api_key SET name = $2, scopes = $3 WHERE id = $1 RETURNING ${COLUMNS}`, [id, name, scopes])
  return rows[0] ?? missing()
}

/** Again is the same: the first revocation's time stays. */
export async function revokeKey(tx: Tx, id: string): Promise<void> {
  const { rowCount } = await tx.query('UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1', [id])
  if (!rowCount) missing()
}

/** Ends a key in so many hours, never later than it would have. */
export async function endKeyIn(tx: Tx, id: string, hours: number): Promise<void> {
  await tx.query('UPDATE api_key SET expires_at = least(expires_at, now() + make_interval(hours => $2)) WHERE id = $1', [id, hours])
}

/** To the minute: a hot key is not written with every request. */
export async function touchKey(db: Database, { id, tenantId }: StoredKey): Promise<void> {
  await db.tenant(tenantId, (tx) =>
    tx.query(`UPDATE api_key SET last_used_at = now() WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`, [id]),
  )
}

export function keyStatus({ expiresAt, revokedAt }: Pick<StoredKey, 'expiresAt' | 'revokedAt'>, now: number): ApiKey['status'] {
  if (revokedAt) return 'revoked'
  return expiresAt.getTime() <= now ? 'expired' : 'live'
}

/** As the API shows it. */
export const toApiKey = (row: KeyRow, now = Date.now()): ApiKey => ({
  id: `key_${row.id}`,
  name: row.name,
  scopes: [...row.scopes],
  status: keyStatus(row, now),
  createdAt: row.createdAt.toISOString(),
  expiresAt: row.expiresAt.toISOString(),
  revokedAt: row.revokedAt?.toISOString() ?? null,
  lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
})

function missing(): never {
  throw new AppError('not_found', 'No such API key.')
}
