/** The adapter against the running twin: over HTTP, with a token that came through the whole consent. */
import type { CallRecord, Context } from '@audience-sync/destination-kit/contract'
import { DestinationError, type Failure } from '@audience-sync/destination-kit/failure'
import { guardedClient } from '@audience-sync/http/client'
import { createMetaTwin, type MetaTwin } from '@audience-sync/twin-meta/twin'
import { type Call, createGraph } from '../src/client.ts'
import { createMetaConnect } from '../src/connect.ts'
import { createMetaDestination } from '../src/destination.ts'
import type { Alarm } from '../src/failure.ts'
import { type MetaSettings, MetaSettings as settingsSchema } from '../src/manifest.ts'

export const APP = { appId: '4000000000000001', appSecret: 'twin-app-secret' }
export const REDIRECT = 'http://127.0.0.1:8080/v1/oauth/meta/callback'
/** Of the twin's README «Cast»: works, terms not signed, may only look, disabled. */
export const ACCOUNTS = { works: '1000000000000001', noTerms: '1000000000000002', onlyLooks: '1000000000000003', closed: '1000000000000004' } as const

export const settings: MetaSettings = settingsSchema.parse({})

export async function withTwin(options: Partial<Parameters<typeof createMetaTwin>[0]> = {}) {
  const twin: MetaTwin = await createMetaTwin({ ...APP, port: 0, applyAfterMs: 60_000, ...options })
  const alarms: Alarm[] = []
  const onAlarm = (alarm: Alarm) => alarms.push(alarm)
  const connect = createMetaConnect({ dialogBaseUrl: twin.url, graphBaseUrl: twin.url, ...APP })
  // One host for all calls and many refusals: the breaker would open and answer in the twin's place.
  const http = guardedClient({ baseUrl: twin.url, name: 'Meta', breaker: { volume: 10_000 } })
  const destination = createMetaDestination({ baseUrl: twin.url, http, onAlarm })
  const graph = createGraph(http, onAlarm)
  const consent = (choice: { decline?: readonly string[] } = {}) =>
    new URL(twin.authorize(connect.authorizeUrl({ state: 's', redirectUri: REDIRECT }), choice)).searchParams.get('code') ?? ''
  const { accessToken } = await connect.exchange(consent(), REDIRECT)
  const calls: CallRecord[] = []

  const contextOf = (accountExternalId: string = ACCOUNTS.works, token = accessToken, callTimeoutMs = 2_000): Context => ({
    accessToken: token,
    proof: connect.proof(token),
    accountExternalId,
    signal: new AbortController().signal,
    callTimeoutMs,
    onCall: (record) => calls.push(record),
    onUsage: () => {},
    alone: (_, work) => work(),
  })
  const ctx = contextOf()
  let made = 0
  return {
    twin,
    destination,
    connect,
    consent,
    ctx,
    contextOf,
    alarms,
    calls,
    accessToken,
    /** A call that no function of the adapter would make, through its client. */
    call: (call: Partial<Call> & Pick<Call, 'method' | 'path'>, as: Context = ctx) => graph(as, { shown: null, ...call }),
    json: (method: 'POST' | 'DELETE', path: string, body: unknown, upload = false) =>
      graph(ctx, { method, path, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(body)), shown: null, upload }),
    /** An empty audience; its id. */
    async audience(more: { readonly name?: string; readonly settings?: Partial<MetaSettings>; readonly as?: Context } = {}) {
      made += 1
      const wanted = { name: more.name ?? `Audience ${made}`, description: '', marker: `m${made}`, settings: { ...settings, ...more.settings } }
      return (await destination.createAudience(more.as ?? ctx, wanted)).externalId
    },
  }
}
export type WithTwin = Awaited<ReturnType<typeof withTwin>>

/** How it was refused; throws when it was not. */
export async function refusal(work: Promise<unknown>): Promise<Failure> {
  const answer = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if (!('error' in answer)) throw new Error(`It was not refused: ${JSON.stringify(answer.value)}`)
  if (!(answer.error instanceof DestinationError)) throw answer.error
  return answer.error.failure
}
