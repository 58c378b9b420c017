/**
 * A person → the rows that Meta is told (vendors/meta.md §5). Pure.
 *
 * Every chosen identifier that is usable becomes the value of its key: a digest, or for EXTERN_ID and MADID the value itself.
 * Each e-mail address makes a row of its own, with all the other keys beside it. What is given and unusable is dropped with a
 * reason; a person of whom nothing is usable is rejected.
 */
import type { DroppedField, IdentifierChoice, KeySet, Person, Prepared, SendConfig } from '@audience-sync/destination-kit/contract'
import { country } from '@audience-sync/destination-kit/normalise/country'
import { readDigest, sha256, sha256OfFew } from '@audience-sync/destination-kit/normalise/digest'
import { email } from '@audience-sync/destination-kit/normalise/email'
import { externalId, mobileAdId } from '@audience-sync/destination-kit/normalise/ids'
import { birthDate, gender } from '@audience-sync/destination-kit/normalise/person'
import { phone } from '@audience-sync/destination-kit/normalise/phone'
import { postalCode, region } from '@audience-sync/destination-kit/normalise/place'
import { bareCity, bareName } from '@audience-sync/destination-kit/normalise/text'
import { homeOf } from '@audience-sync/destination-kit/usable'
import type { Code } from '@audience-sync/errors/catalogue'
import { at, keys, type MetaSettings } from './manifest.ts'

type Config = SendConfig<MetaSettings>

/** Meta's numbers for a flagged person of whom we know that they live in California (vendors/meta.md §4.3). */
const unitedStates = '1'
const california = '1000'

const plainLane = 'plain'
const externLane = 'extern_id'

/** The row being filled, and what was left out. */
interface Draft {
  readonly row: string[]
  readonly dropped: DroppedField[]
}

/** Puts the digest of a value that may come hashed already. */
function putDigest(draft: Draft, key: number, field: string, value: string | undefined, code: Code, normalise: (value: string) => string | null): void {
  if (value === undefined) return
  const given = readDigest(value)
  const plain = given === undefined ? normalise(value) : null
  if (given) draft.row[key] = given
  else if (plain !== null) draft.row[key] = sha256(plain)
  else draft.dropped.push({ field, code: given === null ? 'hash_malformed' : code })
}

/** Puts a value that Meta wants as it is. */
function putText(draft: Draft, key: number, field: string, value: string | undefined, code: Code, normalise: (value: string) => string | null): void {
  if (value === undefined) return
  const text = normalise(value)
  if (text === null) draft.dropped.push({ field, code })
  else draft.row[key] = text
}

/** Meta's form of a number: E.164 without the plus. */
const metaPhone = (value: string, defaultCountry: string | undefined): string | null => phone(value, defaultCountry)?.slice(1) ?? null

function putName(draft: Draft, { firstName, lastName }: Person['identifiers']): void {
  putDigest(draft, at.LN, 'lastName', lastName, 'name_empty', bareName)
  putDigest(draft, at.FN, 'firstName', firstName, 'name_empty', bareName)
  // Of a name that came hashed nobody knows the first letter.
  const name = firstName === undefined || readDigest(firstName) !== undefined ? null : bareName(firstName)
  if (name !== null) draft.row[at.FI] = sha256OfFew(String.fromCodePoint(name.codePointAt(0) as number))
}

function putAddress(draft: Draft, { city, region: state, postalCode: zip, country: nation }: Person['identifiers'], home: string | undefined): void {
  putDigest(draft, at.CT, 'city', city, 'city_empty', bareCity)
  putDigest(draft, at.ST, 'region', state, 'region_malformed', (value) => region(value, home))
  putDigest(draft, at.ZIP, 'postalCode', zip, 'postal_code_malformed', (value) => postalCode(value, home))
  putDigest(draft, at.COUNTRY, 'country', nation, 'country_malformed', country)
}

