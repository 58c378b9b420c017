/** Ids that are sent as they are. */
import { emptyDigest } from './digest.ts'

const adId = /^[0-9a-z]+(?:-[0-9a-z]+)*$/
const digestLength = 64
const minAdId = 8

/**
 * A mobile advertising id: lower case, hyphens kept. Hashed ones match nobody (Meta takes them plain), and the id of zeros
 * is what a phone says whose owner forbade tracking.
 */
export function mobileAdId(value: string): string | null {
  const id = value.trim().toLowerCase()
  return id.length >= minAdId && id.length < digestLength && adId.test(id) && /[^0-]/.test(id) ? id : null
}

/**
 * An external id goes byte for byte, so that removing says the same as adding did; refused is only what is no text at all, and
 * the digest of nothing, under which everybody without an id would be one person.
 */
export const externalId = (value: string): string | null =>
  value.trim() === '' || !value.isWellFormed() || value.trim().toLowerCase() === emptyDigest ? null : value
