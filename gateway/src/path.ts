/** Paths: which may be forwarded, and how they are written down without a person in them. */
import { createHash } from 'node:crypto'
import { prefixes } from '@audience-sync/contracts/ids'

/** RFC 3986 `pchar`s in segments that are not empty. No backslash: the URL parser of the next hop takes it for a slash. */
const SHAPE = /^(?:\/(?:[\w.~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+\/?$/
const CLIMBS = /[/\\]\.\.|\.\.[/\\]|[/\\]\.(?:[/\\]|$)/
const WORD = /^[a-z][a-z-]{0,40}$/
const PUBLIC_ID = new RegExp(`^(?:${Object.values(prefixes).join('|')})_[0-9A-Za-z-]{12,36}$`)
const HOLDS_A_CUSTOMER = new Set(['customers', 'members'])

/**
 * Whether a raw path means the same to every parser between here and the handler: well-formed, and nothing in it that begins or
 * ends with two dots, or is one, beside a slash of either kind, encoded or not, once or twice.
 */
export function isPlainPath(path: string): boolean {
  if (!SHAPE.test(path)) return false
  if (!path.includes('%')) return !CLIMBS.test(path)
  try {
    const once = decodeURIComponent(path)
    const twice = decodeURIComponent(once.replaceAll(/%(?![0-9A-Fa-f]{2})/g, '%25'))
    return [once, twice].every((text) => !hasControl(text) && !CLIMBS.test(text))
  } catch {
    return false // not UTF-8
  }
}

const hasControl = (text: string) => [...text].some((letter) => letter < ' ' || letter === '\u007f')

/** The path for logs and the audit log: our words and ids stay, everything else (a customer's id, say) becomes its hash. */
export function auditTarget(path: string): string {
  const segments = path.split('?')[0]?.split('/') ?? []
  return segments
    .map((segment, i) => (segment === '' || keeps(segment, segments[i - 1]) ? segment : hashed(segment)))
    .join('/')
    .slice(0, 300)
}

const keeps = (segment: string, before: string | undefined) =>
  segment === 'v1' || PUBLIC_ID.test(segment) || (WORD.test(segment) && !HOLDS_A_CUSTOMER.has(before ?? ''))
const hashed = (segment: string) => `sha256:${createHash('sha256').update(segment).digest('hex').slice(0, 16)}`
