/**
 * Deleting a connection (F19). First the fence, in one transaction: it is gone for its tenant, its accounts are not selected any
 * more, its credential has a new version, and everyone is told. From then on the only call made with it is the revocation.
 * Then the platform revokes, and the credential is destroyed. Where the platform does not answer, housekeeping goes on.
 */
import type { Database } from '@audience-sync/db/database'
import type { ConnectAdapter } from '@audience-sync/destination-kit/connect-contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import { AppError } from '@audience-sync/errors/app-error'
import type { Logger } from '@audience-sync/service/log'
import { announce, isConsentInUse, lockConnection } from './connection-rows.ts'
import { destroyCredential, fenceCredential, readCredential } from './credential-rows.ts'
import type { CredentialVault } from './credential-vault.ts'

export interface Removal {
  /** Fences, then tries to revoke. Throws `not_found`. */
  remove(tenantId: string, connectionId: string): Promise<void>
  /** The second half, again. Answers whether all is done. */
  finish(tenantId: string, connectionId: string): Promise<boolean>
}

export interface RemovalOptions {
  readonly db: Database
  readonly vault: CredentialVault
  readonly adapters: ReadonlyMap<string, ConnectAdapter>
  readonly log: Logger
}

const GIVE_UP = '7 days' // a platform that does not answer for a week: the token is destroyed here all the same

export function createRemoval({ db, vault, adapters, log }: RemovalOptions): Removal {
  const fence = (tenantId: string, connectionId: string) =>
    db.tenant(tenantId, async (tx) => {
      if (!(await lockConnection(tx, tenantId, connectionId))) throw new AppError('not_found', 'There is no such connection.')
      await tx.query(
        `UPDATE connection SET deleted_at = now(), status = 'revoked', status_code = 'connection_revoked', status_since = now() WHERE tenant_id = $1 AND id = $2`,
        [tenantId, connectionId],
      )
      await fenceCredential(tx, tenantId, connectionId)
      await tx.query('UPDATE account SET selected = false WHERE tenant_id = $1 AND connection_id = $2', [tenantId, connectionId])
      await tx.query(
        'DELETE FROM default_account USING account WHERE default_account.tenant_id = $1 AND account.tenant_id = $1 AND account.id = account_id AND connection_id = $2',
        [tenantId, connectionId],
      )
      await announce(tx, tenantId, connectionId)
    })

  /** Undefined where nothing is to be revoked at the platform. */
  const doomed = (tenantId: string, connectionId: string) =>
    db.tenant(tenantId, async (tx) => {
      const { rows } = await tx.query<{ destination: string; hopeless: boolean }>(
        `SELECT destination, deleted_at < now() - interval '${GIVE_UP}' AS hopeless
         FROM connection WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NOT NULL`,
        [tenantId, connectionId],
      )
      const state = await readCredential(tx, tenantId, connectionId)
      const adapter = adapters.get(rows[0]?.destination ?? '')
      if (!rows[0] || rows[0].hopeless || !state || !adapter || (await isConsentInUse(tx, tenantId, connectionId))) return undefined
      return { adapter, accessToken: (await vault.open(tx, state.row)).accessToken }
    })

  async function finish(tenantId: string, connectionId: string): Promise<boolean> {
    const left = await doomed(tenantId, connectionId)
    try {
      await left?.adapter.revoke(left.accessToken)
    } catch (error) {
      if (!(error instanceof DestinationError)) throw error
      const dead = error.failure.kind === 'auth' // nothing left to revoke
      if (!dead) {
        log.warn({ err: error, connectionId }, 'the platform did not revoke yet')
        return false
      }
    }
    await db.tenant(tenantId, async (tx) => {
      await destroyCredential(tx, tenantId, connectionId)
      await tx.query('UPDATE connection SET revoked_at = now() WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NOT NULL', [tenantId, connectionId])
    })
    return true
  }

  return {
    async remove(tenantId, connectionId) {
      await fence(tenantId, connectionId)
      await finish(tenantId, connectionId).catch((error: Error) => log.warn({ err: error, connectionId }, 'the revocation goes on later'))
    },
    finish,
  }
}
