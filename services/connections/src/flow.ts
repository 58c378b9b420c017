/**
 * A consent from its beginning to its end.
 *
 * Begin: a connection (pending) and a state, one transaction; the user's browser goes to the platform with the state.
 * Callback: the state is taken out of use and says whose it is → the code is exchanged → the platform is asked what was really
 * granted → the credential is sealed and stored, the connection is active → its accounts are read → the browser goes back.
 * Nothing is retried: a code works once. Whatever fails after the state was used leaves a reason at the connection, and the
 * browser is told its code. A connection that was active stays so when a reconnect is refused or fails.
 */
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { type Database, orm, type Tx } from '@audience-sync/db/database'
import type { ConnectAdapter, Credential, CredentialCheck } from '@audience-sync/destination-kit/connect-contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import { AppError } from '@audience-sync/errors/app-error'
import type { Logger } from '@audience-sync/service/log'
import { and, count, eq, isNull, sql } from 'drizzle-orm'
import type { AccountSync } from './account-sync.ts'
import { findConnection, isConsentInUse, lockConnection, setStatus, type Why, withPlatform } from './connection-rows.ts'
import { putCredential } from './credential-rows.ts'
import type { CredentialVault } from './credential-vault.ts'
import { consumeState, makeState, type UsedState } from './oauth-states.ts'
import { returnTo } from './return-url.ts'
import { connection } from './schema.ts'

export interface Callback {
  readonly state?: string | undefined
  readonly code?: string | undefined
  readonly error?: string | undefined
}

export interface Flow {
  /** Makes a pending connection. Throws `destination_unknown`, `too_many_connections`. */
  create(tx: Tx, who: { tenantId: string; userId: string }, destination: string, login?: string): Promise<string>
  /** A state for a consent of this connection, at one of the platform's dialogs; answers where the browser goes. */
  begin(who: { tenantId: string; userId: string }, connectionId: string, returnUrl: string, login?: string): Promise<{ status: string; authorizeUrl: string }>
  /** Answers where the browser goes back to. Throws `oauth_state_invalid`. */
  complete(destination: string, callback: Callback): Promise<string>
}

export interface FlowOptions {
  readonly db: Database
  readonly vault: CredentialVault
  readonly adapters: ReadonlyMap<string, ConnectAdapter>
  readonly accounts: AccountSync
  readonly authorizeUrl: (destination: string, state: string, login?: string) => Promise<string>
  readonly redirectUri: (destination: string) => string
  readonly maxConnections: number
  readonly log: Logger
}

class Refused extends Error {
  readonly why: Why
  constructor(why: Why) {
    super(why.detail)
    this.why = why
  }
}

/** What a check tells of the connection. */
export const seenIn = ({ grantedScopes, accessEndsAt, businessId }: CredentialCheck) => ({
  grantedScopes: [...grantedScopes],
  accessEndsAt,
  businessId,
  checkedAt: sql`now()`,
})

