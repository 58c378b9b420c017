/**
 * How a tenant lets us speak for them at Meta (vendors/meta.md §3): dialog → code → token → its checks → its ad accounts.
 *
 * Meta knows no PKCE and no refresh token. A person's token lives an hour or two and is at once exchanged for one of about
 * 60 days, which is exchanged again from day 45; a system user's token, which Facebook Login for Business gives, needs no second step.
 */
import { createHmac } from 'node:crypto'
import type { AuthorizeOptions, ConnectAdapter, Credential, CredentialCheck, FarAccount } from '@audience-sync/destination-kit/connect-contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import { guardedClient } from '@audience-sync/http/client'
import { HttpFailure } from '@audience-sync/http/failure'
import { type Http, required } from './client.ts'
import { type Alarm, failureOf, failureOfSilence } from './failure.ts'
import { farAccount, farAccountFields } from './far-account.ts'
import { isRecord, listOf, nextPage, numberOf, textOf } from './json.ts'
import { readSignedRequest } from './signed-request.ts'
import { currentVersion } from './versions.ts'

export interface MetaConnectOptions {
  /** `https://www.facebook.com`: where people see the dialog. */
  readonly dialogBaseUrl: string
  /** `https://graph.facebook.com`. */
  readonly graphBaseUrl: string
  readonly apiVersion?: string
  readonly appId: string
  readonly appSecret: string
  /** A configuration of Facebook Login for Business: then that is the usual dialog, and the classic one, which asks for scopes, can be had. */
  readonly configId?: string | undefined
  readonly http?: Http
  readonly onAlarm?: (alarm: Alarm) => void
}

/** What the classic dialog asks for; all but the first may be declined. */
const classicScopes = ['ads_management', 'ads_read', 'business_management']
const requiredScopes = ['ads_management']
/** A token of 60 days is renewed from day 45. */
const renewAfterShare = 45 / 60
/** The callback waits for several calls. */
const callTimeoutMs = 15_000
/** "limit=20 with paging"; 25 accounts a person, more for a system user. */
const accountsPage = '20'
const mostAccountPages = 50

type Query = Readonly<Record<string, string>>

interface TokenInfo {
  readonly valid: boolean
  /** `USER`, `SYSTEM_USER`, … */
  readonly type: string
  readonly userId: string | null
  readonly scopes: readonly string[]
  readonly expiresAt: Date | null
  readonly accessEndsAt: Date | null
}

/** Unix seconds; 0 and nothing say never. */
const dateOf = (seconds: unknown): Date | null => {
  const at = numberOf(seconds) ?? 0
  return at > 0 ? new Date(at * 1_000) : null
}

