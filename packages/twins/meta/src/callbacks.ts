/**
 * What the platform posts to an app when a person lets go of it or wants their data deleted: vendors/meta.md §3.6. One form field, `signed_request`:
 * `base64url(HMAC-SHA256 of the payload part as sent, by the app's secret) . base64url(payload)`, both without padding.
 */
import { createHmac } from 'node:crypto'
import { z } from 'zod'
import type { World } from './world.ts'

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]'])
/** Who is called back answers at once or never. */
const ANSWER_MS = 10_000

/**
 * Ways to get it wrong: signed by another secret, payload changed after signing, no second part, another algorithm named, issued long ago.
 * True means the first.
 */
const TAMPERING = ['secret', 'payload', 'cut', 'algorithm', 'stale'] as const

export const callback = z.strictObject({
  /** App-scoped. Default: whoever got the newest token. */
  userId: z.string().optional(),
  callbackUrl: z.url().refine((url) => LOOPBACK.has(new URL(url).hostname), 'only loopback addresses are called'),
  kind: z.enum(['deauthorize', 'data_deletion']),
  tamper: z
    .union([z.boolean(), z.enum(TAMPERING)])
    .default(false)
    .transform((how) => (how === true ? 'secret' : how)),
})
export type Callback = z.output<typeof callback>

/** A day, in seconds: far beyond what a callback spends on its way. */
const STALE_S = 86_400

const signedRequest = (world: World, userId: string, tamper: Callback['tamper']): string => {
  const issuedAt = Math.floor(world.clock.now() / 1000) - (tamper === 'stale' ? STALE_S : 0)
  const encode = (user: string) =>
    Buffer.from(JSON.stringify({ algorithm: tamper === 'algorithm' ? 'HMAC-MD5' : 'HMAC-SHA256', issued_at: issuedAt, user_id: user, expires: 0 })).toString(
      'base64url',
    )
  const payload = encode(userId)
  const signature = createHmac('sha256', tamper === 'secret' ? 'not the secret' : world.settings.appSecret)
    .update(payload)
    .digest('base64url')
  if (tamper === 'cut') return signature
  return `${signature}.${tamper === 'payload' ? encode('1') : payload}`
}

/** Posts it and hands back the answer. A true deauthorization kills the person's tokens first (458), as the platform does; a forged one cannot. */
export const callBack = async (world: World, { userId, callbackUrl, kind, tamper }: Callback): Promise<{ status: number; body: unknown }> => {
  const who = userId ?? world.tokens.all().at(-1)?.userId ?? '0'
  if (kind === 'deauthorize' && tamper === false) world.tokens.kill({ userId: who }, 458)
  const answer = await fetch(callbackUrl, {
    method: 'POST',
    body: new URLSearchParams({ signed_request: signedRequest(world, who, tamper) }),
    redirect: 'manual',
    signal: AbortSignal.timeout(ANSWER_MS),
  })
  const text = await answer.text()
  return { status: answer.status, body: parsed(text) }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
