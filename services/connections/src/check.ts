/** «Can we do the job?», asked of the platform now: token, permissions, terms, eligibility; each with what to do (R8). */
import { publicId } from '@audience-sync/contracts/ids'
import type { CheckItem, ConnectionCheck } from '@audience-sync/contracts/rest/connections'
import { type Database, orm } from '@audience-sync/db/database'
import type { ConnectAdapter, CredentialCheck } from '@audience-sync/destination-kit/connect-contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import { AppError } from '@audience-sync/errors/app-error'
import { type Code, catalogue, isCode } from '@audience-sync/errors/catalogue'
import { and, eq } from 'drizzle-orm'
import { type AccountRow, listAccounts } from './account-rows.ts'
import type { AccountSync } from './account-sync.ts'
import { type ConnectionRow, findConnection, lockConnection, setStatus, type Why } from './connection-rows.ts'
import { readCredential } from './credential-rows.ts'
import type { CredentialVault } from './credential-vault.ts'
import { seenIn } from './flow.ts'
import type { Refresher } from './refresher.ts'
import { connection } from './schema.ts'

export interface Checker {
  /** Throws `not_found`, or `destination_unavailable` when the platform does not answer. */
  check(tenantId: string, connectionId: string): Promise<ConnectionCheck>
}

export interface CheckerOptions {
  readonly db: Database
  readonly vault: CredentialVault
  readonly adapters: ReadonlyMap<string, ConnectAdapter>
  readonly accounts: AccountSync
  readonly refresher: Refresher
}

interface Live {
  readonly adapter: ConnectAdapter
  readonly version: number
  readonly accessToken: string
}

const MOST_ACCOUNTS = 1_000 // as many as can be selected

type Check = CheckItem['check']
const good = (check: Check, accountId: string | null = null): CheckItem => ({
  check,
  ok: true,
  accountId,
  code: null,
  title: null,
  detail: null,
  solution: null,
  link: null,
})
const bad = (check: Check, code: Code, detail: string, link: string | null = null, accountId: string | null = null): CheckItem => {
  const { title, solution } = catalogue[code]
  return { check, ok: false, accountId, code, title, detail, solution, link }
}

export function createChecker({ db, vault, adapters, accounts, refresher }: CheckerOptions): Checker {
  const read = (tenantId: string, connectionId: string) =>
    db.tenant(tenantId, async (tx) => {
      const state = await readCredential(tx, tenantId, connectionId) // first: what is deleted between the two is refused
      const row = await findConnection(tx, tenantId, connectionId)
      if (!row) throw new AppError('not_found', 'There is no such connection.')
      const adapter = adapters.get(row.destination)
      return { row, live: state && adapter && { adapter, version: state.row.version, ...(await vault.open(tx, state.row)) } }
    })

  /** Asks the platform; what it says is stored. A token that could be renewed is asked about once more. */
  async function ask(tenantId: string, connectionId: string, live: Live, again = true): Promise<CredentialCheck> {
    const answer = await live.adapter.check(live.accessToken)
    if (!answer.valid) {
      const outcome = await refresher.renew(tenantId, connectionId, { why: 'refused', version: live.version })
      const renewed = outcome === 'fresh' && again ? (await read(tenantId, connectionId)).live : undefined
      return renewed ? ask(tenantId, connectionId, renewed, false) : answer
    }
    await db.tenant(tenantId, async (tx) => {
      const row = await lockConnection(tx, tenantId, connectionId)
      if (row?.status !== 'active') return
      await orm(tx)
        .update(connection)
        .set(seenIn(answer))
        .where(and(eq(connection.tenantId, tenantId), eq(connection.id, connectionId)))
      // Taken back, or lapsed after 90 days without use (vendors/meta.md §3.1): said here, before an export meets it.
      const { missingScopes } = answer
      if (missingScopes.length > 0) await setStatus(tx, tenantId, connectionId, 'active', lacking(missingScopes))
      else if (row.statusCode === 'permission_denied') await setStatus(tx, tenantId, connectionId, 'active', null)
    })
    await accounts.refresh(tenantId, connectionId)
    return answer
  }

  return {
    async check(tenantId, connectionId) {
      const { row, live } = await read(tenantId, connectionId)
      const checks: CheckItem[] = []
      if (!live || row.status !== 'active') {
        checks.push(bad(row.statusCode === 'permission_denied' ? 'permissions' : 'token', whyNot(row), row.statusDetail ?? 'The consent was not completed.'))
      } else {
        const answer = await ask(tenantId, connectionId, live).catch((error: unknown) => {
          if (!(error instanceof DestinationError)) throw error
          throw new AppError('destination_unavailable', error.failure.message, {
            cause: error,
            ...(error.failure.platform && { platform: error.failure.platform }),
          })
        })
        checks.push(...judgeToken(answer))
        if (answer.valid) {
          const reached = await db.tenant(tenantId, (tx) => listAccounts(tx, tenantId, { connectionId }, undefined, MOST_ACCOUNTS))
          checks.push(...judgeAccounts(reached))
        }
      }
      const after = await db.tenant(tenantId, (tx) => findConnection(tx, tenantId, connectionId))
      if (!after) throw new AppError('not_found', 'There is no such connection.')
      const ok = checks.every((one) => one.ok)
      return { id: publicId('connection', connectionId), status: after.status, ok, checkedAt: new Date().toISOString(), checks }
    },
  }
}

