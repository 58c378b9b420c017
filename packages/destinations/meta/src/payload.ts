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

/** Meta's form of a number: E.164 without the plus. */
const metaPhone = (value: string, home?: string): string | null => phone(value, home)?.slice(1) ?? null

type Field = Exclude<keyof Person['identifiers'], 'emails' | 'birthDate'>

/** One identifier that becomes one key. `few`: hashed, and of so few different values that the digests are kept. */
interface Rule {
  readonly choice: IdentifierChoice
  readonly field: Field
  readonly key: number
  readonly form: 'hashed' | 'few' | 'text'
  readonly code: Code
  /** `home`: the country by which a value is read that does not name its own. */
  normalise(value: string, home?: string): string | null
}

const emailRule: Rule = { choice: 'email', field: 'email', key: at.EMAIL, form: 'hashed', code: 'email_malformed', normalise: email }

const rules: readonly Rule[] = [
  { choice: 'phone', field: 'phone', key: at.PHONE, form: 'hashed', code: 'phone_not_e164', normalise: metaPhone },
  { choice: 'name', field: 'firstName', key: at.FN, form: 'hashed', code: 'name_empty', normalise: bareName },
  { choice: 'name', field: 'lastName', key: at.LN, form: 'hashed', code: 'name_empty', normalise: bareName },
  { choice: 'address', field: 'city', key: at.CT, form: 'hashed', code: 'city_empty', normalise: bareCity },
  { choice: 'address', field: 'region', key: at.ST, form: 'few', code: 'region_malformed', normalise: region },
  { choice: 'address', field: 'postalCode', key: at.ZIP, form: 'hashed', code: 'postal_code_malformed', normalise: postalCode },
  { choice: 'address', field: 'country', key: at.COUNTRY, form: 'few', code: 'country_malformed', normalise: country },
  { choice: 'gender', field: 'gender', key: at.GEN, form: 'few', code: 'gender_unknown', normalise: gender },
  { choice: 'mobileAdId', field: 'mobileAdId', key: at.MADID, form: 'text', code: 'mobile_ad_id_malformed', normalise: mobileAdId },
  { choice: 'externalId', field: 'externalId', key: at.EXTERN_ID, form: 'text', code: 'external_id_malformed', normalise: externalId },
]

/** The row being filled, and what was left out. */
interface Draft {
  readonly row: string[]
  readonly dropped: DroppedField[]
}

/** Puts the value of one field in its place; `''` and a reason where it is not usable. */
function put(draft: Draft, rule: Rule, field: string, value: string, home: string | undefined): void {
  const given = rule.form === 'text' ? undefined : readDigest(value)
  const plain = given === undefined ? rule.normalise(value, home) : null
  if (plain === null && !given) draft.dropped.push({ field, code: given === null ? 'hash_malformed' : rule.code })
  draft.row[rule.key] = given ?? (plain === null ? '' : asSent(rule, plain))
}

function asSent({ form }: Rule, plain: string): string {
  if (form === 'text') return plain
  return form === 'few' ? sha256OfFew(plain) : sha256(plain)
}

/** Digests of all usable addresses, each once, the main one first; that one stays in the row. */
function putEmails(draft: Draft, { email: main, emails = [] }: Person['identifiers']): readonly string[] {
  const found: string[] = []
  const look = (field: string, value: string): void => {
    put(draft, emailRule, field, value, undefined)
    const digest = draft.row[at.EMAIL]
    if (digest && !found.includes(digest)) found.push(digest)
  }
  if (main !== undefined) look('email', main)
  for (const other of emails) look('emails', other)
  draft.row[at.EMAIL] = found[0] ?? ''
  return found
}

/** Of a name that came hashed nobody knows the first letter. */
function putInitial(draft: Draft, firstName: string): void {
  const name = readDigest(firstName) === undefined ? bareName(firstName) : null
  if (name !== null) draft.row[at.FI] = sha256OfFew(String.fromCodePoint(name.codePointAt(0) as number))
}

function putBirthDate(draft: Draft, value: string): void {
  const date = birthDate(value)
  if (date === null) draft.dropped.push({ field: 'birthDate', code: 'birth_date_malformed' })
  else {
    draft.row[at.DOBY] = sha256OfFew(date.year)
    draft.row[at.DOBM] = sha256OfFew(date.month)
    draft.row[at.DOBD] = sha256OfFew(date.day)
  }
}

/** What the settings add to a row that is sent anyway. */
function putSettings(draft: Draft, person: Person, settings: MetaSettings, home: string | undefined): void {
  if (settings.valueBased) {
    const { value } = person
    const usable = value !== undefined && Number.isFinite(value) && value >= 0
    if (!usable) draft.dropped.push({ field: 'value', code: value === undefined ? 'value_missing' : 'value_malformed' })
    // Each row of a value-based audience needs one, and 0 is the least that Meta takes: no value counts for nothing.
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
  const emails = wants('email') ? putEmails(draft, identifiers) : []
  for (const rule of rules) {
    const value = identifiers[rule.field]
    if (value !== undefined && wants(rule.choice)) put(draft, rule, rule.field, value, home)
  }
  if (identifiers.firstName !== undefined && wants('name')) putInitial(draft, identifiers.firstName)
  if (identifiers.birthDate !== undefined && wants('birthDate')) putBirthDate(draft, identifiers.birthDate)

  if (draft.row.every((value) => value === '')) return { sets: [], dropped: draft.dropped, rejected: 'no_usable_identifier' }
  // "Always send the country, even if all rows share it": the tenant's stands in, but makes nobody matchable by itself.
  if (wants('address') && draft.row[at.COUNTRY] === '' && home !== undefined) draft.row[at.COUNTRY] = sha256OfFew(home)
  putSettings(draft, person, config.settings, home)
  return { sets: emails.length > 1 ? emails.map((digest) => draft.row.with(at.EMAIL, digest)) : [draft.row], dropped: draft.dropped, rejected: null }
}

/** An empty EXTERN_ID makes a row invalid (vendors/meta.md §4.3): rows with one and rows without never meet in a call. */
export const lane = (set: KeySet): string => (set[at.EXTERN_ID] ? externLane : plainLane)
