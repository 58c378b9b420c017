/**
 * The data keys of one service, one current per tenant. A key is made when a tenant's first value is sealed, replaced after
 * 90 days or 2^30 uses, and destroyed with its tenant: what it sealed is then gone (crypto-shredding).
 *
 * `current` commits in a transaction of its own, because a key that a rolled-back transaction made must not stay in memory:
 * call it before you open yours. `byId` only reads.
 */
import { randomBytes } from 'node:crypto'
import { newUuid } from '@audience-sync/contracts/ids'
import type { Database, Tx } from '@audience-sync/db/database'
import { type Dek, KEY_BYTES, VaultError } from './envelope.ts'
import { type Keks, unwrap, wrap } from './keks.ts'

export interface DekStore {
  /** The key to seal with; `uses` is the number of values that will be. */
  current(tenantId: string, uses?: number): Promise<Dek>
  /** The key that sealed a value. `tx` must be one of that tenant. Throws `VaultError` when it is unknown, destroyed or retired. */
  byId(tx: Tx, tenantId: string, dekId: string): Promise<Dek>
  /** Makes a new current key; the old one only opens from now on. */
  rotate(tenantId: string): Promise<void>
  /**
   * Superseded keys may be retired once nothing is sealed with them any more, and ten minutes after they were superseded at the
   * earliest: until then another process may still seal with the one in its memory.
   */
  retire(tenantId: string, dekId: string): Promise<void>
  /** Wraps all keys with the current key-encryption key, in small steps; may be interrupted and repeated. Answers how many. */
  rewrapAll(): Promise<number>
  /** Destroys all keys of a tenant. Copies in other processes' memory end within five minutes. */
  destroy(tenantId: string): Promise<void>
}

const CACHE_MS = 5 * 60_000 // RELIABILITY.md §3.1: nobody holds a key longer
export const RETIRE_AFTER = '10 minutes' // twice the above: a clock that runs behind included
const CACHE_ENTRIES = 10_000 // tenants active at once in a process; a key is some 200 bytes
const MAX_AGE = '90 days'
const MAX_USES = 2 ** 30 // a quarter of the limit for random IVs (NIST SP 800-38D)
const USES_BLOCK = 2 ** 16 // one write of the counter per so many seals; at most this many are counted too much per process
const REWRAP_PAGE = 200

interface Row {
  readonly tenant_id: string
  readonly id: string
  readonly kek_id: string
  readonly wrapped: string
}

interface Cached {
  readonly dek: Dek
  readonly until: number
}

