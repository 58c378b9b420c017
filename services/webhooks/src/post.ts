/**
 * One attempt over the wire. The name is resolved once, every address of it must be allowed, the connection goes to one of those
 * and is looked at again; no redirects, no connection used twice, the answer read up to a bound, everything within 20 s.
 */
import type { LookupAddress, LookupOptions } from 'node:dns'
import { lookup } from 'node:dns/promises'
import type { Socket } from 'node:net'
import { mask } from '@audience-sync/service/log-mask'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import { type AddressRules, checkUrl, isForbidden, literalAddress, refused } from './address.ts'

export interface Answer {
  /** null: there was none. */
  readonly status: number | null
  /** Why there was none. */
  readonly error: string | null
  readonly retryAfter: string | null
  /** The head of the body, fit to be shown. */
  readonly response: string
  readonly durationMs: number
}

/** All addresses of a name. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>

export interface Poster {
  /** Never throws: what goes wrong is an answer. */
  post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<Answer>
  /** Throws `webhook_url_not_allowed` when the name resolves to an address that may not be told. One that does not resolve may come to. */
  check(url: string): Promise<void>
}

export interface PosterOptions {
  readonly rules: AddressRules
  readonly resolve?: Resolve
  readonly timeoutMs?: number
}

export const TIMEOUT_MS = 20_000 // Standard Webhooks: 15 to 30 s
const CONNECT_TIMEOUT_MS = 10_000
const READ_BYTES = 16 * 1_024 // what is read of an answer; the rest is not waited for
const SHOWN_CHARACTERS = 1_024
const CLIENT = { 'content-type': 'application/json', 'user-agent': 'audience-sync-webhooks/1' }

/** A name or an address that may not be told. */
class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

const systemResolve: Resolve = (host) => lookup(host, { all: true })

export function createPoster({ rules, resolve = systemResolve, timeoutMs = TIMEOUT_MS }: PosterOptions): Poster {
  async function vetted(url: URL): Promise<readonly LookupAddress[]> {
    if (literalAddress(url) !== undefined) return [] // checked with the URL; nothing is looked up for it
    const addresses = await resolve(url.hostname.replace(/\.$/, ''))
    if (addresses.length === 0 || addresses.some(({ address }) => isForbidden(address, rules))) throw new AddressRefused('a forbidden address')
    return addresses
  }

  /** The lookup is answered from the vetted list, and whatever was connected to is checked once more. */
  function connector(addresses: readonly LookupAddress[]): buildConnector.connector {
    const pinned = (_host: string, { all }: LookupOptions, done: (error: Error | null, found: unknown, family?: number) => void) =>
      all ? done(null, [...addresses]) : done(null, addresses[0]?.address, addresses[0]?.family)
    const connect = buildConnector({ timeout: Math.min(CONNECT_TIMEOUT_MS, timeoutMs), lookup: pinned as never, keepAlive: false })
    return (options, done) =>
      connect(options, (error, socket) => {
        if (error) return done(error, null)
        const { remoteAddress = '' } = socket as Socket
        if (!isForbidden(remoteAddress, rules)) return done(null, socket as Socket)
        socket?.destroy()
        done(new AddressRefused('connected to a forbidden address'), null)
      })
  }

  async function ask(text: string, headers: Readonly<Record<string, string>>, body: string, signal: AbortSignal): Promise<Omit<Answer, 'durationMs'>> {
    const url = checkUrl(text, rules)
    // Names that take for ever to resolve count, too.
    const addresses = await Promise.race([vetted(url), aborted(signal)])
    const agent = new Agent({ connect: connector(addresses), connections: 1, pipelining: 0 })
    try {
      const answer = await agent.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: 'POST',
        headers: { ...CLIENT, ...headers },
        body,
        signal,
      } as Dispatcher.RequestOptions)
      const retryAfter = answer.headers['retry-after']
      return {
        status: answer.statusCode,
        error: null,
        retryAfter: (Array.isArray(retryAfter) ? retryAfter[0] : retryAfter) ?? null,
        response: await head(answer.body),
      }
    } finally {
      await agent.destroy().catch(() => {})
    }
  }

  return {
    async check(text) {
      const url = checkUrl(text, rules)
      await vetted(url).catch((error: unknown) => {
        if (error instanceof AddressRefused) throw refused('Its name leads to an address that is not a public one.')
      })
    },
    async post(url, headers, body) {
      const start = performance.now()
      const took = () => Math.round(performance.now() - start)
      const signal = AbortSignal.timeout(timeoutMs)
      try {
        return { ...(await ask(url, headers, body, signal)), durationMs: took() }
      } catch (error) {
        return { status: null, error: nameOf(error, signal), retryAfter: null, response: '', durationMs: took() }
      }
    },
  }
}

const aborted = (signal: AbortSignal) => new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))

/** A body that breaks off or goes on for ever says no more than its head; the status has been said. */
async function head(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      size += chunk.length
      if (size >= READ_BYTES) break
    }
  } catch {
    // What came is what is shown.
  }
  const text = Buffer.concat(chunks).subarray(0, READ_BYTES).toString('utf8')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a table or a terminal
  return mask(text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f\ufffd]/g, ' ')).slice(0, SHOWN_CHARACTERS)
}

const NAMES: Readonly<Record<string, string>> = {
  ENOTFOUND: 'name_unknown',
  EAI_AGAIN: 'name_unknown',
  ECONNREFUSED: 'connection_refused',
  ECONNRESET: 'connection_reset',
  UND_ERR_SOCKET: 'connection_reset',
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  ETIMEDOUT: 'connect_timeout',
}

/** A fixed word for what went wrong: an error's own text may hold addresses. */
function nameOf(error: unknown, signal: AbortSignal): string {
  const { code, name } = error as { code?: string; name?: string }
  if (error instanceof AddressRefused || code === 'webhook_url_not_allowed') return 'address_refused'
  if (signal.aborted) return 'timeout'
  if (code?.startsWith('ERR_TLS') || code?.includes('CERT') || code?.startsWith('ERR_SSL') || code === 'EPROTO') return 'tls_failed'
  return NAMES[code ?? ''] ?? (name === 'TimeoutError' ? 'timeout' : 'connection_failed')
}
