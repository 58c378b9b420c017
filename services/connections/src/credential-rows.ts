/** Credentials as rows. Whoever writes names the version they read: a late writer changes nothing. */
import { orm, type Tx } from '@audience-sync/db/database'
import type { Credential } from '@audience-sync/destination-kit/connect-contract'
import { and, eq, ne, sql } from 'drizzle-orm'
import type { SealedTokens } from './credential-vault.ts'
import { account, credential } from './schema.ts'

export type CredentialRow = typeof credential.$inferSelect

const REFRESH_MARGIN_S = 5 * 60 // F14: what is handed out lives at least as long as a caller may keep it
const COOLDOWN_S = 30 // after a renewal without a usable answer
const DOUBT_S = 10 * 60 // a second refusal within this is final

const EMPTIED = '' // nothing is sealed: no sealed text is empty

const of = (tenantId: string, connectionId: string) => and(eq(credential.tenantId, tenantId), eq(credential.connectionId, connectionId))

/** A credential and what the database's clock says of it. */
export interface CredentialState {
  readonly row: CredentialRow
  readonly expired: boolean
  /** Renew it now. */
  readonly due: boolean
  /** A renewal failed a moment ago. */
  readonly cooling: boolean
  /** It was refused once already, lately. */
  readonly doubted: boolean
}

/** The credential that an account is reached with. */
export async function readCredentialOfAccount(tx: Tx, tenantId: string, accountId: string): Promise<CredentialState | undefined> {
  const [owner] = await orm(tx)
    .select({ connectionId: account.connectionId })
    .from(account)
    .where(and(eq(account.tenantId, tenantId), eq(account.id, accountId)))
  return owner && readCredential(tx, tenantId, owner.connectionId)
}

/** `jitterS`: pods do not all come at the same second. */
export async function readCredential(tx: Tx, tenantId: string, connectionId: string, jitterS = 0): Promise<CredentialState | undefined> {
  const soon = sql`now() + make_interval(secs => ${REFRESH_MARGIN_S + jitterS})`
  const [found] = await orm(tx)
    .select({
      row: credential,
      expired: sql<boolean>`coalesce(${credential.expiresAt} <= now(), false)`,
      due: sql<boolean>`coalesce(${credential.expiresAt} <= ${soon}, false) OR coalesce(${credential.renewAt} <= now(), false)`,
      cooling: sql<boolean>`coalesce(${credential.refreshFailedAt} > now() - make_interval(secs => ${COOLDOWN_S}), false)`,
      doubted: sql<boolean>`coalesce(${credential.doubtedAt} > now() - make_interval(secs => ${DOUBT_S}), false)`,
    })
    .from(credential)
    .where(and(of(tenantId, connectionId), ne(credential.accessToken, EMPTIED)))
  return found
}

/** Stores what a consent was exchanged for, in place of what was there. */
export async function putCredential(
  tx: Tx,
  tenantId: string,
  connectionId: string,
  sealed: SealedTokens,
  { kind, expiresAt, renewAt }: Credential,
): Promise<void> {
  const values = { kind, expiresAt, renewAt, ...sealed, refreshStartedAt: null, refreshFailedAt: null, doubtedAt: null }
  await orm(tx)
    .insert(credential)
    .values({ tenantId, connectionId, version: 1, ...values })
    .onConflictDoUpdate({ target: [credential.tenantId, credential.connectionId], set: { ...values, version: sql`${credential.version} + 1` } })
}

/** Changes the row if it still has this version. Answers whether it had. */
export async function casCredential(
  tx: Tx,
  { tenantId, connectionId, version }: Pick<CredentialRow, 'tenantId' | 'connectionId' | 'version'>,
  set: Partial<{ [K in keyof CredentialRow]: CredentialRow[K] | ReturnType<typeof sql> }>,
): Promise<boolean> {
  const { rowCount } = await orm(tx)
    .update(credential)
    .set(set)
    .where(and(of(tenantId, connectionId), eq(credential.version, version)))
  return rowCount === 1
}

/** From now on every writer who read it earlier is late. */
export async function fenceCredential(tx: Tx, tenantId: string, connectionId: string): Promise<void> {
  await orm(tx)
    .update(credential)
    .set({ version: sql`${credential.version} + 1` })
    .where(of(tenantId, connectionId))
}

/** The tokens are gone, the count of versions goes on: whoever read them before, and comes late, changes nothing that a new consent brings. */
export async function emptyCredential(tx: Tx, tenantId: string, connectionId: string): Promise<void> {
  await orm(tx)
    .update(credential)
    .set({ accessToken: EMPTIED, refreshToken: null, expiresAt: null, renewAt: null, version: sql`${credential.version} + 1` })
    .where(of(tenantId, connectionId))
}

export async function destroyCredential(tx: Tx, tenantId: string, connectionId: string): Promise<void> {
  await orm(tx).delete(credential).where(of(tenantId, connectionId))
}
