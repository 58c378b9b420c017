/**
 * Authorization URLs by @fastify/oauth2, under the rules of RELIABILITY.md §3.2: the state is our own and lives in Postgres
 * (`oauth-states.ts`), so the plugin's cookies are thrown away: callers of the API have no cookie jar, and a cookie pair can be
 * replayed. The code is exchanged by the destination's adapter: Meta takes no POST at its token endpoint and no PKCE.
 */
import type { ConnectAdapter } from '@audience-sync/destination-kit/connect-contract'
import oauth2, { type OAuth2Namespace } from '@fastify/oauth2'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** What the plugin hands to our state function in place of a request. */
interface Flow {
  readonly state: string
}

const OURS = new Set(['client_id', 'redirect_uri', 'state', 'response_type', 'scope'])
const noCookies = { setCookie: () => noCookies } as unknown as FastifyReply

export type AuthorizeUrl = (destination: string, state: string, login?: string) => Promise<string>

/** `redirectUri`: the one fixed callback of a destination, exactly as it is registered with the platform. */
export async function registerOAuth(
  app: FastifyInstance,
  adapters: ReadonlyMap<string, ConnectAdapter>,
  redirectUri: (destination: string) => string,
): Promise<AuthorizeUrl> {
  const dialogs = [...adapters].flatMap(([destination, adapter]) => (adapter.logins ?? [undefined]).map((login) => ({ destination, adapter, login })))
  for (const { destination, adapter, login } of dialogs) {
    // The adapter knows the dialog of its platform: address, client, scopes and what else it wants.
    const dialog = new URL(adapter.authorizeUrl({ state: 'state', redirectUri: redirectUri(destination), login }))
    const of = (name: string) => dialog.searchParams.get(name)
    const more = Object.fromEntries([...dialog.searchParams].filter(([name]) => !OURS.has(name)))
    const scope = of('scope')
    await app.register(oauth2, {
      name: nameOf(destination, login),
      credentials: {
        client: { id: of('client_id') ?? '', secret: '' }, // the secret stays with the adapter
        auth: { authorizeHost: dialog.origin, authorizePath: dialog.pathname, tokenHost: dialog.origin },
      },
      ...(scope && { scope: [scope] }),
      callbackUri: redirectUri(destination),
      callbackUriParams: more,
      generateStateFunction: (flow: unknown) => (flow as Flow).state,
      checkStateFunction: () => false, // never asked: the plugin exchanges nothing here
      redirectStateCookieName: `__Host-oauth-state-${destination}`,
      cookie: { secure: true, httpOnly: true, sameSite: 'lax', path: '/' },
    })
  }
  return async (destination, state, login = adapters.get(destination)?.logins?.[0]) => {
    const plugin = (app as unknown as Record<string, OAuth2Namespace | undefined>)[nameOf(destination, login)]
    if (!plugin) throw new Error(`No OAuth of ${destination} is registered.`)
    const flow: Flow = { state }
    const url = new URL(await plugin.generateAuthorizationUri(flow as unknown as FastifyRequest, noCookies))
    // Where a dialog takes no scope (Facebook Login for Business), the plugin writes `scope=undefined`.
    if (url.searchParams.get('scope') === 'undefined') url.searchParams.delete('scope')
    return url.href
  }
}

const nameOf = (destination: string, login = 'only') => `oauth_${destination}_${login}`
