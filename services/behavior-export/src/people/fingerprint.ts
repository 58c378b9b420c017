/**
 * A keyed fingerprint per group of identifiers: 8 bytes that say *changed* to the other half, and nothing else. The key is the
 * tenant's own, so equal people of two tenants look different. Groups that cannot be used have no bit and no bytes.
 */
import { type Consent, groupBit, type IdentifierGroup, type Identifiers, identifierGroups, UNREAD_BIT } from '@audience-sync/contracts/people'
import type { Hmac } from '@audience-sync/vault/hmac'

export const FINGERPRINT_BYTES = 8

/** The raw values of a group; a missing one is '' so that what stands at which place is part of the fingerprint. */
const values: Record<IdentifierGroup, (person: Fingerprinted) => readonly (string | undefined)[]> = {
  email: ({ identifiers: { email, emails = [] } }) => [email, ...emails],
  phone: ({ identifiers: { phone } }) => [phone],
  name: ({ identifiers: { firstName, lastName } }) => [firstName, lastName],
  address: ({ identifiers: { city, region, postalCode, country } }) => [city, region, postalCode, country],
  gender: ({ identifiers: { gender } }) => [gender],
  birthDate: ({ identifiers: { birthDate } }) => [birthDate],
  mobileAdId: ({ identifiers: { mobileAdId } }) => [mobileAdId],
  externalId: ({ identifiers: { externalId } }) => [externalId],
  value: ({ value }) => [value?.toString()],
  consent: ({ consent }) => consentValues(consent),
}

const consentValues = (consent: Consent) => [consent.adUserData, consent.adPersonalization, consent.crm, String(consent.saleShareOptOut)]

export interface Fingerprinted {
  readonly identifiers: Identifiers
  readonly value: number | undefined
  readonly consent: Consent
  /** Fields that were given and cannot be used; they have one piece together, so that a change of them is seen where somebody mends them. */
  readonly unread?: readonly string[]
}

/** Bits of the groups in which something was given. Consent is always one of them. */
export function presentGroups(person: Fingerprinted): number {
  let bits = 0
  for (const group of identifierGroups) if (values[group](person).some((value) => value?.trim())) bits |= groupBit(group)
  return bits
}

/** The 8-byte pieces of the groups in `groups`, in bit order. */
export function fingerprintsOf(hmac: Hmac, groups: number, person: Fingerprinted): Buffer {
  const pieces: Buffer[] = []
  for (const group of identifierGroups) if (groups & groupBit(group)) pieces.push(piece(hmac, group, values[group](person)))
  if (groups & UNREAD_BIT) pieces.push(piece(hmac, 'unread', unreadValues(person)))
  return Buffer.concat(pieces)
}

const unreadValues = ({ identifiers, unread = [] }: Fingerprinted): string[] =>
  [...new Set(unread)].map((field) => `${field}=${identifiers[field as keyof Identifiers]}`)

/** The same fingerprints with another consent, for a change that brings no identifiers. Consent is the last group; what is unread comes behind it. */
export function withConsent(hmac: Hmac, groups: number, fingerprints: Buffer, consent: Consent): { groups: number; fingerprints: Buffer } {
  const bit = groupBit('consent')
  const end = fingerprints.length - (groups & UNREAD_BIT ? FINGERPRINT_BYTES : 0)
  const others = fingerprints.subarray(0, groups & bit ? end - FINGERPRINT_BYTES : end)
  return { groups: groups | bit, fingerprints: Buffer.concat([others, piece(hmac, 'consent', consentValues(consent)), fingerprints.subarray(end)]) }
}

function piece(hmac: Hmac, group: IdentifierGroup | 'unread', parts: readonly (string | undefined)[]): Buffer {
  // Spelling that no platform tells apart is not a change. An external id is compared as it is.
  const spelled = parts.map((part = '') => (group === 'externalId' ? part : part.trim().toLowerCase()))
  return hmac(`${group}\u001f${spelled.join('\u001f')}`).subarray(0, FINGERPRINT_BYTES)
}