export function createMetaConnect({
  dialogBaseUrl,
  graphBaseUrl,
  apiVersion = currentVersion,
  appId,
  appSecret,
  configId,
  http = guardedClient({ baseUrl: graphBaseUrl, name: 'Meta' }),
  onAlarm = () => {},
}: MetaConnectOptions): ConnectAdapter {
  const logins = configId === undefined ? ['classic'] : ['business', 'classic']
  const proof = (accessToken: string): string => createHmac('sha256', appSecret).update(accessToken).digest('hex')

  /** A call in the name of `accessToken`, or, without one, of the app. */
  async function graph(method: 'GET' | 'DELETE', path: string, query: Query, accessToken = ''): Promise<Record<string, unknown>> {
    const asUser = accessToken !== ''
    try {
      const answer = await http.request({
        method,
        path: `/${apiVersion}${path}`,
        query: { ...query, ...(asUser && { appsecret_proof: proof(accessToken) }) },
        headers: asUser ? { authorization: `Bearer ${accessToken}` } : {},
        timeoutMs: callTimeoutMs,
        key: `connect:${appId}`,
      })
      const failure = failureOf(answer, { upload: false, accountExternalId: '', accessToken }, onAlarm)
      if (failure) throw new DestinationError(failure)
      return answer.json() as Record<string, unknown>
    } catch (error) {
      throw error instanceof HttpFailure ? new DestinationError(failureOfSilence(error), error) : error
    }
  }

  async function inspect(accessToken: string): Promise<TokenInfo> {
    // The app's own token holds its secret: in a header, never in an address.
    const { data } = await graph('GET', '/debug_token', { input_token: accessToken }, `${appId}|${appSecret}`)
    const info = required(isRecord(data) ? data : undefined, 'data')
    return {
      // A token of another app would work until its owner looks: whoever sends us one did not come through our dialog.
      valid: info.is_valid === true && String(info.app_id) === appId,
      type: textOf(info.type) ?? 'USER',
      userId: textOf(info.user_id) ?? (numberOf(info.user_id) === undefined ? null : String(info.user_id)),
      scopes: listOf(info.scopes).map(String),
      expiresAt: dateOf(info.expires_at),
      accessEndsAt: dateOf(info.data_access_expires_at),
    }
  }

  /** Whose system user it is; Meta tells it of tokens that Facebook Login for Business made. */
  async function businessOf(accessToken: string): Promise<string | null> {
    try {
      const body = await graph('GET', '/me', { fields: 'client_business_id' }, accessToken)
      return textOf(body.client_business_id) ?? null
    } catch (error) {
      // Only shown: other system users have no such field.
      if (error instanceof DestinationError && error.failure.kind !== 'auth') return null
      throw error
    }
  }

  const tokenOf = (body: Record<string, unknown>): string => required(textOf(body.access_token), 'an access token')
  const lifeOf = (body: Record<string, unknown>): Date | null => {
    const seconds = numberOf(body.expires_in) ?? 0
    return seconds > 0 ? new Date(Date.now() + seconds * 1_000) : null
  }

  async function longLived(accessToken: string): Promise<Credential> {
    const body = await graph('GET', '/oauth/access_token', {
      grant_type: 'fb_exchange_token',
      client_id: appId,
      client_secret: appSecret,
      fb_exchange_token: accessToken,
    })
    const token = tokenOf(body)
    const expiresAt = lifeOf(body) ?? (await inspect(token)).expiresAt
    const renewAt = expiresAt && new Date(Date.now() + (expiresAt.getTime() - Date.now()) * renewAfterShare)
    return { accessToken: token, refreshToken: null, expiresAt, renewAt, kind: 'USER' }
  }

  /** Scopes that the person did grant: the classic dialog lets them decline any. */
  async function grantedScopes(accessToken: string): Promise<readonly string[]> {
    const { data } = await graph('GET', '/me/permissions', {}, accessToken)
    return listOf(data)
      .filter(isRecord)
      .filter(({ status }) => status === 'granted')
      .flatMap(({ permission }) => textOf(permission) ?? [])
  }

  return {
    destination: 'meta',
    requiredScopes,
    proof,

    logins,

    authorizeUrl({ state, redirectUri, login = logins[0] }: AuthorizeOptions): string {
      const url = new URL(`${dialogBaseUrl}/${apiVersion}/dialog/oauth`)
      const asked: Query =
        configId === undefined || login === 'classic'
          ? { scope: classicScopes.join(',') }
          : // Without the override the configuration's own response type wins, and the code never reaches the server.
            { config_id: configId, override_default_response_type: 'true' }
      for (const [name, value] of Object.entries({ client_id: appId, redirect_uri: redirectUri, state, response_type: 'code', ...asked })) {
        url.searchParams.set(name, value)
      }
      return url.href
    },

    async exchange(code: string, redirectUri: string): Promise<Credential> {
      const body = await graph('GET', '/oauth/access_token', { client_id: appId, client_secret: appSecret, redirect_uri: redirectUri, code })
      const accessToken = tokenOf(body)
      const { type, expiresAt } = await inspect(accessToken)
      if (type === 'USER') return longLived(accessToken)
      return { accessToken, refreshToken: null, expiresAt, renewAt: null, kind: type }
    },

    /** null for a system user's token: an administrator makes a new one. A dead token cannot be renewed: `auth`. */
    async renew({ accessToken }): Promise<Credential | null> {
      const { type } = await inspect(accessToken)
      return type === 'USER' ? longLived(accessToken) : null
    },

    async check(accessToken: string): Promise<CredentialCheck> {
      const info = await inspect(accessToken)
      const granted = info.valid && info.type === 'USER' ? await grantedScopes(accessToken) : info.scopes
      return {
        valid: info.valid,
        subject: info.userId,
        grantedScopes: granted,
        missingScopes: requiredScopes.filter((scope) => !granted.includes(scope)),
        expiresAt: info.expiresAt,
        accessEndsAt: info.accessEndsAt,
        businessId: info.valid && info.type === 'SYSTEM_USER' ? await businessOf(accessToken) : null,
      }
    },

    async accounts(accessToken: string): Promise<readonly FarAccount[]> {
      const found: FarAccount[] = []
      let after: string | undefined
      for (let page = 0; page < mostAccountPages; page++) {
        const query = { fields: farAccountFields, limit: accountsPage, ...(after !== undefined && { after }) }
        const { data, paging } = await graph('GET', '/me/adaccounts', query, accessToken)
        found.push(...listOf(data).filter(isRecord).flatMap(farAccount))
        after = nextPage(paging)
        if (after === undefined) break
      }
      return found
    },

    notice: ({ signed_request }) => (signed_request === undefined ? null : readSignedRequest(signed_request, appSecret)),

    /** A token that is dead already is revoked as well. */
    async revoke(accessToken: string): Promise<void> {
      try {
        await graph('DELETE', '/me/permissions', {}, accessToken)
      } catch (error) {
        if (!(error instanceof DestinationError) || error.failure.kind !== 'auth') throw error
      }
    },
  }
}
