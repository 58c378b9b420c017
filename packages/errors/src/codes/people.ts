/** Why one person, or one of their identifiers, is not sent, or was not taken. */
import { entry } from './entry.ts'

export const people = {
  platform_rejected_row: entry(
    422,
    'The platform refused this person’s data',
    'Correct the identifiers. The person is tried again in later runs, up to a limit, and when their data change.',
  ),
  consent_denied: entry(422, 'The person has not consented', 'Nothing to do; the person is sent when consent is given.'),
  opted_out: entry(422, 'The person has opted out', 'Nothing to do.'),
  erased: entry(422, 'The person was erased', 'Nothing to do.'),
  dropped_by_rule: entry(422, 'A rule of the audience leaves the person out', 'Nothing to do, or change the audience’s transformations.'),
  identifier_shared: entry(
    422,
    'Somebody who may not be sent has the same identifier',
    'Nothing to do: it is sent again when that person may be sent, or has it no more.',
  ),
  identifier_missing: entry(422, 'The person has no such identifier', 'Send it with the customer, if there is one.'),
  no_usable_identifier: entry(422, 'No chosen identifier is usable', 'Add or correct an identifier, or choose more identifiers for the audience.'),
  email_malformed: entry(422, 'Not an e-mail address', 'Correct the address.'),
  phone_not_e164: entry(422, 'Not an international phone number', 'Send the number with its country code, or set a default country.'),
  gender_unknown: entry(422, 'Gender is neither m nor f', 'Send m or f, or leave it out.'),
  birth_date_malformed: entry(422, 'Not a date of birth', 'Send YYYY-MM-DD between 1900 and today.'),
  name_empty: entry(422, 'Nothing is left of the name', 'Correct the name.'),
  city_empty: entry(422, 'Nothing is left of the city', 'Write it in Latin letters.'),
  region_malformed: entry(422, 'Not a region', 'Send the region’s name, or its two-letter code in the United States.'),
  postal_code_malformed: entry(422, 'Not a postal code', 'Correct the postal code.'),
  country_malformed: entry(422, 'Not a country', 'Send the ISO 3166-1 alpha-2 code.'),
  mobile_ad_id_malformed: entry(422, 'Not a mobile advertising id', 'Send the id as the device gives it.'),
  external_id_malformed: entry(422, 'Not an external id', 'Send a non-empty id.'),
  value_missing: entry(422, 'The person has no value', 'Send `value` with the customer; until then they count for nothing.'),
  value_malformed: entry(422, 'Not a value', 'Send a number of zero or more.'),
  hash_malformed: entry(422, 'Not a SHA-256 digest', 'Send 64 hexadecimal digits, or the plain value.'),
} as const
