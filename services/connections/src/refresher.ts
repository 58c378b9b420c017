/**
 * One renewal at a time of one credential, whatever the number of callers and processes (S-7, F15).
 *
 * In one process callers share one attempt; between processes a lock that dies with its holder's connection lets one in.
 * Whoever gets in reads again, because someone may have done it meanwhile; writes that it begins; calls; and stores what it
 * got only if the credential still has the version it read. Who waited 12 s in vain uses what is stored.
 *
 * After a crash between the platform's answer and our commit the stored token is tried once more: some platforms allow a short
 * grace, others take the reuse for theft and end the whole grant. A refused grant ends the connection at once, never a loop.
 */
import type { Database } from '@audience-sync/db/database'
import type { ConnectAdapter, Credential } from '@audience-sync/destination-kit/connect-contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import type { PlatformAnswer } from '@audience-sync/errors/app-error'
import type { Logger } from '@audience-sync/service/log'
import { sql } from 'drizzle-orm'
import { alone, type LockSession } from './advisory-lock.ts'
import { isConsentInUse, lockConnection, setStatus, withPlatform } from './connection-rows.ts'
import { type CredentialRow, type CredentialState, casCredential, readCredential } from './credential-rows.ts'
import type { CredentialVault } from './credential-vault.ts'

/** `due`: it is time. `refused`: the platform said no to the credential of this version. */
export type Cause = { readonly why: 'due' } | { readonly why: 'refused'; readonly version: number; readonly platform?: PlatformAnswer | undefined }

/**
 * `fresh`: use what is stored (renewed by us or by another, or nothing to do). `ended`: the user must connect again.
 * `unavailable`: the platform gave no usable answer. `busy`: another process is at it. `gone`: no such credential any more.
 */
export type Renewal = 'fresh' | 'ended' | 'unavailable' | 'busy' | 'gone'

export interface Refresher {
  renew(tenantId: string, connectionId: string, cause: Cause): Promise<Renewal>
}

const WAIT_MS = 12_000 // longer than the 10 s that a call may take
const JITTER_S = 30

export interface RefresherOptions {
  readonly db: Database
  readonly vault: CredentialVault
  readonly adapters: ReadonlyMap<string, ConnectAdapter>
  readonly log: Logger
  readonly random?: () => number
}

