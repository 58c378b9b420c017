/**
 * Where webhooks may go (RELIABILITY.md §3.6). A customer names the URL, so it could name us: the database, another service, the
 * place where a cloud keeps its machines' keys. The URL is looked at when it is registered and at every delivery; addresses at
 * every connection, because what a name resolves to can change in between.
 */
import { AppError } from '@audience-sync/errors/app-error'
import ipaddr from 'ipaddr.js'

/** In the sandbox this machine may be told, too, without TLS. */
export interface AddressRules {
  readonly loopback: boolean
}

const LONGEST_URL = 2_048
const PORTS: ReadonlySet<string> = new Set(['', '443', '8443'])
const INTERNAL = ['internal', 'local', 'localhost', 'svc', 'cluster.local', 'home.arpa', 'onion']
const V4_COMPATIBLE = ipaddr.IPv6.parseCIDR('::/96') // deprecated, and the one range that ipaddr.js takes for a public one

/** Whether nothing may be sent there. Anything that is not plainly a public unicast address is refused. */
export function isForbidden(address: string, { loopback }: AddressRules): boolean {
  if (!ipaddr.isValid(address)) return true
  const parsed = ipaddr.parse(address)
  const range = parsed.range()
  if (range === 'loopback') return !loopback
  return range !== 'unicast' || (parsed instanceof ipaddr.IPv6 && parsed.match(V4_COMPATIBLE))
}

/** The host of a URL as an address, where it is one: `2130706433` and `0x7f.1` are 127.0.0.1 by then. */
export function literalAddress({ hostname }: URL): string | undefined {
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  return ipaddr.isValid(host) ? host : undefined
}

/** The parsed URL; throws `webhook_url_not_allowed`. Says nothing of what the name resolves to. */
export function checkUrl(text: string, rules: AddressRules): URL {
  const url = text.length <= LONGEST_URL && URL.canParse(text) ? new URL(text) : undefined
  if (!url) throw refused('It is not a URL of up to 2,048 characters.')
  if (url.username !== '' || url.password !== '') throw refused('It holds a user name or a password.')
  const host = url.hostname.replace(/\.$/, '').toLowerCase()
  const address = literalAddress(url)
  if (rules.loopback && (host === 'localhost' || (address !== undefined && ipaddr.parse(address).range() === 'loopback'))) {
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refused('It is neither https nor http.')
    return url
  }
  if (url.protocol !== 'https:') throw refused('It is not https.')
  if (!PORTS.has(url.port)) throw refused('Its port is neither 443 nor 8443.')
  if (address !== undefined ? isForbidden(address, rules) : isInternal(host)) throw refused('Its host is not a public one.')
  return url
}

const isInternal = (host: string) => !host.includes('.') || INTERNAL.some((suffix) => host.endsWith(`.${suffix}`))

export const refused = (detail: string): AppError => new AppError('webhook_url_not_allowed', detail)
