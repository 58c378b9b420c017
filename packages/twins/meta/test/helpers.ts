import { createHash } from 'node:crypto'
import type { MetaTwinOptions } from '../src/options.ts'
import { createMetaTwin, type MetaTwin } from '../src/twin.ts'

export const APP = { appId: '4000000000000001', appSecret: 'secret' }
export const REDIRECT = 'http://127.0.0.1:8080/cb'
export const STORE = 'act_1000000000000001'
export const NO_TERMS = 'act_1000000000000002'
export const ONLY_LOOK = 'act_1000000000000003'
export const CLOSED = 'act_1000000000000004'

export const hash = (text: string) => createHash('sha256').update(text).digest('hex')
/** Waits for a condition, turn by turn of the event loop. @throws after half a minute */
export const until = async (holds: () => boolean): Promise<void> => {
  for (const end = Date.now() + 30_000; !holds(); ) {
    if (Date.now() > end) throw new Error('it never came to hold')
    await new Promise(setImmediate)
  }
}
/** The twin applies nothing by itself within a test: the clock is pushed. */
export const startTwin = (options: Partial<MetaTwinOptions> = {}) => createMetaTwin({ ...APP, port: 0, applyAfterMs: 60_000, ...options })
export const apply = (twin: MetaTwin) => twin.clock.advance(600_000)

type Json = Record<string, unknown> & { error?: { code: number; error_subcode?: number; message: string; type: string; fbtrace_id: string } }
export type Answer = { status: number; headers: Headers; body: Json }

export const dialogUrl = (twin: MetaTwin, query: Record<string, string> = {}) =>
  `${twin.url}/v26.0/dialog/oauth?${new URLSearchParams({ client_id: APP.appId, redirect_uri: REDIRECT, state: 's', response_type: 'code', scope: 'ads_management,ads_read,business_management', ...query })}`

export const exchange = async (twin: MetaTwin, code: string, query: Record<string, string> = {}): Promise<Answer> =>
  read(
    await fetch(
      `${twin.url}/v26.0/oauth/access_token?${new URLSearchParams({ client_id: APP.appId, client_secret: APP.appSecret, redirect_uri: REDIRECT, code, ...query })}`,
    ),
  )

export const login = async (twin: MetaTwin, decline: string[] = []): Promise<string> => {
  const code = new URL(twin.authorize(dialogUrl(twin), { decline })).searchParams.get('code') ?? ''
  return String((await exchange(twin, code)).body.access_token)
}

const read = async (response: Response): Promise<Answer> => ({ status: response.status, headers: response.headers, body: (await response.json()) as Json })

export type Client = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>
/** Calls with one token; paths begin after the version. */
export const client =
  (twin: MetaTwin, token: string): Client =>
  async (method, path, body, headers = {}) =>
    read(
      await fetch(`${twin.url}/v26.0/${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    )

export const newAudience = async (call: Client, more: Record<string, unknown> = {}, account = STORE): Promise<string> => {
  const { body } = await call('POST', `${account}/customaudiences`, {
    name: 'Comfort seekers',
    subtype: 'CUSTOM',
    customer_file_source: 'USER_PROVIDED_ONLY',
    ...more,
  })
  if (typeof body.id !== 'string') throw new Error(JSON.stringify(body))
  return body.id
}

export const upload = (emails: string[], session?: Record<string, unknown>) => ({
  payload: { schema: ['EMAIL'], data: emails.map((email) => [hash(email)]) },
  ...(session ? { session } : {}),
})
export const members = (twin: MetaTwin, id: string) => (twin.audience(id)?.members ?? []).map(({ EMAIL }) => EMAIL)
export const control = (twin: MetaTwin, method: string, path: string, body?: unknown) =>
  fetch(`${twin.url}/_twin/${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) })

/** What an audience says of its work. */
export const statusOf = async (call: Client, id: string) =>
  (await call('GET', `${id}?fields=operation_status,time_content_updated,approximate_count_lower_bound`)).body as {
    operation_status: { code: number }
    time_content_updated: number
  }