export function createFlow({ db, vault, adapters, accounts, authorizeUrl, redirectUri, maxConnections, log }: FlowOptions): Flow {
  function checkLogin(destination: string, login: string | undefined): void {
    const adapter = adapters.get(destination)
    if (!adapter) throw new AppError('destination_unknown', `There is no destination ${destination}.`)
    const { logins = [] } = adapter
    if (login === undefined || logins.includes(login)) return
    const detail = logins.length === 0 ? 'There is no choice of dialogs.' : `One of: ${logins.join(', ')}.`
    throw new AppError('validation_failed', detail, { extra: { errors: [{ in: 'body', path: 'login', message: detail }] } })
  }

  async function obtain(adapter: ConnectAdapter, used: UsedState, { code, error }: Callback): Promise<{ fresh: Credential; check: CredentialCheck }> {
    if (error === 'access_denied') throw new Refused({ code: 'authorization_denied', detail: 'The user did not allow the access.' })
    if (error !== undefined || !code) throw new Refused({ code: 'authorization_failed', detail: 'The platform came back without a code.' })
    const fresh = await adapter.exchange(code, used.redirectUri)
    const check = await adapter.check(fresh.accessToken)
    if (check.valid && check.missingScopes.length === 0) return { fresh, check }
    await dropToken(adapter, used, fresh, check).catch((cause: Error) => log.warn({ err: cause }, 'an insufficient token could not be revoked'))
    if (!check.valid) throw new Refused({ code: 'authorization_failed', detail: 'The platform calls its own fresh token invalid.' })
    throw new Refused({ code: 'permission_denied', detail: `Not granted: ${check.missingScopes.join(', ')}.` })
  }

  /** A token that nobody will use is revoked, unless a connection that works would end with it. */
  async function dropToken(adapter: ConnectAdapter, { tenantId, connectionId }: UsedState, fresh: Credential, { subject }: CredentialCheck): Promise<void> {
    const inUse = await db.tenant(tenantId, (tx) => isConsentInUse(tx, tenantId, connectionId, subject))
    if (!inUse) await adapter.revoke(fresh.accessToken)
  }

  /** The code for the browser. */
  async function fail({ tenantId, connectionId }: UsedState, error: unknown): Promise<string> {
    const why = reasonOf(error)
    if (!(error instanceof Refused)) log.warn({ err: error as Error, connectionId }, 'a consent was not completed')
    await db.tenant(tenantId, async (tx) => {
      const row = await lockConnection(tx, tenantId, connectionId)
      if (row && row.status !== 'active' && row.status !== 'expired') await setStatus(tx, tenantId, connectionId, 'failed', why)
    })
    return why.code
  }

  return {
    async create(tx, { tenantId, userId }, destination, login) {
      checkLogin(destination, login)
      const [have] = await orm(tx)
        .select({ count: count() })
        .from(connection)
        .where(and(eq(connection.tenantId, tenantId), isNull(connection.deletedAt), sql`${connection.status} <> 'failed'`))
      if ((have?.count ?? 0) >= maxConnections) throw new AppError('too_many_connections', `${maxConnections} connections are allowed.`)
      const id = newUuid()
      await orm(tx).insert(connection).values({ tenantId, id, destination, createdBy: userId })
      return id
    },

    async begin({ tenantId, userId }, connectionId, returnUrl, login) {
      const { row, state } = await db.tenant(tenantId, async (tx) => {
        const found = await findConnection(tx, tenantId, connectionId)
        if (!found) throw new AppError('not_found', 'There is no such connection.')
        checkLogin(found.destination, login)
        const { destination } = found
        return { row: found, state: await makeState(tx, { tenantId, userId, connectionId, destination, returnUrl, redirectUri: redirectUri(destination) }) }
      })
      return { status: row.status, authorizeUrl: await authorizeUrl(row.destination, state, login) }
    },

    async complete(destination, callback) {
      const adapter = adapters.get(destination)
      const used = adapter && callback.state ? await consumeState(db, destination, callback.state) : undefined
      if (!adapter || !used) throw new AppError('oauth_state_invalid', 'This consent is unknown, already completed or older than 10 minutes.')
      const { tenantId, connectionId, returnUrl } = used
      const back = (outcome: Record<string, string>) => returnTo(returnUrl, { connection: publicId('connection', connectionId), ...outcome })
      try {
        const seal = await vault.sealer(tenantId)
        const { fresh, check } = await obtain(adapter, used, callback)
        const stored = await db.tenant(tenantId, async (tx) => {
          if (!(await lockConnection(tx, tenantId, connectionId))) return false
          await putCredential(tx, tenantId, connectionId, seal(connectionId, fresh), fresh)
          await orm(tx)
            .update(connection)
            .set({ subject: check.subject, consentedAt: sql`now()`, ...seenIn(check) })
            .where(and(eq(connection.tenantId, tenantId), eq(connection.id, connectionId)))
          await setStatus(tx, tenantId, connectionId, 'active', null)
          return true
        })
        if (!stored) {
          await dropToken(adapter, used, fresh, check) // deleted while the user was at the platform
          throw new Refused({ code: 'connection_revoked', detail: 'The connection was deleted meanwhile.' })
        }
      } catch (error) {
        return back({ status: 'failed', code: await fail(used, error) })
      }
      await accounts.refresh(tenantId, connectionId).catch((error: Error) => log.warn({ err: error, connectionId }, 'the accounts are read later'))
      return back({ status: 'active' })
    },
  }
}

function reasonOf(error: unknown): Why {
  if (error instanceof Refused) return error.why
  if (!(error instanceof DestinationError)) return { code: 'internal', detail: 'The consent could not be completed.' }
  const { kind, message, platform } = error.failure
  const transient = kind === 'unavailable' || kind === 'unknown' || kind === 'throttled'
  return { code: transient ? 'destination_unavailable' : 'authorization_failed', detail: withPlatform(message, platform) }
}
