/** Keeps identifiers and credentials out of the calls log and out of messages. */
import { isRecord } from './json.ts'

const digests = /[0-9a-f]{64}/gi
/** Meta's tokens begin so, and its messages about malformed ones repeat them. */
const tokens = /\bEAA[A-Za-z0-9]{8,}/g
/** An error text is a sentence; anything longer carries data. */
const longestText = 500
/** Lists of audiences and accounts: enough to see what came. */
const longestList = 5

/** Invalid rows as Meta repeats them: hashed identifiers, EXTERN_IDs, mobile ids. */
const samples = 'invalid_entry_samples'
const secretFields = new Set(['access_token', 'appsecret_proof'])

export const withoutSecrets = (text: string, accessToken: string): string =>
  (accessToken === '' ? text : text.replaceAll(accessToken, '<token>')).replace(tokens, '<token>').replace(digests, '<hash>').slice(0, longestText)

/** A copy of an answer's body that may be stored and shown. */
export function masked(value: unknown, accessToken: string): unknown {
  if (typeof value === 'string') return withoutSecrets(value, accessToken)
  if (Array.isArray(value)) {
    const shown = value.slice(0, longestList).map((item) => masked(item, accessToken))
    return value.length > longestList ? [...shown, `… ${value.length - longestList} more`] : shown
  }
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key === samples) return [key, `${Object.keys(inner ?? {}).length} rows`]
      return [key, secretFields.has(key) ? '<secret>' : masked(inner, accessToken)]
    }),
  )
}
