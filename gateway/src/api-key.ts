/**
 * The text of an API key: `audsync_<live|test>_<id, 12>_<secret, 43>_<checksum, 6>` (RELIABILITY.md §3.3).
 *
 * The prefix and the checksum let secret scanners recognise a leaked key, and let us refuse a mistyped one without a look
 * into the database. The secret is 32 random bytes, so its plain SHA-256 may be stored; the id is no secret.
 */
import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'

const BRAND = 'audsync'
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const ID_LENGTH = 12
const SECRET_BYTES = 32
const CHECKSUM_LENGTH = 6 // 62^6 > 2^32
const SHAPE = new RegExp(`^${BRAND}_(live|test)_([0-9A-Za-z]{${ID_LENGTH}})_([0-9A-Za-z_-]{43})_([0-9A-Za-z]{${CHECKSUM_LENGTH}})$`)

/** `test` keys belong to sandboxes; an installation takes keys of its own kind only. */
export type KeyMode = 'live' | 'test'

export interface NewKey {
  readonly id: string
  /** The whole key, shown once. */
  readonly text: string
  readonly secretSha256: Buffer
}

export const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

export function makeApiKey(mode: KeyMode): NewKey {
  const id = Array.from({ length: ID_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  const body = `${BRAND}_${mode}_${id}_${secret}`
  return { id, text: `${body}_${checksum(body)}`, secretSha256: sha256(secret) }
}

/** The parts of a key of this mode whose checksum is right, else undefined. Says nothing of whether the key exists. */
export function parseApiKey(text: string, mode: KeyMode): { id: string; secretSha256: Buffer } | undefined {
  const match = SHAPE.exec(text)
  const [, itsMode, id, secret, check] = match ?? []
  if (!id || !secret || itsMode !== mode) return undefined
  return checksum(text.slice(0, -CHECKSUM_LENGTH - 1)) === check ? { id, secretSha256: sha256(secret) } : undefined
}

/** In constant time; both are SHA-256 digests. */
export const sameDigest = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b)

function checksum(text: string): string {
  let rest = crc32(text)
  let out = ''
  for (let digit = 0; digit < CHECKSUM_LENGTH; digit += 1) {
    out = ALPHABET[rest % ALPHABET.length] + out
    rest = Math.floor(rest / ALPHABET.length)
  }
  return out
}
