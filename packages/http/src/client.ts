/**
 * The one way out to other people's servers (RELIABILITY.md F10, F12, S-8).
 *
 * One call: its key's breaker lets it through → its bytes go to the one configured host, no redirect followed, no proxy
 * taken from the environment → the answer is read up to a limit, all before a total deadline → any status is an answer.
 * What brought no answer is an `HttpFailure` that says whether the request can have been done. The client repeats nothing:
 * whether and what to repeat is the caller's plan.
 */
import type { ClientRequest } from 'node:http'
import axios, { AxiosError, type AxiosInstance } from 'axios'
import { agents, wasWritten } from './agents.ts'
import { type BreakerOptions, createBreakers } from './breakers.ts'
import { HttpFailure } from './failure.ts'

const CONNECT_TIMEOUT_MS = 5_000
const TOTAL_TIMEOUT_MS = 30_000
const MAX_RESPONSE_BYTES = 1024 * 1024
const MAX_REQUEST_BYTES = 64 * 1024 * 1024 // our own batches stay far below any platform's limit
const USER_AGENT = 'audience-sync' // axios would name itself and its version

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** From the root of the host: `/v26.0/me`. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  /** Sent as it is, byte for byte. */
  readonly body?: Buffer | undefined
  readonly signal?: AbortSignal | undefined
  /** Total, from here to the last byte of the answer. */
  readonly timeoutMs?: number
  /** Whose breaker: connection and account. Calls of one key stand and fall together. */
  readonly key: string
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The body as JSON, or undefined when it is none (an HTML page with 200, for example). */
  json(): unknown
  /** The server's own clock, from `Date`. */
  readonly date: Date | null
  readonly durationMs: number
}

export interface GuardedClient {
  /** Throws `HttpFailure` and nothing else. */
  request(request: HttpRequest): Promise<HttpAnswer>
  /** Whether calls of this key are refused at the moment. */
  isOpen(key: string): boolean
  close(): void
}

export interface GuardedClientOptions {
  /** Scheme and host, for example `https://graph.facebook.com`. No request leaves for anywhere else. */
  readonly baseUrl: string
  /** Of the peer, for messages. */
  readonly name: string
  readonly breaker?: Partial<BreakerOptions>
  readonly maxResponseBytes?: number
  readonly connectTimeoutMs?: number
}

export function guardedClient({
  baseUrl,
  name,
  breaker = {},
  maxResponseBytes = MAX_RESPONSE_BYTES,
  connectTimeoutMs = CONNECT_TIMEOUT_MS,
}: GuardedClientOptions): GuardedClient {
  const { httpAgent, httpsAgent } = agents(connectTimeoutMs)
  const http = axios.create({
    httpAgent,
    httpsAgent,
    maxRedirects: 0, // a redirect is an answer; following it would carry the credential to wherever it says
    proxy: false, // HTTP_PROXY of the environment would see everything
    maxContentLength: maxResponseBytes,
    maxBodyLength: MAX_REQUEST_BYTES,
    responseType: 'arraybuffer',
    validateStatus: () => true,
    transformRequest: (data: unknown) => data, // bytes stay the bytes that were stored
  })
  const breakers = createBreakers(name, breaker)
  const origin = new URL(baseUrl).origin
  return {
    isOpen: breakers.isOpen,
    request: (request) => breakers.run(request.key, () => call(http, origin, name, request)),
    close() {
      breakers.close()
      httpAgent.destroy()
      httpsAgent.destroy()
    },
  }
}

async function call(http: AxiosInstance, origin: string, name: string, request: HttpRequest): Promise<HttpAnswer> {
  const { method, path, headers, query = {}, body, timeoutMs = TOTAL_TIMEOUT_MS } = request
  // "host" + ".elsewhere.example" would be another host.
  if (!path.startsWith('/')) throw new HttpFailure('not_sent', 'A path begins with a slash.')
  const url = new URL(origin + path)
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value)
  const deadline = AbortSignal.timeout(timeoutMs)
  const signal = request.signal ? AbortSignal.any([deadline, request.signal]) : deadline
  const startedAt = performance.now()
  try {
    const {
      status,
      headers: answered,
      data,
    } = await http.request<Buffer>({ method, url: url.href, data: body, signal, headers: { 'user-agent': USER_AGENT, ...headers } })
    return answerOf(status, answered, data, performance.now() - startedAt)
  } catch (error) {
    if (request.signal?.aborted) throw new HttpFailure('aborted', `The call to ${name} was withdrawn.`)
    throw failureOf(name, error, deadline.aborted)
  }
}

function answerOf(status: number, headers: object, body: Buffer, durationMs: number): HttpAnswer {
  const flat = Object.fromEntries(Object.entries(headers).map(([key, value]) => [key.toLowerCase(), String(value)]))
  const date = new Date(flat.date ?? Number.NaN)
  return {
    status,
    headers: flat,
    body,
    durationMs,
    date: Number.isNaN(date.getTime()) ? null : date,
    json() {
      try {
        return JSON.parse(body.toString())
      } catch {
        return undefined
      }
    },
  }
}

function failureOf(name: string, error: unknown, late: boolean): HttpFailure {
  const { code, request } = error as { code?: string; request?: ClientRequest }
  if (!wasWritten(request)) return new HttpFailure('not_sent', `${name} cannot be reached.`, code)
  if (late) return new HttpFailure('sent', `${name} did not answer in time.`, 'ETIMEDOUT')
  if (code === AxiosError.ERR_BAD_RESPONSE) return new HttpFailure('sent', `The answer of ${name} broke off or was too large.`, code)
  return new HttpFailure('sent', `The connection to ${name} broke.`, code)
}
