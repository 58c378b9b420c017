/**
 * Which groups of a person's identifiers a platform could use, found out at ingest: the feed carries the bits, so that an
 * audience's eligible people are counted without reading anybody. No platform's own rules; no hashing.
 */
import { groupBit, type IdentifierGroup, type Identifiers } from '@audience-sync/contracts/people'
import type { Code } from '@audience-sync/errors/catalogue'
import type { DroppedField } from './contract.ts'
import { country } from './normalise/country.ts'
import { readDigest } from './normalise/digest.ts'
import { email } from './normalise/email.ts'
import { externalId, mobileAdId } from './normalise/ids.ts'
import { birthDate, gender } from './normalise/person.ts'
import { phone } from './normalise/phone.ts'
import { postalCode, region } from './normalise/place.ts'
import { bareCity, bareName } from './normalise/text.ts'

type Field = Exclude<keyof Identifiers, 'emails'>

interface Rule {
  readonly field: Field
  readonly group: IdentifierGroup
  readonly code: Code
  /** False: platforms take it plain only. */
  readonly hashed: boolean
  normalise(value: string, home: string | undefined): unknown
}

const emailRule: Rule = { field: 'email', group: 'email', code: 'email_malformed', hashed: true, normalise: email }

const rules: readonly Rule[] = [
  emailRule,
  { field: 'phone', group: 'phone', code: 'phone_not_e164', hashed: true, normalise: phone },
  { field: 'firstName', group: 'name', code: 'name_empty', hashed: true, normalise: bareName },
  { field: 'lastName', group: 'name', code: 'name_empty', hashed: true, normalise: bareName },
  { field: 'city', group: 'address', code: 'city_empty', hashed: true, normalise: bareCity },
  { field: 'region', group: 'address', code: 'region_malformed', hashed: true, normalise: region },
  { field: 'postalCode', group: 'address', code: 'postal_code_malformed', hashed: true, normalise: postalCode },
  { field: 'country', group: 'address', code: 'country_malformed', hashed: true, normalise: country },
  { field: 'gender', group: 'gender', code: 'gender_unknown', hashed: true, normalise: gender },
  { field: 'birthDate', group: 'birthDate', code: 'birth_date_malformed', hashed: false, normalise: (value) => birthDate(value) },
  { field: 'mobileAdId', group: 'mobileAdId', code: 'mobile_ad_id_malformed', hashed: false, normalise: mobileAdId },
  { field: 'externalId', group: 'externalId', code: 'external_id_malformed', hashed: false, normalise: externalId },
]

function problem(rule: Rule, value: string, home: string | undefined): Code | null {
  const digest = rule.hashed ? readDigest(value) : undefined
  if (digest === null) return 'hash_malformed'
  return digest !== undefined || rule.normalise(value, home) !== null ? null : rule.code
}

/**
 * `groups`: bits of `groupBit` in which at least one field is usable. `unusable`: every given field that is not, in the order of
 * the fields. A national phone number is read by the person's country, else by the default one; with neither it is `phone_not_e164`.
 */
export function usableGroups(identifiers: Identifiers, defaultCountry?: string): { readonly groups: number; readonly unusable: readonly DroppedField[] } {
  const home = homeOf(identifiers.country, defaultCountry)
  const unusable: DroppedField[] = []
  let groups = 0
  const look = (rule: Rule, field: string, value: string): void => {
    const code = problem(rule, value, home)
    if (code === null) groups |= groupBit(rule.group)
    else unusable.push({ field, code })
  }
  for (const rule of rules) {
    const value = identifiers[rule.field]
    if (value !== undefined) look(rule, rule.field, value)
  }
  for (const address of identifiers.emails ?? []) look(emailRule, 'emails', address)
  return { groups, unusable }
}

/** The country by which phone, region and postal code are read: the person's, else the tenant's, in lower case. */
export function homeOf(given: string | undefined, defaultCountry: string | undefined): string | undefined {
  return (given === undefined ? null : country(given)) ?? (defaultCountry === undefined ? null : country(defaultCountry)) ?? undefined
}
