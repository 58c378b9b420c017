/** P8: what we sign, anyone can verify. Against the published vectors, and against the reference library. */
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { Webhook } from 'standardwebhooks'
import { newSecret, signature, signedHeaders } from './sign.ts'

interface Vector {
  readonly name: string
  readonly secret: string
  readonly msg_id: string
  readonly timestamp: number
  readonly payload?: string
  readonly payload_repeat?: { readonly char: string; readonly times: number }
  readonly signature: string
}
interface Case {
  readonly why: string
  readonly header?: string
  readonly secret?: string
  readonly now?: number
  readonly payload?: string
  readonly msg_id?: string
  readonly timestamp_header?: string
  readonly missing?: string
}

const vectors = JSON.parse(readFileSync(new URL('../vectors/standard-webhooks.json', import.meta.url), 'utf8')) as {
  readonly hmac: readonly Vector[]
  readonly verify_cases: { readonly base: Vector & { readonly payload: string }; readonly accept: readonly Case[]; readonly reject: readonly Case[] }
}
const { base, accept, reject } = vectors.verify_cases

test.each(vectors.hmac.map((vector) => [vector.name, vector] as const))('signs as published: %s', (_name, vector) => {
  const body = vector.payload ?? (vector.payload_repeat?.char ?? '').repeat(vector.payload_repeat?.times ?? 0)
  expect(signature(vector.secret, vector.msg_id, vector.timestamp, body)).toBe(vector.signature)
  expect(new Webhook(vector.secret).sign(vector.msg_id, new Date(vector.timestamp * 1_000), body)).toBe(vector.signature)
})

describe('what a receiver with the reference library makes of it', () => {
  afterEach(() => {
    jest.useRealTimers()
  })

  /** The headers that we send, changed in the way of the case. */
  const verify = ({ header, secret = base.secret, now = base.timestamp, payload = base.payload, msg_id = base.msg_id, timestamp_header, missing }: Case) => {
    jest.useFakeTimers({ now: now * 1_000 })
    const ours = signedHeaders(base.msg_id, base.timestamp, base.payload, [base.secret])
    const headers: Record<string, string> = { ...ours, 'webhook-id': msg_id, ...(timestamp_header && { 'webhook-timestamp': timestamp_header }) }
    // Where the case says nothing else of the signature, ours stands in the published one's place.
    headers['webhook-signature'] = (header ?? '').replace('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=', ours['webhook-signature'] ?? '')
    if (missing) delete headers[missing]
    return () => new Webhook(secret).verify(payload, headers)
  }

  test.each(accept.map((one) => [one.why, one] as const))('takes: %s', (_why, one) => expect(verify(one)()).toEqual({ test: 2432232314 }))
  test.each(reject.map((one) => [one.why, one] as const))('refuses: %s', (_why, one) => expect(verify(one)).toThrow())

  test('the cases are all there', () => expect([accept.length, reject.length, vectors.hmac.length]).toEqual([5, 19, 10]))

  test('during a rotation whoever has either secret takes it, and nobody with a third', () => {
    const [current, old, other] = [newSecret(), newSecret(), newSecret()]
    const at = Math.floor(Date.now() / 1_000)
    const body = '{"type":"sync.completed","data":{"note":"Zürich 🛍"}}'
    const headers = signedHeaders('msg_1', at, body, [current, old])
    for (const secret of [current, old]) expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body))
    expect(() => new Webhook(other).verify(body, headers)).toThrow()
  })
})

test('a secret is 32 random bytes that the reference library takes', () => {
  const secret = newSecret()
  expect(Buffer.from(secret.replace('whsec_', ''), 'base64')).toHaveLength(32)
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
  expect(newSecret()).not.toBe(secret)
  expect(() => new Webhook(secret)).not.toThrow()
})
