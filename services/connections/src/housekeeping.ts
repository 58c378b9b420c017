/**
 * What is due without anybody asking: deletions that the platform has not confirmed, credentials to renew (Meta: from day 45),
 * consents that nobody completed, connections that nobody looked at for a week, consents that end soon, keys that were replaced. Every pod looks; locks
 * and versions make each thing happen once.
 */
import type { Database, Tx } from '@audience-sync/db/database'
import type { Logger } from '@audience-sync/service/log'
import type { DekStore } from '@audience-sync/vault/dek-store'
import type { Checker } from './check.ts'
import { setStatus } from './connection-rows.ts'
import type { CredentialVault } from './credential-vault.ts'
import { TO_WARN, warn } from './reconnect.ts'
import type { Refresher } from './refresher.ts'
import type { Removal } from './removal.ts'
import { reseal } from './reseal.ts'

/** What a round found of each kind. */
export interface Round {
  readonly removals: number
  readonly renewals: number
  readonly abandoned: number
  readonly checked: number
  readonly warned: number
  readonly resealed: number
  /** Data keys that are now wrapped with the current key-encryption key: once it answers 0, the old one may go. */
  readonly rewrapped: number
}

export const HOUSEKEEPING_EVERY_MS = 60_000
const PER_ROUND = 50 // of each kind; the rest comes next
const ABANDONED_AFTER = '1 day'
const CHECKED_EVERY = '7 days' // a permission that is unused for 90 days has to be granted again (vendors/meta.md §3.1)

interface Due {
  readonly tenant_id: string
  readonly id: string
}

export interface HousekeepingOptions {
  readonly db: Database
  readonly deks: DekStore
  readonly vault: CredentialVault
  readonly checker: Checker
  readonly refresher: Refresher
  readonly removal: Removal
  readonly log: Logger
}

export function createHousekeeping({ db, deks, vault, checker, refresher, removal, log }: HousekeepingOptions): () => Promise<Round> {
  const find = (sql: string) =>
    db.tx(async (tx: Tx) => {
      await tx.query(`SELECT set_config('app.housekeeping', 'on', true)`)
      return (await tx.query<Due>(`${sql} LIMIT ${PER_ROUND}`)).rows
    })
  const each = async (rows: readonly Due[], what: string, work: (row: Due) => Promise<unknown>) => {
    for (const row of rows) await work(row).catch((error: Error) => log.warn({ err: error, connectionId: row.id, what }, 'housekeeping goes on'))
    return rows.length
  }

  return async () => {
    const removals = await find('SELECT tenant_id, id FROM connection WHERE deleted_at IS NOT NULL AND revoked_at IS NULL ORDER BY deleted_at')
    const renewals = await find(
      `SELECT tenant_id, connection_id AS id FROM credential WHERE (renew_at <= now() OR expires_at <= now()) AND (refresh_failed_at IS NULL OR refresh_failed_at < now() - interval '10 minutes')
         AND EXISTS (SELECT 1 FROM connection WHERE connection.tenant_id = credential.tenant_id AND connection.id = connection_id AND status = 'active' AND deleted_at IS NULL)
       ORDER BY least(renew_at, expires_at)`,
    )
    const abandoned = await find(
      `SELECT tenant_id, id FROM connection WHERE status = 'pending' AND deleted_at IS NULL AND created_at < now() - interval '${ABANDONED_AFTER}'`,
    )
    const unchecked = await find(
      `SELECT tenant_id, id FROM connection WHERE status = 'active' AND deleted_at IS NULL AND checked_at < now() - interval '${CHECKED_EVERY}' ORDER BY checked_at`,
    )
    const near = await find(TO_WARN)
    return {
      removals: await each(removals, 'removal', ({ tenant_id, id }) => removal.finish(tenant_id, id)),
      renewals: await each(renewals, 'renewal', ({ tenant_id, id }) => refresher.renew(tenant_id, id, { why: 'due' })),
      abandoned: await each(abandoned, 'abandoned', ({ tenant_id, id }) =>
        db.tenant(tenant_id, (tx) =>
          setStatus(tx, tenant_id, id, 'failed', { code: 'authorization_failed', detail: 'The consent was not completed within a day.' }),
        ),
      ),
      checked: await each(unchecked, 'check', ({ tenant_id, id }) => checker.check(tenant_id, id)),
      warned: await each(near, 'warning', ({ tenant_id, id }) => db.tenant(tenant_id, (tx) => warn(tx, tenant_id, id))),
      resealed: await reseal(db, deks, vault),
      rewrapped: await deks.rewrapAll(),
    }
  }
}