function putBirthDate(draft: Draft, value: string | undefined): void {
  if (value === undefined) return
  const date = birthDate(value)
  if (date === null) draft.dropped.push({ field: 'birthDate', code: 'birth_date_malformed' })
  else {
    draft.row[at.DOBY] = sha256OfFew(date.year)
    draft.row[at.DOBM] = sha256OfFew(date.month)
    draft.row[at.DOBD] = sha256OfFew(date.day)
  }
}

/** Digests of all usable addresses, each once, the main one first. */
function emailDigests(dropped: DroppedField[], { email: main, emails = [] }: Person['identifiers']): readonly string[] {
  const found = new Set<string>()
  const look = (field: string, value: string): void => {
    const draft: Draft = { row: [], dropped }
    putDigest(draft, 0, field, value, 'email_malformed', email)
    if (draft.row[0] !== undefined) found.add(draft.row[0])
  }
  if (main !== undefined) look('email', main)
  for (const other of emails) look('emails', other)
  return [...found]
}

/** What the settings add to a row that is sent anyway. */
function putSettings(draft: Draft, person: Person, settings: MetaSettings, home: string | undefined): void {
  if (settings.valueBased) {
    const { value = 0 } = person
    const usable = Number.isFinite(value) && value >= 0
    if (!usable) draft.dropped.push({ field: 'value', code: 'value_malformed' })
    // Each row of a value-based audience needs one; no value counts for nothing.
    draft.row[at.LOOKALIKE_VALUE] = usable ? String(value) : '0'
  }
  if (settings.limitedDataUse && person.limitedDataUse) {
    draft.row[at.DATA_PROCESSING_OPTIONS] = 'LDU'
    if (home === 'us' && region(person.identifiers.region ?? '', home) === 'ca') {
      draft.row[at.DATA_PROCESSING_OPTIONS_COUNTRY] = unitedStates
      draft.row[at.DATA_PROCESSING_OPTIONS_STATE] = california
    }
  }
}

export function prepare(person: Person, config: Config): Prepared {
  const { identifiers } = person
  const wants = (choice: IdentifierChoice): boolean => config.identifiers.includes(choice)
  const home = homeOf(identifiers.country, config.defaultCountry)
  const draft: Draft = { row: new Array<string>(keys.length).fill(''), dropped: [] }
  const emails = wants('email') ? emailDigests(draft.dropped, identifiers) : []
  if (wants('phone')) {
    putDigest(draft, at.PHONE, 'phone', identifiers.phone, 'phone_not_e164', (value) => metaPhone(value, home))
  }
  if (wants('name')) putName(draft, identifiers)
  if (wants('address')) putAddress(draft, identifiers, home)
  if (wants('gender')) putDigest(draft, at.GEN, 'gender', identifiers.gender, 'gender_unknown', gender)
  if (wants('birthDate')) putBirthDate(draft, identifiers.birthDate)
  if (wants('mobileAdId')) putText(draft, at.MADID, 'mobileAdId', identifiers.mobileAdId, 'mobile_ad_id_malformed', mobileAdId)
  if (wants('externalId')) putText(draft, at.EXTERN_ID, 'externalId', identifiers.externalId, 'external_id_malformed', externalId)

  if (emails.length === 0 && draft.row.every((value) => value === '')) return { sets: [], dropped: draft.dropped, rejected: 'no_usable_identifier' }
  // "Always send the country, even if all rows share it": the tenant's stands in, but makes nobody matchable by itself.
  if (wants('address') && draft.row[at.COUNTRY] === '' && home !== undefined) draft.row[at.COUNTRY] = sha256OfFew(home)
  putSettings(draft, person, config.settings, home)
  return { sets: emails.length === 0 ? [draft.row] : emails.map((digest) => draft.row.with(at.EMAIL, digest)), dropped: draft.dropped, rejected: null }
}

/** An empty EXTERN_ID makes a row invalid (vendors/meta.md §4.3): rows with one and rows without never meet in a call. */
export const lane = (set: KeySet): string => (set[at.EXTERN_ID] ? externLane : plainLane)
