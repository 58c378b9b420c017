/**
 * Standard Webhooks 1.0.0, symmetric (vendors/vectors/standard-webhooks.json): `v1,` + base64 of HMAC-SHA256 over
 * `id.timestamp.body`, the key being what the base64 after `whsec_` says. During a rotation both secrets sign.
 */
import { createHmac, randomBytes } from 'node:crypto'

const PREFIX = 'whsec_'
const SECRET_BYTES = 32 // the specification takes 24 to 64

export const newSecret = (): string => PREFIX + randomBytes(SECRET_BYTES).toString('base64')

/** `at`: seconds since the epoch, of this attempt. */
export function signature(secret: string, id: string, at: number, body: string): string {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
  return `v1,${createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')}`
}

/** Headers of one attempt. `secrets`: the current one first. */
export function signedHeaders(id: string, at: number, body: string, secrets: readonly string[]): Record<string, string> {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(at),
    'webhook-signature': secrets.map((secret) => signature(secret, id, at, body)).join(' '),
  }
}
