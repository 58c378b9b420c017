/**
 * Phone numbers to E.164 (`+14155550100`). What already is E.164 passes by a scan of its characters: a library costs a
 * hundred times as much and says the same (PERFORMANCE.md §1). Only numbers without `+` or `00` reach the library.
 */
import { type CountryCode, getCountryCallingCode, isSupportedCountry, parsePhoneNumberFromString } from 'libphonenumber-js/min'

/** ITU-T E.164: 15 digits at most with the country code; the shortest real numbers have 7. */
const minDigits = 7
const maxDigits = 15

const plus = 43
const zero = 48
const nine = 57

function isE164(value: string): boolean {
  if (value.length <= minDigits || value.length > maxDigits + 1 || value.charCodeAt(0) !== plus || value.charCodeAt(1) === zero) return false
  for (let at = 1; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code < zero || code > nine) return false
  }
  return true
}

// An extension's digits would be glued to the number (vendors/meta.md §5).
const extension = /[\s,;]*(?:ext(?:ension|n)?\.?|;ext=|x|#)[\s:=]*\d+\s*$/i
const written = /^[\s(]*\+?[\d\s().\-/\u2010-\u2015]*$/
const international = /^[\s(]*(?:\+|00)/

/** `null`: not a number, or a national one of a country that nobody named. `defaultCountry`: ISO 3166-1 alpha-2. */
export function phone(value: string, defaultCountry?: string): string | null {
  return isE164(value) ? value : fromWriting(value, defaultCountry)
}

function fromWriting(value: string, defaultCountry?: string): string | null {
  const text = value.normalize('NFKC').trim().replace(/^tel:/i, '').replace(extension, '')
  if (!written.test(text)) return null
  if (international.test(text)) {
    // "+49 (0)30 …": the zero in brackets is dialled at home only.
    const number = `+${digitsOf(text.replace('(0)', ''))}`
    return isE164(number) ? number : null
  }
  const country = defaultCountry?.toUpperCase()
  const number = country !== undefined && isSupportedCountry(country) ? national(text, country) : withoutPlus(text)
  return number !== null && isE164(number) ? number : null
}

/** As the country dials it; else with the country's code, but without the plus. Length decides: lists of valid prefixes grow old. */
function national(text: string, country: CountryCode): string | null {
  const number = parsePhoneNumberFromString(text, country)
  if (number?.isPossible()) return number.number
  const same = parsePhoneNumberFromString(`+${digitsOf(text)}`)
  return same?.isPossible() && same.countryCallingCode === getCountryCallingCode(country) ? same.number : null
}

/** Meta's own examples come without the plus: one, an area code and seven digits ("15559876543"). */
const northAmerican = /^1[2-9]\d{9}$/

/** `01(650)123-4567`: nobody but North America writes a one before an area code in brackets, whatever stands before it. */
const northAmericanWriting = /^\D*0*1[\s.-]*\([2-9]\d{2}\)[\s.-]*\d{3}[\s.-]*\d{4}$/

/**
 * No plus and no country: international only when it is a valid number of some country, or written the North American way.
 * A leading zero says that it is national. A wrong guess would match a stranger, so in doubt it is none.
 */
function withoutPlus(text: string): string | null {
  if (northAmericanWriting.test(text)) return `+${digitsOf(text)}`
  if (/^\D*0/.test(text)) return null
  const number = `+${digitsOf(text)}`
  return northAmerican.test(number.slice(1)) || parsePhoneNumberFromString(number)?.isValid() ? number : null
}

/** Only the digits, without leading zeros: the vendors' own rule. `''` when nothing is left. */
export const digitsOf = (text: string): string => text.replace(/\D+/g, '').replace(/^0+/, '')