const UNFINISHED: Partial<Record<ConnectionRow['status'], Code>> = { pending: 'authorization_pending', revoked: 'connection_revoked' }

/** Of a connection without a token that works: what its status says. */
const whyNot = ({ status, statusCode }: ConnectionRow): Code =>
  statusCode !== null && isCode(statusCode) ? statusCode : (UNFINISHED[status] ?? 'connection_expired')

const lacking = (scopes: readonly string[]): Why => ({ code: 'permission_denied', detail: `Not granted: ${scopes.join(', ')}.` })

function judgeToken({ valid, missingScopes }: CredentialCheck): CheckItem[] {
  if (!valid) return [bad('token', 'connection_expired', 'The platform no longer takes the token.')]
  if (missingScopes.length > 0) return [good('token'), bad('permissions', 'permission_denied', lacking(missingScopes).detail)]
  return [good('token'), good('permissions')]
}

/** The business's signature is needed for every call; a person's only where the platform asks for it, so exports go on without. */
const termsMissing = ({ termsSigned, externalId, business }: AccountRow): string =>
  termsSigned
    ? `The terms are signed for ${business?.name ?? externalId}, but not by the person who connected; the platform may refuse uploads.`
    : `The terms are not signed for ${externalId}${business ? `, which belongs to ${business.name}: somebody of that business has to sign` : ''}.`

/** Judges the selected accounts; before any is selected, all that could be. */
function judgeAccounts(reached: readonly AccountRow[]): CheckItem[] {
  const selected = reached.filter((one) => one.selected)
  const items = (selected.length > 0 ? selected : reached).flatMap((one) => {
    const id = publicId('account', one.id)
    const terms = one.termsSigned && one.userTermsSigned !== false ? good('terms', id) : bad('terms', 'terms_not_signed', termsMissing(one), one.termsUrl, id)
    return [terms, judgeEligibility(one, id)]
  })
  if (selected.length > 0) return items
  const detail = reached.length === 0 ? 'The connection reaches no account.' : 'No account is selected yet.'
  return [...items, bad('eligibility', 'account_not_selected', detail)]
}

function judgeEligibility(one: AccountRow, id: string): CheckItem {
  if (one.lostAt) return bad('eligibility', 'permission_denied', `The connection no longer reaches ${one.externalId}.`, null, id)
  if (one.status !== 'active') {
    const code = one.status === 'pending' ? 'platform_blocked' : 'account_inactive'
    return bad('eligibility', code, `The account ${one.externalId} is ${one.status}: ${one.statusDetail}.`, null, id)
  }
  if (!one.canManageAudiences) return bad('eligibility', 'permission_denied', `The connected user may not manage audiences of ${one.externalId}.`, null, id)
  return good('eligibility', id)
}
