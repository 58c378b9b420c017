/** The stand-in for Meta seen from its caller: a token for a standard account, and the people that an audience holds. */
import type { Grant } from '@audience-sync/contracts/internal/grants'
import { APP } from './engine.ts'

/** Walks the consent as a person would, by the control routes. */
export async function grantFrom(twinUrl: string): Promise<Grant> {
  const redirectUri = 'http://127.0.0.1:8080/v1/oauth/meta/callback'
  const dialog = new URL(`${twinUrl}/v26.0/dialog/oauth`)
  dialog.search = new URLSearchParams({
    client_id: APP.appId,
    redirect_uri: redirectUri,
    state: 's',
    response_type: 'code',
    scope: 'ads_management,ads_read,business_management',
  }).toString()
  const allowed = await fetch(`${twinUrl}/_twin/authorize`, { method: 'POST', body: JSON.stringify({ authorizeUrl: dialog.href }) })
  const { redirectUrl } = (await allowed.json()) as { redirectUrl: string }
  const exchange = new URL(`${twinUrl}/v26.0/oauth/access_token`)
  const code = new URL(redirectUrl).searchParams.get('code') ?? ''
  exchange.search = new URLSearchParams({ client_id: APP.appId, client_secret: APP.appSecret, redirect_uri: redirectUri, code }).toString()
  const { access_token: accessToken } = (await (await fetch(exchange)).json()) as { access_token: string }
  const { accounts } = await stateOf(twinUrl)
  return {
    connectionId: 'con_1',
    accountId: 'acc_1',
    accountExternalId: accounts[0]?.id ?? '',
    accessToken,
    expiresAt: null,
    version: 1,
    tier: 'standard_access',
    businessId: null,
  }
}

interface State {
  readonly accounts: readonly { readonly id: string }[]
  readonly audiences: readonly { readonly id: string; readonly size: number; readonly pending: number }[]
}

export const stateOf = async (twinUrl: string): Promise<State> => (await fetch(`${twinUrl}/_twin/state`)).json() as Promise<State>
