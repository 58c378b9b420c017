/** A person as the tenant describes them: identifiers, consent, value. Shared by ingest, the internal fetch and preview. */
import { z } from 'zod'

const text = (max: number) => z.string().max(max)

/** Every field optional (API.md). Values are raw, or a SHA-256 in 64 hexadecimal digits where the field is one that platforms take hashed. */
export const Identifiers = z.strictObject({
  email: text(320).optional(),
  emails: z.array(text(320)).max(20).optional(),
  phone: text(64).optional(),
  firstName: text(128).optional(),
  lastName: text(128).optional(),
  gender: text(16).optional(),
  birthDate: text(64).optional(),
  city: text(128).optional(),
  region: text(128).optional(),
  postalCode: text(64).optional(),
  country: text(64).optional(),
  mobileAdId: text(64).optional(),
  externalId: text(256).optional(),
})
export type Identifiers = z.infer<typeof Identifiers>

export const ConsentState = z.enum(['granted', 'denied', 'unspecified'])
export type ConsentState = z.infer<typeof ConsentState>

export const Consent = z.strictObject({
  adUserData: ConsentState.default('unspecified'),
  adPersonalization: ConsentState.default('unspecified'),
  crm: ConsentState.default('unspecified'),
  saleShareOptOut: z.boolean().default(false),
})
export type Consent = z.infer<typeof Consent>

/**
 * Groups of identifiers, each with a fingerprint of its own in the feed. The order is that of the bits in `groups`
 * and of the 8-byte pieces in `fingerprints`: it is stored, so groups are only ever added at the end.
 */
export const identifierGroups = ['email', 'phone', 'name', 'address', 'gender', 'birthDate', 'mobileAdId', 'externalId', 'value', 'consent'] as const
export type IdentifierGroup = (typeof identifierGroups)[number]

/** What may leave, as an audience chooses it. `value` and `consent` are not chosen: they go where the settings ask for them. */
export const identifierChoices = ['email', 'phone', 'name', 'address', 'gender', 'birthDate', 'mobileAdId', 'externalId'] as const
export type IdentifierChoice = (typeof identifierChoices)[number]

export const groupBit = (group: IdentifierGroup): number => 1 << identifierGroups.indexOf(group)

/**
 * Beside the groups: something was given that ingest could not use (a national phone number of a country that nobody named). It has a
 * fingerprint like a group, always the last one, so that audiences whose transformations may mend it see it change.
 */
export const UNREAD_BIT = 1 << 14 // the highest that a smallint holds

/** What a person may be sent for; bits in the feed (SYNC.md C13). `ads_ldu`: ad destinations, flagged for limited data use. */
export const purposes = ['ads', 'ads_ldu', 'crm'] as const
export type Purpose = (typeof purposes)[number]
export const purposeBit = (purpose: Purpose): number => 1 << purposes.indexOf(purpose)

/** Why somebody may not be sent. */
export const suppressionReasons = ['consent_denied', 'opted_out', 'erased'] as const
export type SuppressionReason = (typeof suppressionReasons)[number]
