/**
 * Authenticated encryption of one value with one key: AES-256-GCM, a random 96-bit IV for each, a 128-bit tag
 * (RELIABILITY.md §3.1). Two forms of the same: bytes for row fields of large tables, text that names its key for credentials.
 *
 * What a value belongs to goes into the associated data, so that a ciphertext moved to another row, field or tenant does not open.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomFillSync } from 'node:crypto'

/** A data key in the clear. Lives in memory only. */
export interface Dek {
  /** `dek_…` */
  readonly id: string
  /** 32 bytes. */
  readonly key: Buffer
}

/** Something does not open, or a key is missing. Never answered with plaintext or a guess; says nothing of the value. */
export class VaultError extends Error {
  override readonly name = 'VaultError'
}

const ALGORITHM = 'aes-256-gcm'
const VERSION = 1
const IV_BYTES = 12
const TAG_BYTES = 16 // given to the decipher too: without it Node takes a tag cut to 4 bytes
export const KEY_BYTES = 32

/** Associated data of a value: `aad1|cred|<tenant>|<connection>|<field>|<dek>`. Parts may not contain the separator. */
export function aad(...parts: readonly string[]): string {
  if (parts.some((part) => part.includes('|'))) throw new VaultError('A part of the associated data contains its separator.')
  return ['aad1', ...parts].join('|')
}

/** Node makes an object of a key's bytes at each use, which takes three times as long as sealing a row: it is kept as long as the bytes are. */
const objects = new WeakMap<Buffer, KeyObject>()
function objectOf(key: Buffer): KeyObject {
  const known = objects.get(key)
  if (known) return known
  const made = createSecretKey(key)
  objects.set(key, made)
  return made
}

const IVS_AT_ONCE = 512 // a call for random bytes costs as much as the sealing itself
const ivs = Buffer.alloc(IVS_AT_ONCE * IV_BYTES)
let ivsUsed = ivs.length

/** Random, and never given out twice. */
function freshIv(): Buffer {
  if (ivsUsed === ivs.length) {
    randomFillSync(ivs)
    ivsUsed = 0
  }
  ivsUsed += IV_BYTES
  return ivs.subarray(ivsUsed - IV_BYTES, ivsUsed)
}

/** version (1 byte) · IV (12) · ciphertext (as long as the plaintext) · tag (16). */
export function seal(key: Buffer, plaintext: Buffer, associated: string): Buffer {
  const iv = freshIv()
  const cipher = createCipheriv(ALGORITHM, objectOf(key), iv, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(associated))
  const head = Buffer.of(VERSION)
  return Buffer.concat([head, iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/** The plaintext of `seal`; throws `VaultError` for another key, other associated data, or a single changed bit. */
export function open(key: Buffer, sealed: Buffer, associated: string): Buffer {
  if (sealed.length < 1 + IV_BYTES + TAG_BYTES || sealed[0] !== VERSION) throw new VaultError('Not a sealed value.')
  const end = sealed.length - TAG_BYTES
  const decipher = createDecipheriv(ALGORITHM, objectOf(key), sealed.subarray(1, 1 + IV_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(associated))
  decipher.setAuthTag(sealed.subarray(end))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(1 + IV_BYTES, end)), decipher.final()])
  } catch (cause) {
    throw new VaultError('A sealed value does not open: wrong key, moved, or altered.', { cause })
  }
}

/** `v1.<dek_id>.<iv>.<ciphertext>.<tag>`, base64url. */
export function sealText(dek: Dek, plaintext: string, associated: string): string {
  const sealed = seal(dek.key, Buffer.from(plaintext), associated)
  const end = sealed.length - TAG_BYTES
  const parts = [sealed.subarray(1, 1 + IV_BYTES), sealed.subarray(1 + IV_BYTES, end), sealed.subarray(end)]
  return [`v${VERSION}`, dek.id, ...parts.map((part) => part.toString('base64url'))].join('.')
}

/** Which key a text form needs; throws `VaultError` if it is not one. */
export function dekIdOf(text: string): string {
  const [version, id, ...parts] = text.split('.')
  if (version !== `v${VERSION}` || !id || parts.length !== 3) throw new VaultError('Not a sealed text.')
  return id
}

export function openText(dek: Dek, text: string, associated: string): string {
  if (dekIdOf(text) !== dek.id) throw new VaultError('The sealed text was made with another key.')
  const [iv, ciphertext, tag] = text
    .split('.')
    .slice(2)
    .map((part) => Buffer.from(part, 'base64url'))
  if (iv?.length !== IV_BYTES || tag?.length !== TAG_BYTES || !ciphertext) throw new VaultError('Not a sealed text.')
  return open(dek.key, Buffer.concat([Buffer.of(VERSION), iv, ciphertext, tag]), associated).toString('utf8')
}
