/** Where a browser may be sent after a consent: an exact list, so that nobody uses us to lead people elsewhere. */
import { AppError } from '@audience-sync/errors/app-error'

export interface ReturnUrls {
  /** Origin and path of each must match exactly; the query is the caller's. */
  readonly allowed: readonly string[]
  /** The sandbox: any address of this very machine. */
  readonly loopback: boolean
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/ // of an already parsed URL, so other spellings have become these

export function checkReturnUrl(text: string, { allowed, loopback }: ReturnUrls): string {
  const refuse = () => new AppError('return_url_not_allowed', 'The return URL is not one that this installation allows.')
  if (!URL.canParse(text)) throw refuse()
  const url = new URL(text)
  if (url.username || url.password || url.hash) throw refuse()
  const listed = allowed.some((entry) => {
    const { origin, pathname } = new URL(entry)
    return origin === url.origin && pathname === url.pathname
  })
  const local = loopback && /^https?:$/.test(url.protocol) && LOOPBACK.test(url.hostname)
  if (!listed && !local) throw refuse()
  return url.href
}

/** `returnUrl?connection=…&status=…&code=…`, whatever query it had. */
export function returnTo(returnUrl: string, outcome: Readonly<Record<string, string>>): string {
  const url = new URL(returnUrl)
  for (const [name, value] of Object.entries(outcome)) url.searchParams.set(name, value)
  return url.href
}
