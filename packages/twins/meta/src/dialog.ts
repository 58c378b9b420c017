/**
 * The login dialog: vendors/meta.md §3.1, one page with an Allow and a Deny button instead of the platform's many. Two ways in: `scope`, where a
 * person may decline any part, or a configuration of Facebook Login for Business, which is granted as a whole or not at all.
 */
import type { LoginConfiguration } from './options.ts'
import type { Grant } from './tokens.ts'
import type { World } from './world.ts'

const PERSON_ID = '3000000000000001'
const SYSTEM_USER_ID = '3000000000000002'
/** A short user token lives one to two hours (§3.3). */
const SHORT_LIFE_MS = 5_400_000
const SCOPES = ['public_profile', 'email', 'ads_management', 'ads_read', 'business_management', 'pages_read_engagement', 'pages_show_list']
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]'])

/** Shown to the person as a page, since nobody may be redirected to an address that was not checked. */
export class DialogError extends Error {}

export type Dialog = {
  redirectUri: string
  state: string
  scopes: readonly string[]
  configuration: LoginConfiguration | undefined
  codeFlow: boolean
  challenge: string | undefined
}

/** @throws DialogError for an app, address, scope or combination that the platform would show an error page for */
export const readDialog = ({ settings }: World, query: URLSearchParams): Dialog => {
  const given = (name: string) => {
    const value = query.get(name)
    if (value === null || value === '') throw new DialogError(`The parameter ${name} is required`)
    return value
  }
  if (given('client_id') !== settings.appId) throw new DialogError('Invalid App ID')
  const redirectUri = given('redirect_uri')
  if (!isAllowed(redirectUri, settings.redirectUris)) throw new DialogError('URL blocked: the redirect URI is not on the list of this app')
  const state = given('state')
  const codeFlow = (query.get('response_type') ?? 'code') === 'code'
  if (query.has('code_challenge') && query.get('code_challenge_method') !== 'S256') throw new DialogError('code_challenge_method must be S256')
  const common = { redirectUri, state, challenge: query.get('code_challenge') ?? undefined }

  const configId = query.get('config_id')
  if (configId === null) {
    if (!codeFlow) throw new DialogError('Only response_type=code is allowed here')
    const scopes = given('scope').split(/[ ,]+/)
    const unknown = scopes.filter((scope) => !SCOPES.includes(scope))
    if (unknown.length > 0) throw new DialogError(`Invalid Scopes: ${unknown.join(', ')}`)
    return { ...common, scopes, configuration: undefined, codeFlow }
  }
  const configuration = settings.configurations[configId]
  if (configuration === undefined) throw new DialogError('Unknown config_id')
  if (query.has('scope')) throw new DialogError('scope cannot be combined with config_id')
  // Without the override the configuration's own type wins, and the code never reaches the server (§3.1).
  return { ...common, scopes: configuration.scopes, configuration, codeFlow: codeFlow && query.get('override_default_response_type') === 'true' }
}

const isAllowed = (uri: string, list: readonly string[] | undefined): boolean => {
  if (list !== undefined) return list.includes(uri)
  return URL.canParse(uri) && LOOPBACK.has(new URL(uri).hostname)
}

/** Where the browser goes after the buttons. @param declined parts of a classic login that the person leaves out */
export const decide = (world: World, dialog: Dialog, decision: { allow: boolean; declined?: readonly string[] }): string => {
  const target = new URL(dialog.redirectUri)
  const declined = new Set(decision.declined ?? [])
  const asAWhole = dialog.configuration !== undefined && declined.size > 0
  if (!decision.allow || asAWhole) {
    for (const [name, value] of Object.entries({
      error: 'access_denied',
      error_code: '200',
      error_description: 'Permissions error',
      error_reason: 'user_denied',
    }))
      target.searchParams.set(name, value)
    target.searchParams.set('state', dialog.state)
    return target.href
  }
  const systemUser = dialog.configuration?.token === 'system_user'
  const business = Array.from(world.accounts.values()).find((account) => account.business !== null)?.business
  const grant: Grant = {
    userId: systemUser ? SYSTEM_USER_ID : PERSON_ID,
    type: systemUser ? 'SYSTEM_USER' : 'USER',
    scopes: new Set(['public_profile', ...dialog.scopes.filter((scope) => !declined.has(scope))]),
    declined,
    ...(systemUser && business ? { businessId: business.id } : {}),
  }
  const lifeMs = systemUser ? (dialog.configuration?.tokenLifeMs ?? 0) : SHORT_LIFE_MS
  if (!dialog.codeFlow) {
    const token = world.tokens.issue(world.clock.now(), grant, lifeMs)
    target.hash = new URLSearchParams({ access_token: token.value, state: dialog.state }).toString()
    return target.href
  }
  target.searchParams.set('code', world.tokens.createCode(world.clock.now(), grant, { redirectUri: dialog.redirectUri, lifeMs, challenge: dialog.challenge }))
  target.searchParams.set('state', dialog.state)
  return target.href
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`)
const shell = (body: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>Log in to the sandbox</title><style>body{font:16px system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}button{font:inherit;padding:.5rem 1.5rem;margin:1rem 1rem 0 0}</style>${body}`

export const errorPage = (message: string): string => shell(`<h1>This does not work</h1><p>${escapeHtml(message)}</p>`)

/** The page; its form brings the whole query back together with the button. */
export const dialogPage = (dialog: Dialog, query: URLSearchParams): string => {
  const hidden = Array.from(query, ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`).join('')
  const wanted = dialog.scopes
    .map((scope) =>
      dialog.configuration === undefined
        ? `<li><label><input type="checkbox" name="_granted" value="${escapeHtml(scope)}" checked> ${escapeHtml(scope)}</label></li>`
        : `<li>${escapeHtml(scope)}</li>`,
    )
    .join('')
  return shell(`<h1>Demo App wants to manage your ads</h1><p>This is a sandbox; no account of yours is touched.</p>
<form method="get" action="oauth/decide"><ul>${wanted}</ul>${hidden}<button name="_decision" value="allow">Allow</button><button name="_decision" value="deny">Deny</button></form>`)
}
