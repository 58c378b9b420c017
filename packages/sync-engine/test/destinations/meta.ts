/** Meta: the real adapter against the strict twin, with the levers of the suite. */
import type { Destination } from '@audience-sync/destination-kit/contract'
import { sha256 } from '@audience-sync/destination-kit/normalise/digest'
import { createMetaDestination } from '@audience-sync/destination-meta/destination'
import { createMetaTwin, type MetaTwin } from '@audience-sync/twin-meta/twin'
import type { Side } from './side.ts'

export const APP = { appId: '4000000000000001', appSecret: 'twin-app-secret' }
const UPLOADS = '/users'

export interface MetaSide extends Side {
  readonly twin: MetaTwin
}

export async function metaSide(options: Partial<Parameters<typeof createMetaTwin>[0]> = {}, tier: string | null = 'standard_access'): Promise<MetaSide> {
  const twin = await createMetaTwin({ ...APP, port: 0, applyAfterMs: 1_000, ...options })
  const account = (Object.values(twin.state().accounts ?? {}) as { id: string }[])[0]?.id ?? ''
  let token = { accessToken: await tokenOf(twin), version: 1 }
  const next = await tokenOf(twin)
  const uploads = () => twin.journal().filter(({ path }) => path.split('?')[0]?.endsWith(UPLOADS))
  return {
    twin,
    destination: createMetaDestination({ baseUrl: twin.url }) as Destination,
    accountExternalId: account,
    grant: () => ({ ...token, tier }),
    pass: () => twin.clock.advance(5_000),
    members: () =>
      twin
        .state()
        .audiences.flatMap(({ id }: { id: string }) => twin.audience(id)?.members ?? [])
        .map((member) => (member as Record<string, string>).EMAIL ?? '')
        .filter(Boolean)
        .sort(),
    emailKey: sha256,
    uploads: () =>
      uploads().map(({ method, body }) => ({
        operation: method === 'DELETE' ? 'remove' : 'add',
        body: typeof body === 'string' ? body : JSON.stringify(body),
      })),
    audiences: () => twin.state().audiences.filter(({ deleted }) => !deleted).length,
    loseAnswers: (times) => twin.fault({ kind: 'apply_then_reset', match: { path: UPLOADS }, times }),
    throttle: () => twin.fault({ kind: 'throttle', delayMs: 60_000, match: { path: UPLOADS }, times: 1 }),
    refuse: (email) => twin.fault({ kind: 'status', match: { path: UPLOADS, body: sha256(email) }, times: 1_000, status: 400, code: 100 }),
    rotateToken() {
      token = { accessToken: next, version: 2 }
      twin.fault({ kind: 'expire_token', match: { path: UPLOADS }, times: 1 })
    },
    killToken: () => twin.fault({ kind: 'expire_token', match: { path: UPLOADS }, times: 1 }),
    close: () => twin.close(),
  }
}

/** Walks the whole consent, as a person would. */
async function tokenOf(twin: MetaTwin): Promise<string> {
  const redirectUri = 'http://127.0.0.1:8080/v1/oauth/meta/callback'
  const dialog = new URL(`${twin.url}/v26.0/dialog/oauth`)
  dialog.search = new URLSearchParams({
    client_id: APP.appId,
    redirect_uri: redirectUri,
    state: 's',
    response_type: 'code',
    scope: 'ads_management,ads_read,business_management',
  }).toString()
  const code = new URL(twin.authorize(dialog.href)).searchParams.get('code') ?? ''
  const exchange = new URL(`${twin.url}/v26.0/oauth/access_token`)
  exchange.search = new URLSearchParams({ client_id: APP.appId, client_secret: APP.appSecret, redirect_uri: redirectUri, code }).toString()
  return ((await (await fetch(exchange)).json()) as { access_token: string }).access_token
}