export function createRefresher({ db, vault, adapters, log, random = Math.random }: RefresherOptions): Refresher {
  const underway = new Map<string, Promise<Renewal>>()

  async function attempt(tenantId: string, connectionId: string, cause: Cause): Promise<Renewal> {
    const seal = await vault.sealer(tenantId)
    return alone(db, `refresh|${connectionId}`, WAIT_MS, async (session) => {
      const begun = await session.tenant(tenantId, async (tx) => {
        // Locked: a deletion between these two reads would give us the version that was meant to fence us off.
        const connection = await lockConnection(tx, tenantId, connectionId)
        const state = connection && (await readCredential(tx, tenantId, connectionId, random() * JITTER_S))
        if (!connection || !state) return 'gone' as const
        const verdict = judge(connection.status, state, cause)
        const { row, expired } = state
        if (verdict === 'end') return { row, expired, refusedAgain: true as const }
        if (verdict !== 'go') return verdict
        if (row.refreshStartedAt)
          log.warn({ connectionId, since: row.refreshStartedAt }, 'an earlier renewal was never recorded; the stored token is tried once')
        await casCredential(tx, row, { refreshStartedAt: sql`now()`, ...(cause.why === 'refused' && { doubtedAt: sql`now()` }) })
        return { row, expired, tokens: await vault.open(tx, row), adapter: adapters.get(connection.destination) }
      })
      if (typeof begun === 'string') return begun
      if ('refusedAgain' in begun) return end(session, begun.row, cause.why === 'refused' ? cause.platform : undefined)
      const { row, expired, tokens, adapter } = begun
      if (!adapter) return 'unavailable'
      try {
        const fresh = await adapter.renew(tokens)
        if (fresh) return await store(session, row, fresh, seal(connectionId, fresh), adapter)
        const valid = cause.why === 'refused' ? (await adapter.check(tokens.accessToken)).valid : !expired
        return valid ? await keep(session, row) : await end(session, row, undefined)
      } catch (error) {
        if (!(error instanceof DestinationError)) throw error
        if (error.failure.kind === 'auth') return end(session, row, error.failure.platform)
        log.warn({ err: error, connectionId, kind: error.failure.kind }, 'a renewal got no usable answer')
        // Whether it was done is unknown unless the platform was surely not reached: then the mark of a begun renewal stays.
        const surelyNot = error.failure.kind !== 'unknown'
        await session.tenant(tenantId, (tx) => casCredential(tx, row, { refreshFailedAt: sql`now()`, ...(surelyNot && { refreshStartedAt: null }) }))
        return 'unavailable'
      }
    })
  }

  async function store(
    session: LockSession,
    row: CredentialRow,
    { kind, expiresAt, renewAt, accessToken }: Credential,
    sealed: { accessToken: string; refreshToken: string | null },
    adapter: ConnectAdapter,
  ): Promise<Renewal> {
    const stored = await session.tenant(row.tenantId, async (tx) =>
      casCredential(tx, row, { ...sealed, kind, expiresAt, renewAt, version: row.version + 1, refreshStartedAt: null, refreshFailedAt: null }),
    )
    if (stored) return 'fresh'
    // Deleted or connected anew meanwhile: nobody will ever use this one. Where it was connected anew, revoking would end that as well.
    const inUse = await session.tenant(row.tenantId, (tx) => isConsentInUse(tx, row.tenantId, row.connectionId))
    if (inUse) return 'gone'
    await adapter
      .revoke(accessToken)
      .catch((error: Error) => log.warn({ err: error, connectionId: row.connectionId }, 'a superseded token could not be revoked'))
    return 'gone'
  }

  /** The platform has no renewal, and the token still lives. */
  async function keep(session: LockSession, row: CredentialRow): Promise<Renewal> {
    await session.tenant(row.tenantId, (tx) => casCredential(tx, row, { refreshStartedAt: null, renewAt: null }))
    return 'fresh'
  }

  /** The grant has ended, unless the user has connected anew meanwhile. */
  async function end(session: LockSession, row: CredentialRow, platform: PlatformAnswer | undefined): Promise<Renewal> {
    const { tenantId, connectionId } = row
    return session.tenant(tenantId, async (tx) => {
      if (!(await casCredential(tx, row, { refreshStartedAt: null }))) return 'fresh'
      log.warn({ connectionId }, 'the platform takes the token no more: the user must connect again')
      const detail = withPlatform('The platform no longer takes the connection’s token.', platform)
      await setStatus(tx, tenantId, connectionId, 'expired', { code: 'connection_expired', detail })
      return 'ended'
    })
  }

  return {
    renew(tenantId, connectionId, cause) {
      const key = `${connectionId}|${cause.why === 'refused' ? cause.version : 'due'}`
      const shared = underway.get(key) ?? attempt(tenantId, connectionId, cause).finally(() => underway.delete(key))
      underway.set(key, shared)
      return shared
    },
  }
}

/** What to do, knowing what is stored now that nobody else can change it. */
function judge(status: string, { row, due, cooling, doubted, expired }: CredentialState, cause: Cause): 'go' | 'end' | 'fresh' | 'ended' | 'unavailable' {
  if (status !== 'active') return 'ended'
  if (cause.why === 'refused') {
    if (row.version !== cause.version) return 'fresh'
    return doubted ? 'end' : 'go'
  }
  if (!due) return 'fresh'
  if (cooling) return expired ? 'unavailable' : 'fresh'
  return 'go'
}
