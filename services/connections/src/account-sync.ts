/**
 * The accounts that a connection reaches, as the platform lists them now. Read after a consent, by a check, and when somebody
 * names an account that we do not know.
 *
 * An account keeps its id when its deleted connection is replaced by a new one, so audiences find it again; it must be
 * selected anew, because a new consent is a new decision.
 */
import { newUuid } from '@audience-sync/contracts/ids'
import type { Database, Tx } from '@audience-sync/db/database'
import type { ConnectAdapter, FarAccount } from '@audience-sync/destination-kit/connect-contract'
import { AppError } from '@audience-sync/errors/app-error'
import { announce, lockConnection } from './connection-rows.ts'
import { readCredential } from './credential-rows.ts'
import type { CredentialVault } from './credential-vault.ts'

export interface AccountSync {
  /** Throws `DestinationError` when the platform does not answer, `not_found`, or `connection_expired` where there is no credential. */
  refresh(tenantId: string, connectionId: string): Promise<void>
}

export interface AccountSyncOptions {
  readonly db: Database
  readonly vault: CredentialVault
  readonly adapters: ReadonlyMap<string, ConnectAdapter>
}

export function createAccountSync({ db, vault, adapters }: AccountSyncOptions): AccountSync {
  return {
    async refresh(tenantId, connectionId) {
      const { adapter, token, destination } = await db.tenant(tenantId, async (tx) => {
        const row = await lockConnection(tx, tenantId, connectionId)
        if (!row) throw new AppError('not_found', 'There is no such connection.')
        const state = await readCredential(tx, tenantId, connectionId)
        const known = adapters.get(row.destination)
        if (!state || !known) throw new AppError('connection_expired', 'The connection has no credential yet.')
        return { adapter: known, token: (await vault.open(tx, state.row)).accessToken, destination: row.destination }
      })
      const far = await adapter.accounts(token)
      await db.tenant(tenantId, async (tx) => {
        if (!(await lockConnection(tx, tenantId, connectionId))) return
        const before = await usable(tx, tenantId, connectionId)
        await store(tx, tenantId, connectionId, destination, far)
        await tx.query('UPDATE connection SET accounts_at = now(), checked_at = now() WHERE tenant_id = $1 AND id = $2', [tenantId, connectionId])
        if ((await usable(tx, tenantId, connectionId)) !== before) await announce(tx, tenantId, connectionId)
      })
    },
  }
}

/** What of the selected accounts others act on; equal texts mean that there is nothing to announce. */
async function usable(tx: Tx, tenantId: string, connectionId: string): Promise<string> {
  const { rows } = await tx.query(
    `SELECT id, status, terms_signed, can_manage_audiences, lost_at IS NOT NULL AS lost FROM account
      WHERE tenant_id = $1 AND connection_id = $2 AND selected ORDER BY id`,
    [tenantId, connectionId],
  )
  return JSON.stringify(rows)
}

async function store(tx: Tx, tenantId: string, connectionId: string, destination: string, far: readonly FarAccount[]): Promise<void> {
  const externalIds = far.map(({ externalId }) => externalId)
  await tx.query(
    `UPDATE account SET connection_id = $2, selected = false
      WHERE tenant_id = $1 AND id IN (
        SELECT DISTINCT ON (old.external_id) old.id FROM account old JOIN connection ON connection.tenant_id = old.tenant_id AND connection.id = old.connection_id
         WHERE old.tenant_id = $1 AND old.destination = $3 AND old.external_id = ANY($4) AND connection.deleted_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM account own WHERE own.tenant_id = $1 AND own.connection_id = $2 AND own.external_id = old.external_id)
         ORDER BY old.external_id, old.seen_at DESC)`,
    [tenantId, connectionId, destination, externalIds],
  )
  await tx.query('UPDATE account SET lost_at = now() WHERE tenant_id = $1 AND connection_id = $2 AND lost_at IS NULL AND external_id <> ALL($3)', [
    tenantId,
    connectionId,
    externalIds,
  ])
  const rows = far.map((one) => ({ ...one, id: newUuid() }))
  await tx.query(
    `INSERT INTO account (tenant_id, id, connection_id, destination, external_id, name, status, status_detail, currency, time_zone, business,
                          terms_signed, user_terms_signed, terms_url, can_manage_audiences)
     SELECT DISTINCT ON ("externalId") $1, id, $2, $3, "externalId", name, status, "statusDetail", currency, "timeZone", business, "termsSigned", "userTermsSigned", "termsUrl", "canManageAudiences"
       FROM jsonb_to_recordset($4) AS far (id uuid, "externalId" text, name text, status text, "statusDetail" text, currency text, "timeZone" text,
                                           business jsonb, "termsSigned" boolean, "userTermsSigned" boolean, "termsUrl" text, "canManageAudiences" boolean)
     ON CONFLICT (tenant_id, connection_id, external_id) DO UPDATE SET
       name = excluded.name, status = excluded.status, status_detail = excluded.status_detail, currency = excluded.currency, time_zone = excluded.time_zone,
       business = excluded.business, terms_signed = excluded.terms_signed, user_terms_signed = excluded.user_terms_signed, terms_url = excluded.terms_url,
       can_manage_audiences = excluded.can_manage_audiences, seen_at = now(), lost_at = NULL`,
    [tenantId, connectionId, destination, JSON.stringify(rows)],
  )
}
