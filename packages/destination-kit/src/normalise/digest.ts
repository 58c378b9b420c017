/** SHA-256, and values that arrive hashed already. */
import { hash } from 'node:crypto'

/** A value that normalises to nothing would hash to this and match whoever else was empty: it must never leave. */
export const emptyDigest = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** Hex lengths of MD5, SHA-1, SHA-224, SHA-384 and SHA-512: digests, but not the one that platforms take. */
const otherDigests = new Set([32, 40, 56, 96, 128])
const shortestDigest = 32
const hex = /^[0-9a-f]+$/i

/** Lower-case hex. `crypto.hash` with a string is the quickest way that Node has (PERFORMANCE.md §1). */
export const sha256 = (value: string): string => hash('sha256', value, 'hex')

/**
 * Tells a digest from a plain value, so that nothing is hashed twice.
 * `undefined`: a plain value; `null`: a digest that no platform takes; else the digest in lower case.
 */
export function readDigest(value: string): string | null | undefined {
  if (value.length < shortestDigest) return undefined
  const text = value.trim()
  if (text.length === 64 && hex.test(text)) {
    const digest = text.toLowerCase()
    return digest === emptyDigest ? null : digest
  }
  return otherDigests.has(text.length) && hex.test(text) ? null : undefined
}

/** Room for every country, state, year, month, day and gender, several times over. */
const cacheSize = 4_096
const cache = new Map<string, string>()

/** For fields with few different values: a look-up in place of a hash (PERFORMANCE.md §6 design 6). Never for what names a person. */
export function sha256OfFew(value: string): string {
  const known = cache.get(value)
  if (known !== undefined) return known
  const digest = sha256(value)
  if (cache.size < cacheSize) cache.set(value, digest)
  return digest
}
