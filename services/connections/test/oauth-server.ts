/**
 * A strict OAuth 2 server: each refresh rotates the refresh token with zero grace, and using an old one is taken for theft and
 * revokes the whole grant. Every call is in the journal. Runs on loopback, in the test's own process.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FarAccountSeed {
  externalId: string
  termsSigned: boolean
  userTermsSigned?: boolean
  canManageAudiences: boolean
  status: 'active' | 'disabled' | 'pending' | 'closed'
}

interface Family {
  refresh: string
  access: string
  revoked: boolean
  scopes: string[]
}

export interface Call {
  readonly path: string
  readonly grant: string | null
  readonly status: number
}

export interface OAuthServer {
  readonly url: string
  readonly journal: Call[]
  accounts: FarAccountSeed[]
  /** From when on it shows nothing without a new consent. */
  accessEndsAt: Date | null
  /** Who is at the browser. */
  user: string
  /** Seconds that access tokens live. */
  expiresIn: number
  /** Before it answers a refresh. */
  beforeRefreshAnswer: () => Promise<void>
  /** Closes the connection in place of an answer to the next refreshes, after it has rotated. */
  loseAnswers: number
  /** Answers 503 to everything. */
  down: boolean
  /** What the user's browser does; answers the callback's URL. */
  consent(authorizeUrl: string, choice?: { deny?: boolean; scopes?: string[] }): string
  /** As if the user had withdrawn the consent at the platform. */
  withdraw(): void
  /** As if the user had taken back all but these. */
  narrow(scopes: string[]): void
  /** Access tokens die before their time; the grants live on. */
  expireAccessTokens(): void
  revokedFamilies(): number
  close(): Promise<void>
}

export const CLIENT = { id: 'client-1', secret: 'secret-1' }
export const SCOPES = ['audiences', 'accounts']

export async function startOAuthServer(): Promise<OAuthServer> {
  const codes = new Map<string, { redirectUri: string; scopes: string[] }>()
  const families: Family[] = []
  const used = new Map<string, Family>()
  const token = () => randomBytes(12).toString('hex')
  const byAccess = (access: string | undefined) => families.find((one) => one.access === access && !one.revoked)

  const server = createServer((request, response) => {
    void handle(request, response).catch(() => response.destroy())
  })
  const far: OAuthServer = {
    url: '',
    journal: [],
    accounts: [{ externalId: '1001', termsSigned: true, canManageAudiences: true, status: 'active' }],
    accessEndsAt: null,
    user: 'user-1',
    expiresIn: 3_600,
    beforeRefreshAnswer: async () => {},
    loseAnswers: 0,
    down: false,
    consent(authorizeUrl, { deny = false, scopes = SCOPES } = {}) {
      const asked = new URL(authorizeUrl).searchParams
      if (asked.get('client_id') !== CLIENT.id || asked.get('response_type') !== 'code') throw new Error(`The dialog refuses ${authorizeUrl}`)
      const back = new URL(asked.get('redirect_uri') ?? '')
      back.searchParams.set('state', asked.get('state') ?? '')
      if (deny) back.searchParams.set('error', 'access_denied')
      else {
        const code = token()
        codes.set(code, { redirectUri: asked.get('redirect_uri') ?? '', scopes })
        back.searchParams.set('code', code)
      }
      return back.href
    },
    withdraw() {
      for (const family of families) family.revoked = true
    },
    narrow(scopes) {
      for (const family of families) family.scopes = scopes
    },
    expireAccessTokens() {
      for (const family of families) family.access = token()
    },
    revokedFamilies: () => families.filter(({ revoked }) => revoked).length,
    close: () => new Promise((resolve) => server.close(() => resolve()) && server.closeAllConnections()),
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://far')
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const form = new URLSearchParams(Buffer.concat(chunks).toString())
    const answer = (status: number, body: unknown) => {
      far.journal.push({ path: pathname, grant: form.get('grant_type'), status })
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    if (far.down) return answer(503, { error: 'temporarily_unavailable' })
    const bearer = request.headers.authorization?.replace('Bearer ', '')
    if (pathname === '/token') {
      if (form.get('client_secret') !== CLIENT.secret) return answer(401, { error: 'invalid_client' })
      return form.get('grant_type') === 'refresh_token' ? refresh(form, answer, response) : exchange(form, answer)
    }
    const family = byAccess(bearer)
    if (pathname === '/introspect')
      return answer(200, { active: family !== undefined, scopes: family?.scopes ?? [], sub: family && far.user, access_ends_at: far.accessEndsAt })
    if (!family) return answer(401, { error: 'invalid_token' })
    if (pathname === '/revoke') {
      family.revoked = true
      return answer(200, {})
    }
    return answer(200, { accounts: far.accounts })
  }

  const issue = (family: Family) => ({ access_token: family.access, refresh_token: family.refresh, expires_in: far.expiresIn })

  function exchange(form: URLSearchParams, answer: (status: number, body: unknown) => void): void {
    const code = codes.get(form.get('code') ?? '')
    codes.delete(form.get('code') ?? '') // single use
    if (!code || code.redirectUri !== form.get('redirect_uri')) {
      answer(400, { error: 'invalid_grant' })
      return
    }
    const family = { refresh: token(), access: token(), revoked: false, scopes: code.scopes }
    families.push(family)
    answer(200, issue(family))
  }

  async function refresh(form: URLSearchParams, answer: (status: number, body: unknown) => void, response: ServerResponse): Promise<void> {
    const given = form.get('refresh_token') ?? ''
    const reused = used.get(given)
    if (reused) reused.revoked = true
    const family = families.find((one) => one.refresh === given && !one.revoked)
    if (!family) return answer(400, { error: 'invalid_grant', error_description: 'The refresh token is not valid.' })
    used.set(given, family)
    Object.assign(family, { refresh: token(), access: token() })
    await far.beforeRefreshAnswer()
    if (far.loseAnswers > 0) {
      far.loseAnswers -= 1
      far.journal.push({ path: '/token', grant: 'refresh_token', status: 0 })
      response.destroy()
      return
    }
    answer(200, issue(family))
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(far, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}
