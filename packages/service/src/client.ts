/**
 * Calls to another service of ours: a fresh token for each, JSON checked by a schema, problems thrown again as the `AppError`
 * they were. Reads are tried again when nothing was answered or the peer was not ready; writes are not, because their
 * callers know better (RELIABILITY.md S-5). The whole call, retries included, ends by its deadline.
 */
import { AppError } from '@audience-sync/errors/app-error'
import { isCode } from '@audience-sync/errors/catalogue'
import { Pool } from 'undici'
import { z } from 'zod'
import type { Logger } from './log.ts'
import type { ServiceTokens } from './tokens.ts'

const TIMEOUT_MS = 10_000 // the caller's own handler has no longer
const CONNECT_TIMEOUT_MS = 2_000 // same data centre
const RETRIES = 3
const RETRY_BASE_MS = 100
const RETRY_CAP_MS = 2_000
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024 // a page of the change feed is a few MB
const CONNECTIONS = 16

export interface CallOptions<S extends z.ZodType> {
  /** The answer's body; what does not fit is a fault of ours and answers `internal`. */
  readonly schema: S
  /** UUID. */
  readonly tenantId: string
  /** On whose behalf; the service itself unless given. */
  readonly subject?: string
  readonly requestId?: string | undefined
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly signal?: AbortSignal | undefined
  /** Total, retries included. */
  readonly timeoutMs?: number
  /** How often more; reads only, 3 unless given. */
  readonly retries?: number
}

export interface ServiceClient {
  get<S extends z.ZodType>(path: string, options: CallOptions<S>): Promise<z.output<S>>
  post<S extends z.ZodType>(path: string, body: unknown, options: CallOptions<S>): Promise<z.output<S>>
  put<S extends z.ZodType>(path: string, body: unknown, options: CallOptions<S>): Promise<z.output<S>>
  delete<S extends z.ZodType>(path: string, options: CallOptions<S>): Promise<z.output<S>>
  close(): Promise<void>
}

export interface ServiceClientOptions {
  /** The peer's name: the audience of the tokens. */
  readonly name: string
  readonly url: string
  readonly tokens: ServiceTokens
  readonly log: Logger
  readonly maxResponseBytes?: number
  readonly random?: () => number
}

const ProblemAnswer = z.object({
  code: z.string(),
  detail: z.string(),
  solution: z.string().optional(),
  platform: z.object({ code: z.string().optional(), message: z.string().optional(), requestId: z.string().optional() }).optional(),
})

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

export function serviceClient({ name, url, tokens, log, maxResponseBytes = MAX_RESPONSE_BYTES, random = Math.random }: ServiceClientOptions): ServiceClient {
  const pool = new Pool(url, { connections: CONNECTIONS, connect: { timeout: CONNECT_TIMEOUT_MS }, keepAliveTimeout: 30_000 })

  async function call<S extends z.ZodType>(method: Method, path: string, body: unknown, options: CallOptions<S>): Promise<z.output<S>> {
    const { timeoutMs = TIMEOUT_MS, retries = method === 'GET' ? RETRIES : 0 } = options
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(options.signal ? [options.signal] : [])])
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await once(method, path, body, options, signal)
      } catch (error) {
        if (attempt >= retries || signal.aborted || !(error instanceof AppError) || error.status !== 503) throw error
        log.debug({ err: error, what: name, attempt }, 'call again')
        await pause(random() * Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** attempt), signal)
      }
    }
  }

  async function once<S extends z.ZodType>(method: Method, path: string, body: unknown, options: CallOptions<S>, signal: AbortSignal): Promise<z.output<S>> {
    const { schema, tenantId, subject = tokens.name, requestId, query } = options
    const token = await tokens.sign(name, { tenantId, subject, scopes: ['internal'], requestId })
    let status: number
    let answer: unknown
    try {
      const response = await pool.request({
        method,
        path: withQuery(path, query),
        headers: { authorization: `Bearer ${token}`, accept: 'application/json', ...(body !== undefined && { 'content-type': 'application/json' }) },
        body: body === undefined ? null : JSON.stringify(body),
        signal,
      })
      status = response.statusCode
      answer = parsed(await collect(response.body, maxResponseBytes))
    } catch (cause) {
      if (cause instanceof AppError) throw cause
      if (options.signal?.aborted) throw options.signal.reason
      throw new AppError('service_unavailable', signal.aborted ? `${name} did not answer in time.` : `${name} cannot be reached.`, {
        cause,
        retryAfterMs: 1_000,
      })
    }
    if (status < 200 || status >= 300) throw problemOf(status, answer, name)
    const { success, data, error } = schema.safeParse(answer)
    if (success) return data
    throw new AppError('internal', `The answer of ${name} has another shape.`, { cause: error })
  }

  return {
    get: (path, options) => call('GET', path, undefined, options),
    post: (path, body, options) => call('POST', path, body, options),
    put: (path, body, options) => call('PUT', path, body, options),
    delete: (path, options) => call('DELETE', path, undefined, options),
    close: () => pool.destroy(),
  }
}

async function collect(body: AsyncIterable<Buffer>, atMost: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > atMost) throw new AppError('internal', `An answer is larger than ${atMost} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const parsed = (bytes: Buffer): unknown => {
  if (bytes.length === 0) return undefined
  try {
    return JSON.parse(bytes.toString())
  } catch (cause) {
    throw new AppError('internal', 'An answer is not JSON.', { cause })
  }
}

function problemOf(status: number, answer: unknown, name: string): AppError {
  const { success, data } = ProblemAnswer.safeParse(answer)
  if (success && isCode(data.code)) {
    return new AppError(data.code, data.detail, {
      ...(data.solution && { solution: data.solution }),
      ...(data.platform && { platform: data.platform as { code?: string } }),
    })
  }
  return new AppError(status === 503 ? 'service_unavailable' : 'internal', `${name} answered ${status}.`)
}

function withQuery(path: string, query: CallOptions<z.ZodType>['query'] = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)] as const]))
  return given.length === 0 ? path : `${path}?${new URLSearchParams(Object.fromEntries(given))}`
}

const pause = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
