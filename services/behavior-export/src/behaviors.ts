/** Behaviors: made over REST or by `behavior.changed`, found by id or key. Members are counted, never listed. */
import { newUuid, publicId, uuidOf } from '@audience-sync/contracts/ids'
import type { Behavior, BehaviorPatch, NewBehavior } from '@audience-sync/contracts/rest/behaviors'
import type { Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { announceBehavior } from './announce.ts'
import type { Tenant } from './tenants.ts'

export interface BehaviorRow {
  readonly no: number
  readonly id: string
  readonly key: string
  readonly name: string
  readonly kind: 'suggested' | 'custom'
  readonly description: string
  readonly created_at: Date
  readonly updated_at: Date
}

const COLUMNS = 'no, id, key, name, kind, description, created_at, updated_at'
const UNIQUE_VIOLATION = '23505'

export const showBehavior = (row: BehaviorRow): Behavior => ({
  id: publicId('behavior', row.id),
  key: row.key,
  name: row.name,
  kind: row.kind,
  description: row.description,
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
})

/** @throws `not_found`, for what is unknown, foreign or no id at all. */
export async function requireBehavior(tx: Tx, id: string): Promise<BehaviorRow> {
  const uuid = uuidOf('behavior', id)
  const { rows } = uuid ? await tx.query<BehaviorRow>(`SELECT ${COLUMNS} FROM behavior WHERE id = $1`, [uuid]) : { rows: [] }
  if (!rows[0]) throw new AppError('not_found', 'There is no behavior with this id.')
  return rows[0]
}

/** In the order given. @throws `behavior_unknown`, which names the first that is unknown, foreign or no id at all. */
export async function requireBehaviors(tx: Tx, ids: readonly string[]): Promise<BehaviorRow[]> {
  const { rows } = await tx.query<BehaviorRow>(`SELECT ${COLUMNS} FROM behavior WHERE id = ANY($1::uuid[])`, [ids.map((id) => uuidOf('behavior', id) ?? null)])
  const found = new Map(rows.map((row) => [publicId('behavior', row.id), row]))
  return ids.map((id) => {
    const row = found.get(id)
    if (!row) throw new AppError('behavior_unknown', `There is no behavior ${id}.`)
    return row
  })
}

/** Numbers of behaviors as events name them, `id:<uuid>` or `key:<key>`; unknown ones are left out. */
export async function findBehaviorNumbers(tx: Tx, tenant: Tenant, references: readonly string[]): Promise<Map<string, number>> {
  const named = (prefix: string) => references.flatMap((reference) => (reference.startsWith(prefix) ? [reference.slice(prefix.length)] : []))
  const { rows } = await tx.query<{ no: number; id: string; key: string }>(
    'SELECT no, id, key FROM behavior WHERE tenant_no = $1 AND (id = ANY($2::uuid[]) OR key = ANY($3::text[]))',
    [tenant.no, named('id:'), named('key:')],
  )
  return new Map(
    rows.flatMap(({ no, id, key }): [string, number][] => [
      [`id:${id}`, no],
      [`key:${key}`, no],
    ]),
  )
}

/** Newest first; `before` is the id of the last one of the page before. */
export async function listBehaviors(tx: Tx, tenant: Tenant, before: string | undefined, limit: number): Promise<BehaviorRow[]> {
  const { rows } = await tx.query<BehaviorRow>(
    `SELECT ${COLUMNS} FROM behavior WHERE tenant_no = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`,
    [tenant.no, before ?? null, limit],
  )
  return rows
}

/** @throws `behavior_key_taken` */
export async function createBehavior(tx: Tx, tenant: Tenant, { key, name, kind, description }: NewBehavior): Promise<BehaviorRow> {
  const row = await one(
    tx,
    key,
    `INSERT INTO behavior (tenant_no, id, key, name, kind, description, occurred_at) VALUES ($1, $2, $3, $4, $5, $6, now()) RETURNING ${COLUMNS}`,
    [tenant.no, newUuid(), key, name, kind, description],
  )
  await announceBehavior(tx, tenant.id, row)
  return row
}

/** @throws `behavior_key_taken` */
export async function changeBehavior(tx: Tx, tenantId: string, before: BehaviorRow, { key, name, kind, description }: BehaviorPatch): Promise<BehaviorRow> {
  const row = await one(
    tx,
    key ?? '',
    `UPDATE behavior SET key = coalesce($2, key), name = coalesce($3, name), kind = coalesce($4, kind), description = coalesce($5, description), occurred_at = now(), updated_at = now()
     WHERE no = $1 RETURNING ${COLUMNS}`,
    [before.no, key ?? null, name ?? null, kind ?? null, description ?? null],
  )
  await announceBehavior(tx, tenantId, row, before)
  return row
}

async function one(tx: Tx, key: string, sql: string, values: readonly unknown[]): Promise<BehaviorRow> {
  const { rows } = await keyed(key, () => tx.query<BehaviorRow>(sql, [...values]))
  return rows[0] as BehaviorRow
}

async function keyed<T>(key: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    if ((error as { code?: string }).code === UNIQUE_VIOLATION)
      throw new AppError('behavior_key_taken', `Another behavior has the key ${key}.`, { cause: error })
    throw error
  }
}

export interface BehaviorState {
  /** UUID that the publisher chose; undefined: it goes by the key. */
  readonly id: string | undefined
  readonly key: string
  readonly name: string
  readonly kind: 'suggested' | 'custom'
  readonly description: string
  readonly occurredAt: Date
}

/** What `behavior.changed` says; older news than stored does nothing. @throws `behavior_key_taken` */
export async function storeBehavior(tx: Tx, tenant: Tenant, { id, key, name, kind, description, occurredAt }: BehaviorState): Promise<void> {
  // By id where the publisher named one: a behavior may change its key.
  const { rows: known } = await tx.query<BehaviorRow>(`SELECT ${COLUMNS} FROM behavior WHERE tenant_no = $1 AND ${id ? 'id' : 'key'} = $2 FOR UPDATE`, [
    tenant.no,
    id ?? key,
  ])
  const { rows } = await keyed(key, () =>
    tx.query<BehaviorRow>(
      `INSERT INTO behavior AS b (tenant_no, id, key, name, kind, description, occurred_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT ${id ? '(tenant_no, id)' : '(tenant_no, key)'} DO UPDATE SET key = excluded.key, name = excluded.name, kind = excluded.kind, description = excluded.description,
         occurred_at = excluded.occurred_at, updated_at = now() WHERE excluded.occurred_at > b.occurred_at RETURNING ${COLUMNS}`,
      [tenant.no, id ?? newUuid(), key, name, kind, description, occurredAt],
    ),
  )
  if (rows[0]) await announceBehavior(tx, tenant.id, rows[0], known[0])
}

/** Counts up to all of them: shown to people, and asked when an audience is made. */
export async function countMembers(tx: Tx, no: number): Promise<number> {
  const { rows } = await tx.query<{ count: number }>('SELECT count(*)::int AS count FROM membership WHERE behavior_no = $1 AND member', [no])
  return rows[0]?.count ?? 0
}
