/** Code exchange, long-lived tokens and `debug_token`: vendors/meta.md §3.2–§3.4. The dialog is in dialog.ts. */
import { GraphError, invalidParameter, tokenDead, tokenMissing } from './errors.ts'
import type { Call, Route } from './graph.ts'
import { LAPSE_MS, type Token } from './tokens.ts'
import type { World } from './world.ts'

/** What the platform says for "about 60 days". */
const LONG_LIFE_MS = 5_183_944_000

const accessToken = (call: Call) => {
  const { params, world } = call
  checkApp(call)
  const grant = params.text('grant_type') ?? 'authorization_code'
  if (grant === 'authorization_code') {
    const redirectUri = params.text('redirect_uri')
    if (redirectUri === undefined) throw new GraphError(191, 'Missing redirect_uri parameter.')
    return answer(world.tokens.exchange(world.clock.now(), params.requiredText('code'), redirectUri, params.text('code_verifier')))
  }
  // There is no refresh grant: a living token is exchanged for a longer one.
  if (grant !== 'fb_exchange_token') throw invalidParameter(`Unsupported grant_type: ${grant}`, 'grant_type')
  const token = world.tokens.alive(world.clock.now(), params.requiredText('fb_exchange_token'))
  return answer(world.tokens.issue(world.clock.now(), token, LONG_LIFE_MS))
}

const checkApp = ({ params, world: { settings } }: Call): void => {
  const id = params.text('client_id')
  if (id === undefined) throw new GraphError(101, 'Missing client_id parameter.')
  if (id !== settings.appId) throw new GraphError(101, 'Error validating application. Cannot get application info due to a system error.')
  if (params.text('client_secret') !== settings.appSecret) throw new GraphError(1, 'Error validating client secret.', { status: 400 })
}

const answer = (token: Token) => ({
  access_token: token.value,
  token_type: 'bearer',
  ...(token.expiresAt === 0 ? {} : { expires_in: (token.expiresAt - token.issuedAt) / 1000 }),
})

const debugToken = ({ params, world, bearer }: Call) => {
  const asker = bearer()
  if (asker === undefined) throw tokenMissing()
  if (asker !== `${world.settings.appId}|${world.settings.appSecret}`) throw tokenDead(undefined)
  const token = world.tokens.find(params.requiredText('input_token'))
  if (token === undefined) return { data: { error: { code: 190, message: 'Invalid OAuth access token.' }, is_valid: false, scopes: [] } }
  const valid = validity(world, token)
  return {
    data: {
      app_id: world.settings.appId,
      type: token.type,
      application: 'Demo App',
      expires_at: Math.floor(token.expiresAt / 1000),
      // Of people only; both from memory (§3.4).
      data_access_expires_at: token.type === 'USER' ? Math.floor((token.issuedAt + LAPSE_MS) / 1000) : 0,
      granular_scopes: Array.from(token.scopes, (scope) => ({ scope })),
      issued_at: Math.floor(token.issuedAt / 1000),
      ...valid,
      scopes: Array.from(token.scopes),
      user_id: token.userId,
    },
  }
}

const validity = (world: World, token: Token) => {
  try {
    world.tokens.alive(world.clock.now(), token.value)
    return { is_valid: true }
  } catch (error) {
    if (!(error instanceof GraphError)) throw error
    return { is_valid: false, error: { code: error.body.code, message: error.body.message, subcode: error.body.error_subcode } }
  }
}

const EXCHANGE_PARAMS = ['client_id', 'client_secret', 'redirect_uri', 'code', 'code_verifier', 'grant_type', 'fb_exchange_token']

export const oauthRoutes: readonly Route[] = [
  { method: 'GET', path: 'oauth/access_token', family: 'login', anonymous: true, params: EXCHANGE_PARAMS, handle: accessToken },
  { method: 'POST', path: 'oauth/access_token', family: 'login', anonymous: true, params: EXCHANGE_PARAMS, handle: accessToken },
  { method: 'GET', path: 'debug_token', family: 'login', anonymous: true, params: ['input_token'], handle: debugToken },
]
