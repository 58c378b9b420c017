/**
 * Identifiers that may not be sent of a person because somebody else who carries them may not be sent (SYNC.md C2). Per tag, the
 * bits of the purposes for which it is withheld. The feed says so by a mark in the fingerprint of the tag's group, so that whoever
 * reads the feed looks again, and the fetch leaves the identifier out. Pure.
 */
import { groupBit, type Identifiers } from '@audience-sync/contracts/people'
import type { Hmac } from '@audience-sync/vault/hmac'
import { FINGERPRINT_BYTES } from './fingerprint.ts'
import { emailTag, kindOf, type TagKind } from './tags.ts'

/** Purpose bits by tag; tags that are not withheld are not in it. */
export type Withheld = ReadonlyMap<string, number>

export const NOTHING_WITHHELD: Withheld = new Map()

/** As stored: a byte per tag, in the order of the tags; nothing when none is withheld. */
export const withheldBytes = (tags: readonly string[], withheld: Withheld): Buffer =>
  withheld.size === 0 ? Buffer.alloc(0) : Buffer.from(tags.map((tag) => withheld.get(tag) ?? 0))

export function readWithheld(tags: readonly string[], bytes: Buffer): Withheld {
  if (bytes.length === 0) return NOTHING_WITHHELD
  return new Map(tags.flatMap((tag, i): [string, number][] => (bytes[i] ? [[tag, bytes[i]]] : [])))
}

export const sameWithheld = (a: Withheld, b: Withheld): boolean => a.size === b.size && [...a].every(([tag, bits]) => b.get(tag) === bits)

/** Puts the marks in, and takes them out again: it is its own inverse. */
export function marked(hmac: Hmac, groups: number, fingerprints: Buffer, withheld: Withheld): Buffer {
  if (withheld.size === 0) return fingerprints
  const bytes = Buffer.from(fingerprints)
  for (const [tag, bits] of withheld) {
    const kind = kindOf(tag)
    if (!kind || !(groups & groupBit(kind))) continue
    const at = piecesBelow(groups, groupBit(kind)) * FINGERPRINT_BYTES
    const mark = hmac(`withheld\u001f${tag}\u001f${bits}`)
    for (let i = at; i < at + FINGERPRINT_BYTES; i += 1) bytes[i] = (bytes[i] ?? 0) ^ (mark[i - at] ?? 0)
  }
  return bytes
}

function piecesBelow(groups: number, bit: number): number {
  let count = 0
  for (let rest = groups & (bit - 1); rest; rest &= rest - 1) count += 1
  return count
}

/** What is left of a person's identifiers for a purpose (its bit). Only an e-mail address can be one of several. */
export function withoutWithheld(hmac: Hmac, identifiers: Identifiers, withheld: Withheld, purpose: number): Identifiers {
  const tags = new Set([...withheld].filter(([, bits]) => bits & purpose).map(([tag]) => tag))
  if (tags.size === 0) return identifiers
  const kinds = new Set<TagKind | undefined>([...tags].map(kindOf))
  const left = { ...identifiers }
  for (const kind of ['phone', 'mobileAdId', 'externalId'] as const) if (kinds.has(kind)) delete left[kind]
  const isWithheld = (address: string) => tags.has(emailTag(hmac, address) ?? '')
  if (left.email !== undefined && isWithheld(left.email)) delete left.email
  if (left.emails) left.emails = left.emails.filter((address) => !isWithheld(address))
  return left
}
