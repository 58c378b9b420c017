/** What names and places have in common. Every function answers `null` when nothing usable is left. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: a scan for "only ASCII", which needs no normalisation form
const ascii = /^[\x00-\x7f]*$/
/** Nothing to take away: most names and cities. */
const bareAlready = /^[a-z][a-z0-9]*$/
const spaceAndPunctuation = /[\s!-/:-@[-`{-~]+/g

/** Trimmed, lower case, Unicode NFC: the vendors' published digests of accented and Hangul values hold for NFC only (vendors/meta.md §5). */
export function lowerNfc(value: string): string {
  const lower = value.trim().toLowerCase()
  return ascii.test(lower) ? lower : lower.normalize('NFC')
}

/** A name without white space and ASCII punctuation; letters of any script, and digits, stay. */
export function bareName(value: string): string | null {
  const lower = value.trim().toLowerCase()
  if (bareAlready.test(lower)) return lower
  const name = lowerNfc(lower).replace(spaceAndPunctuation, '')
  return /[\p{L}\p{N}]/u.test(name) ? name : null
}

/** A city as Meta's own code makes it: `a-z` and digits; other letters go. At least one letter must be left. */
export function bareCity(value: string): string | null {
  const lower = value.trim().toLowerCase()
  if (bareAlready.test(lower)) return lower
  const city = lowerNfc(lower).replace(/[^a-z0-9]+/g, '')
  return /[a-z]/.test(city) ? city : null
}
