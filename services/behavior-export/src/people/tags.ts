/**
 * Keyed tags of the identifiers that match a person alone on some platform (SYNC.md C2): two customers of a tenant who share
 * one have the same tag. A tag is 61 bits of a keyed HMAC and three that say what kind of identifier it is. Where a value may come
 * hashed, the tag is one of its digest, so that both spellings meet. Pure.
 */
import type { IdentifierGroup, Identifiers } from '@audience-sync/contracts/people'
import { readDigest, sha256 } from '@audience-sync/destination-kit/normalise/digest'
import { email } from '@audience-sync/destination-kit/normalise/email'
import { externalId, mobileAdId } from '@audience-sync/destination-kit/normalise/ids'
import { digitsOf, phone } from '@audience-sync/destination-kit/normalise/phone'
import { homeOf } from '@audience-sync/destination-kit/usable'
import type { Hmac } from '@audience-sync/vault/hmac'

export const TAG_BYTES = 8
/** The place of a kind is stored in each tag: new ones go to the end, eight at most. */
export const kinds = ['email', 'phone', 'mobileAdId', 'externalId'] as const satisfies readonly IdentifierGroup[]
/** Of a tag's last byte: the place of its kind. */
export const KIND_BITS = 0x07
export type TagKind = (typeof kinds)[number]

/** Of usable identifiers only. Each tag once, in hexadecimal, in order. */
export function tagsOf(hmac: Hmac, identifiers: Identifiers, defaultCountry: string | undefined): string[] {
  const { email: first, emails = [], phone: number, mobileAdId: adId, externalId: id } = identifiers
  const tags = new Set<string>()
  const add = (tag: string | null) => tag !== null && tags.add(tag)
  if (first !== undefined) add(emailTag(hmac, first))
  for (const address of emails) add(emailTag(hmac, address))
  if (number !== undefined)
    add(
      tagOf(
        hmac,
        'phone',
        digestOf(number, (value) => phoneDigits(value, homeOf(identifiers.country, defaultCountry))),
      ),
    )
  if (adId !== undefined) add(tagOf(hmac, 'mobileAdId', mobileAdId(adId)))
  if (id !== undefined) add(tagOf(hmac, 'externalId', externalId(id)))
  return [...tags].sort()
}

/** Null for an address that cannot be used. */
export const emailTag = (hmac: Hmac, address: string): string | null => tagOf(hmac, 'email', digestOf(address, email))

export const kindOf = (tag: string): TagKind | undefined => kinds[Number.parseInt(tag.slice(-2), 16) & KIND_BITS]

export const joinTags = (tags: readonly string[]): Buffer => Buffer.from(tags.join(''), 'hex')

export function splitTags(bytes: Buffer): string[] {
  const tags: string[] = []
  for (let at = 0; at < bytes.length; at += TAG_BYTES) tags.push(bytes.toString('hex', at, at + TAG_BYTES))
  return tags
}

function tagOf(hmac: Hmac, kind: TagKind, value: string | null): string | null {
  if (value === null) return null
  const tag = hmac(`tag\u001f${kind}\u001f${value}`).subarray(0, TAG_BYTES)
  tag[TAG_BYTES - 1] = ((tag[TAG_BYTES - 1] ?? 0) & ~KIND_BITS) | kinds.indexOf(kind)
  return tag.toString('hex')
}

function digestOf(value: string, normalise: (value: string) => string | null): string | null {
  const digest = readDigest(value)
  if (digest !== undefined) return digest
  const plain = normalise(value)
  return plain === null ? null : sha256(plain)
}

/** Digits only: the form in which most platforms want a phone hashed, and so that in which a tenant brings one. */
function phoneDigits(value: string, home: string | undefined): string | null {
  const number = phone(value, home)
  return number === null ? null : digitsOf(number)
}
