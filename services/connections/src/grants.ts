/**
 * What connectors ask: a token to speak for an account with, and somewhere to say that the platform took it no more.
 * A grant is refused for what we know (deleted, expired, not selected, terms), never guessed; it is renewed before it is handed
 * out when less than five minutes of it are left.
 */
import { publicId } from '@audience-sync/contracts/ids'
import type { Grant, GrantReport } from '@audience-sync/contracts/internal/grants'
import type { Database } from '@audience-sync/db/database'
import type { ConnectAdapter } from '@audience-sync/destination-kit/connect-contract'
import { AppError } from '@audience-sync/errors/app-error'
import type { Logger } from '@audience-sync/service/log'
import { type AccountWithConnection, findAccount } from './account-rows.ts'
import type { AccountSync } from './account-sync.ts'
import { findConnection } from './connection-rows.ts'
import { type CredentialState, readCredential, readCredentialOfAccount } from './credential-rows.ts'
import type { CredentialVault } from './credential-vault.ts'
import type { Refresher } from './refresher.ts'

export interface Grants {
  grant(tenantId: string, accountId: string): Promise<Grant>
  /** The platform refused what we granted. Reports about an older version of the credential are old news. */
  report(tenantId: string, connectionId: string, report: GrantReport): Promise<void>
}

export interface GrantsOptions {
  readonly db: Database
  readonly vault: CredentialVault
  readonly adapters: ReadonlyMap<string, ConnectAdapter>
  readonly refresher: Refresher
  readonly accounts: AccountSync
  readonly log: Logger
}

const RETRY_MS = 30_000 // the cool-down of a failed renewal

interface Known extends AccountWithConnection {
  readonly state: CredentialState
  readonly accessToken: string
}

export function createGrants({ db, vault, adapters, refresher, accounts, log }: GrantsOptions): Grants {
  const read = (tenantId: string, accountId: string) =>
    db.tenant(tenantId, async (tx): Promise<Known> => {
      // The credential first, and then whether it may be used: a deletion between the two is seen.
      const state = await readCredentialOfAccount(tx, tenantId, accountId)
      const found = await findAccount(tx, tenantId, accountId)
      if (!found) throw new AppError('not_found', 'There is no such account.')
      refuseUnusable(found)
      if (!state) throw new AppError('connection_expired', 'The connection has no credential.')
      return { ...found, state, accessToken: (await vault.open(tx, state.row)).accessToken }
    })

  return {
    async grant(tenantId, accountId) {
      let known = await read(tenantId, accountId)
      if (known.state.due) {
        const outcome = await refresher.renew(tenantId, known.connection.id, { why: 'due' })
        known = await read(tenantId, accountId)
        if (known.state.expired)
          throw new AppError('destination_unavailable', `The connection’s token has run out and could not be renewed yet (${outcome}).`, {
            retryAfterMs: RETRY_MS,
          })
      }
      const { account, connection, state, accessToken } = known
      const proof = adapters.get(connection.destination)?.proof(accessToken)
      return {
        connectionId: publicId('connection', connection.id),
        accountId: publicId('account', account.id),
        accountExternalId: account.externalId,
        accessToken,
        ...(proof !== undefined && { proof }),
        expiresAt: state.row.expiresAt?.toISOString() ?? null,
        version: state.row.version,
        tier: account.tier,
        businessId: account.business?.id ?? null,
      }
    },

    async report(tenantId, connectionId, { version, problem, platform }) {
      const current = await db.tenant(tenantId, async (tx) => {
        if (!(await findConnection(tx, tenantId, connectionId))) return undefined
        return (await readCredential(tx, tenantId, connectionId))?.row.version
      })
      if (current !== version) return
      if (problem === 'token_dead') {
        const said = platform && {
          ...(platform.code !== undefined && { code: platform.code }),
          ...(platform.message !== undefined && { message: platform.message }),
          ...(platform.requestId !== undefined && { requestId: platform.requestId }),
        }
        await refresher.renew(tenantId, connectionId, { why: 'refused', version, platform: said })
        return
      }
      // Terms and permissions belong to accounts: ask the platform how they stand now.
      await accounts
        .refresh(tenantId, connectionId)
        .catch((error: Error) => log.warn({ err: error, connectionId, problemKind: problem }, 'the accounts could not be read again'))
    },
  }
}

function refuseUnusable({ account, connection }: AccountWithConnection): void {
  if (connection.deletedAt || connection.status === 'revoked') throw new AppError('connection_revoked', 'The account’s connection was revoked.')
  if (connection.status !== 'active') throw new AppError('connection_expired', connection.statusDetail ?? 'The account’s connection is not active.')
  if (!account.selected) throw new AppError('account_not_selected', `The account ${account.externalId} is not selected for use.`)
  if (account.lostAt) throw new AppError('permission_denied', `The connection no longer reaches the account ${account.externalId}.`)
  if (!account.termsSigned)
    throw new AppError(
      'terms_not_signed',
      `The terms are not signed for the account ${account.externalId}.${account.termsUrl ? ` Sign at ${account.termsUrl}` : ''}`,
    )
}
