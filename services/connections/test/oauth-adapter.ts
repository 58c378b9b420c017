/** The strict OAuth server as a destination. */
import { createHmac } from 'node:crypto'
import type { ConnectAdapter, Credential } from '@audience-sync/destination-kit/connect-contract'
import { DestinationError, type FailureKind } from '@audience-sync/destination-kit/failure'
import { CLIENT, type FarAccountSeed, SCOPES } from './oauth-server.ts'

const failure = (kind: FailureKind, message: string, code?: string) =>
  new DestinationError({ kind, code: kind === 'auth' ? 'connection_expired' : 'destination_unavailable', message, platform: code ? { code } : undefined })

interface Introspected {
  readonly active: boolean
  readonly scopes: string[]
  readonly sub?: string
  readonly access_ends_at: string | null
}

export const signNotice = (subject: string, issuedAt: string) => createHmac('sha256', CLIENT.secret).update(`${subject}|${issuedAt}`).digest('hex')

export function strictAdapter(url: string): ConnectAdapter {
  async function call(path: string, init: RequestInit): Promise<Record<string, unknown>> {
    const response = await fetch(url + path, { ...init, signal: AbortSignal.timeout(10_000) }).catch(() => {
      throw failure('unknown', 'No answer came.')
    })
    const body = (await response.json()) as Record<string, unknown>
    if (response.ok) return body
    if (response.status === 503) throw failure('unavailable', 'The platform is down.')
    throw failure('auth', 'Refused.', String(body.error))
  }
  const withToken = (path: string, accessToken: string) => call(path, { method: 'POST', headers: { authorization: `Bearer ${accessToken}` } })
  async function token(params: Record<string, string>): Promise<Credential> {
    const body = new URLSearchParams({ client_id: CLIENT.id, client_secret: CLIENT.secret, ...params })
    const answer = await call('/token', { method: 'POST', body })
    const expiresAt = new Date(Date.now() + Number(answer.expires_in) * 1_000)
    return { accessToken: String(answer.access_token), refreshToken: String(answer.refresh_token), expiresAt, renewAt: null, kind: 'user' }
  }

  return {
    destination: 'strict',
    requiredScopes: SCOPES,
    authorizeUrl({ state, redirectUri }) {
      const dialog = new URL('/authorize', url)
      dialog.search = String(
        new URLSearchParams({ client_id: CLIENT.id, response_type: 'code', scope: SCOPES.join(','), redirect_uri: redirectUri, state, prompt: 'consent' }),
      )
      return dialog.href
    },
    exchange: (code, redirectUri) => token({ grant_type: 'authorization_code', code, redirect_uri: redirectUri }),
    renew: ({ refreshToken }) => token({ grant_type: 'refresh_token', refresh_token: refreshToken ?? '' }),
    async check(accessToken) {
      const { active, scopes, sub, access_ends_at } = (await withToken('/introspect', accessToken)) as unknown as Introspected
      return {
        valid: active,
        subject: sub ?? null,
        grantedScopes: scopes,
        missingScopes: SCOPES.filter((one) => !scopes.includes(one)),
        expiresAt: null,
        accessEndsAt: access_ends_at ? new Date(access_ends_at) : null,
        businessId: null,
      }
    },
    async accounts(accessToken) {
      const { accounts } = (await withToken('/accounts', accessToken)) as { accounts: FarAccountSeed[] }
      return accounts.map((seed) => ({
        userTermsSigned: null,
        ...seed,
        name: `Account ${seed.externalId}`,
        statusDetail: seed.status,
        currency: 'EUR',
        timeZone: 'Europe/Berlin',
        business: { id: 'b1', name: 'Business' },
        termsUrl: `https://terms.example.com/?act=${seed.externalId}`,
      }))
    },
    revoke: async (accessToken) => void (await withToken('/revoke', accessToken)),
    proof: (accessToken) => `proof-of-${accessToken.length}`,
    notice({ subject = '', issued_at = '', signature }) {
      return signature === signNotice(subject, issued_at) ? { subject, issuedAt: issued_at ? new Date(issued_at) : null } : null
    },
  }
}
