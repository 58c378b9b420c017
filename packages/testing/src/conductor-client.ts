/**
 * What a user of the API does, as functions: each asks the gateway over HTTP with one tenant's key. Shapes are the callers' own
 * (`ask` answers JSON): this is what a program without our types would see.
 */
import type { Twin } from './conductor-twin.ts'
import { until } from './until.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers of an API, read by tests field by field
export type Json = any

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Json
}

export interface AskOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** In place of JSON: sent as it is. */
  readonly raw?: string | Uint8Array<ArrayBuffer>
  /** 60 s unless given. */
  readonly timeoutMs?: number
}

export interface Client {
  /** Any answer, whatever its status. */
  ask(method: string, path: string, body?: unknown, options?: AskOptions): Promise<Answer>
  /** The body of a 2xx answer; throws on any other. */
  get(path: string): Promise<Json>
  post(path: string, body?: unknown, options?: AskOptions): Promise<Json>
  put(path: string, body: unknown): Promise<Json>
}

const TIMEOUT_MS = 60_000

export function clientOf(url: string, key: string): Client {
  const ask: Client['ask'] = async (method, path, body, { headers = {}, raw, timeoutMs = TIMEOUT_MS } = {}) => {
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(content !== undefined && { body: content }),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const text = await response.text()
    const json = /[/+]json\b/.test(response.headers.get('content-type') ?? '') // one document: lines of JSON are text
    return { status: response.status, headers: response.headers, body: json && text !== '' ? JSON.parse(text) : text }
  }
  const good = async (method: string, path: string, body?: unknown, options?: AskOptions): Promise<Json> => {
    const answer = await ask(method, path, body, options)
    if (answer.status >= 300) throw new Error(`${method} ${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  return {
    ask,
    get: (path) => good('GET', path),
    post: (path, body, options) => good('POST', path, body, options),
    put: (path, body) => good('PUT', path, body),
  }
}

const KNOWN_MS = 60_000 // a new consumer group's first message takes a second, on a busy machine some ten

/** A tenant of one's own, with all scopes and no limits that a test could meet, known to whoever hears of it by an event. */
export async function newTenant(url: string, adminKey: string, slug: string): Promise<{ client: Client; id: string; key: string }> {
  const limits = { read: 10_000, write: 10_000, bulk: 10_000, importBytes: 10_000_000_000, streams: 1_000 }
  const { id, key } = await clientOf(url, adminKey).post('/v1/tenants', { slug, name: slug, limits })
  const client = clientOf(url, key)
  await until('the new tenant to be known', async () => (await client.ask('GET', '/v1/behaviors?limit=1')).status === 200, { timeoutMs: KNOWN_MS })
  return { client, id, key }
}

export interface ConnectedMeta {
  readonly connectionId: string
  /** Of each account by its id at Meta. */
  readonly accounts: ReadonlyMap<string, Json>
}

export const DEMO_ACCOUNT = '1000000000000001'

/** The whole consent: begun at the API, allowed at the platform's page, brought back by the browser, accounts selected. */
export async function connectMeta(
  client: Client,
  twin: Twin,
  selected: readonly string[] = [DEMO_ACCOUNT],
  login: 'classic' | 'business' = 'classic',
): Promise<ConnectedMeta> {
  const { id, authorizeUrl } = await client.post('/v1/connections', { destination: 'meta', login, returnUrl: 'http://127.0.0.1/done' })
  await comeBack(await twin.authorize(authorizeUrl))
  await client.put(`/v1/connections/${id}/accounts`, { selected })
  const { data } = await client.get(`/v1/connections/${id}/accounts?limit=200`)
  return { connectionId: id, accounts: new Map((data as { externalId: string }[]).map((account) => [account.externalId, account])) }
}

/** The browser: follows the platform's redirect to our callback, and answers where that sends it. */
export async function comeBack(redirectUrl: string): Promise<URL> {
  const response = await fetch(redirectUrl, { redirect: 'manual' })
  const location = response.headers.get('location')
  if (response.status !== 302 || !location) throw new Error(`The callback answered ${response.status}: ${await response.text()}`)
  return new URL(location)
}

export interface CustomerLine {
  readonly customerId: string
  readonly identifiers?: Readonly<Record<string, unknown>>
  readonly consent?: Readonly<Record<string, unknown>>
  readonly occurredAt: string
}

export interface MemberLine {
  readonly customerId: string
  readonly member: boolean
  readonly occurredAt: string
}

const ndjson = (lines: readonly object[]) => ({
  raw: lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
  headers: { 'content-type': 'application/x-ndjson' },
})

export const ingest = (client: Client, customers: readonly CustomerLine[]): Promise<Json> => client.post('/v1/customers', undefined, ndjson(customers))

export const members = (client: Client, behaviorId: string, changes: readonly MemberLine[]): Promise<Json> =>
  client.post(`/v1/behaviors/${behaviorId}/members`, undefined, ndjson(changes))

export const createBehavior = async (client: Client, key: string): Promise<string> => (await client.post('/v1/behaviors', { key, name: key })).id

/** `more` takes the place of the defaults: a manual schedule, e-mail and phone, a minimum of one person, no brake to speak of. */
export const createAudience = (client: Client, behaviorId: string, accountId: string, more: Readonly<Record<string, unknown>> = {}): Promise<Json> =>
  client.post('/v1/audiences', {
    behaviorId,
    destination: 'meta',
    accountId,
    name: `audience of ${behaviorId.slice(-6)}`,
    schedule: { frequency: 'manual' },
    minimumSize: 1,
    brake: { sharePercent: 100, minimum: 1_000_000 },
    ...more,
  })

export const refresh = (client: Client, audienceId: string, mode: 'incremental' | 'full' = 'incremental'): Promise<Json> =>
  client.post(`/v1/audiences/${audienceId}/refresh`, { mode })

export const FINISHED = ['completed', 'completed_with_rejections', 'failed', 'cancelled']

/** The run, as soon as its status is one of these. */
export const waitRun = (client: Client, runId: string, statuses: readonly string[] = FINISHED, timeoutMs = 60_000): Promise<Json> =>
  until(
    `run ${runId} to be ${statuses.join(' or ')}`,
    async () => {
      const run = await client.get(`/v1/runs/${runId}`)
      if (statuses.includes(run.status)) return run
      throw new Error(JSON.stringify(run)) // what `until` shows as last seen
    },
    { timeoutMs, everyMs: 100 },
  )