export function createDekStore({ db, keks, now = Date.now }: { db: Database; keks: Keks; now?: () => number }): DekStore {
  const opened = new Map<string, Cached>()
  const currents = new Map<string, Cached & { left: number }>()

  const remember = <V>(map: Map<string, V>, key: string, value: V): V => {
    map.delete(key)
    const oldest = map.size >= CACHE_ENTRIES ? map.keys().next() : undefined
    if (oldest && !oldest.done) map.delete(oldest.value)
    map.set(key, value)
    return value
  }
  const unwrapped = (row: Row): Dek => unwrap(keks, row.kek_id, row.tenant_id, row.id, row.wrapped)

  async function insertCurrent(tx: Tx, tenantId: string): Promise<void> {
    const dek = { id: `dek_${newUuid()}`, key: randomBytes(KEY_BYTES) }
    await tx.query(
      `INSERT INTO dek (tenant_id, id, kek_id, wrapped) VALUES ($1, $2, $3, $4)
       ON CONFLICT (tenant_id) WHERE superseded_at IS NULL DO NOTHING`,
      [tenantId, dek.id, keks.current.id, wrap(keks.current, tenantId, dek)],
    )
  }

  /** Reserves uses of the current key, unless it is worn out. */
  async function reserve(tx: Tx, tenantId: string, uses: number): Promise<Row | undefined> {
    const { rows } = await tx.query<Row>(
      `UPDATE dek SET uses = uses + $2
        WHERE tenant_id = $1 AND superseded_at IS NULL AND uses + $2 <= ${MAX_USES} AND created_at > now() - interval '${MAX_AGE}'
        RETURNING tenant_id, id, kek_id, wrapped`,
      [tenantId, uses],
    )
    return rows[0]
  }

  const supersede = (tx: Tx, tenantId: string) => tx.query('UPDATE dek SET superseded_at = now() WHERE tenant_id = $1 AND superseded_at IS NULL', [tenantId])

  /** Names the reason again: between `reserve` and here another process may have made a fresh key. */
  const supersedeWorn = (tx: Tx, tenantId: string, uses: number) =>
    tx.query(
      `UPDATE dek SET superseded_at = now()
        WHERE tenant_id = $1 AND superseded_at IS NULL AND (uses + $2 > ${MAX_USES} OR created_at <= now() - interval '${MAX_AGE}')`,
      [tenantId, uses],
    )

  return {
    async current(tenantId, uses = 1) {
      const cached = currents.get(tenantId)
      if (cached && cached.until > now() && cached.left >= uses) {
        cached.left -= uses
        return cached.dek
      }
      const block = Math.max(uses, USES_BLOCK)
      const row = await db.tenant(tenantId, async (tx) => {
        const live = await reserve(tx, tenantId, block)
        if (live) return live
        await supersedeWorn(tx, tenantId, block)
        await insertCurrent(tx, tenantId)
        return reserve(tx, tenantId, block)
      })
      if (!row) throw new VaultError('No data key could be made.')
      const dek = unwrapped(row)
      remember(currents, tenantId, { dek, until: now() + CACHE_MS, left: block - uses })
      return dek
    },

    async byId(tx, tenantId, dekId) {
      const key = `${tenantId}|${dekId}`
      const cached = opened.get(key)
      if (cached && cached.until > now()) return cached.dek
      const { rows } = await tx.query<Row>(
        'SELECT tenant_id, id, kek_id, wrapped FROM dek WHERE tenant_id = $1 AND id = $2 AND (retire_at IS NULL OR retire_at > now())',
        [tenantId, dekId],
      )
      if (!rows[0]) throw new VaultError('The data key is unknown, destroyed or retired.')
      return remember(opened, key, { dek: unwrapped(rows[0]), until: now() + CACHE_MS }).dek
    },

    async rotate(tenantId) {
      await db.tenant(tenantId, async (tx) => {
        await supersede(tx, tenantId)
        await insertCurrent(tx, tenantId)
      })
      currents.delete(tenantId)
    },

    async retire(tenantId, dekId) {
      await db.tenant(tenantId, (tx) =>
        tx.query('UPDATE dek SET retire_at = now() WHERE tenant_id = $1 AND id = $2 AND superseded_at < now() - $3::interval', [tenantId, dekId, RETIRE_AFTER]),
      )
      opened.delete(`${tenantId}|${dekId}`)
    },

    async rewrapAll() {
      let count = 0
      for (;;) {
        const rows = await db.tx(async (tx) => {
          await tx.query(`SELECT set_config('app.rewrap', 'on', true)`)
          const page = await tx.query<Row>(`SELECT tenant_id, id, kek_id, wrapped FROM dek WHERE kek_id <> $1 LIMIT ${REWRAP_PAGE}`, [keks.current.id])
          return page.rows
        })
        if (rows.length === 0) return count
        for (const row of rows) {
          const wrapped = wrap(keks.current, row.tenant_id, unwrapped(row))
          await db.tenant(row.tenant_id, (tx) =>
            tx.query('UPDATE dek SET kek_id = $1, wrapped = $2 WHERE tenant_id = $3 AND id = $4 AND kek_id = $5', [
              keks.current.id,
              wrapped,
              row.tenant_id,
              row.id,
              row.kek_id,
            ]),
          )
        }
        count += rows.length
      }
    },

    async destroy(tenantId) {
      await db.tenant(tenantId, (tx) => tx.query('DELETE FROM dek WHERE tenant_id = $1', [tenantId]))
      currents.delete(tenantId)
      for (const key of opened.keys()) if (key.startsWith(`${tenantId}|`)) opened.delete(key)
    },
  }
}
