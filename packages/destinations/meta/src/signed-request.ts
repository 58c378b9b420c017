/**
 * What Meta posts when somebody removes our app or asks to be forgotten (vendors/meta.md §3.6):
 * `base64url(signature).base64url(json)`, signed with HMAC-SHA256 over the second part as it was sent, keyed with the app's secret.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Notice } from '@audience-sync/destination-kit/connect-contract'
import { isRecord, numberOf, textOf } from './json.ts'

/** The real ones have a few hundred bytes. */
const longest = 8_192

/** null where the text has another form, another algorithm, or a signature that is not Meta's; which of them is nobody's business. */
export function readSignedRequest(text: string, appSecret: string): Notice | null {
  const [signature, payload, ...rest] = text.length > longest ? [] : text.split('.')
  if (!signature || !payload || rest.length > 0) return null
  const expected = createHmac('sha256', appSecret).update(payload).digest()
  // Node's decoder takes base64url with and without its padding.
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
  const said = parsed(payload)
  if (said.algorithm !== undefined && String(said.algorithm).toUpperCase() !== 'HMAC-SHA256') return null
  const subject = textOf(said.user_id) ?? (numberOf(said.user_id) === undefined ? undefined : String(said.user_id))
  if (subject === undefined || subject === '') return null
  const issuedAt = numberOf(said.issued_at)
  return { subject, issuedAt: issuedAt === undefined ? null : new Date(issuedAt * 1_000) }
}

function parsed(payload: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    return isRecord(value) ? value : {}
  } catch {
    return {}
  }
}
