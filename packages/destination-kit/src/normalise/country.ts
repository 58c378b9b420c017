/** Countries by code or English name → ISO 3166-1 alpha-2 in lower case. */
import { countryNames } from './countries.ts'

/** Only the letters: "U.S." is "us", "Côte d’Ivoire" is "cotedivoire". */
const key = (text: string): string =>
  text
    .toLowerCase()
    .normalize('NFD')
    .replaceAll('&', 'and')
    .replace(/[^a-z]+/g, '')

/** Names in daily use that CLDR does not list, and the one code that everybody gets wrong. */
const aliases: Readonly<Record<string, string>> = {
  uk: 'gb',
  usa: 'us',
  unitedstatesofamerica: 'us',
  america: 'us',
  greatbritain: 'gb',
  england: 'gb',
  scotland: 'gb',
  wales: 'gb',
  northernireland: 'gb',
  gbr: 'gb',
  czechrepublic: 'cz',
  deutschland: 'de',
  holland: 'nl',
  thenetherlands: 'nl',
  turkey: 'tr',
  hongkong: 'hk',
  macau: 'mo',
  macao: 'mo',
  ivorycoast: 'ci',
  russianfederation: 'ru',
  republicofkorea: 'kr',
  korea: 'kr',
  vietnam: 'vn',
  uae: 'ae',
  burma: 'mm',
  myanmar: 'mm',
  macedonia: 'mk',
  swaziland: 'sz',
  caboverde: 'cv',
  easttimor: 'tl',
  palestine: 'ps',
  democraticrepublicofthecongo: 'cd',
  republicofthecongo: 'cg',
}

const codes = new Map<string, string>()
for (const [code, name] of countryNames) {
  const lower = code.toLowerCase()
  codes.set(lower, lower)
  codes.set(key(name), lower)
}
for (const [name, code] of Object.entries(aliases)) codes.set(name, code)

export function country(value: string): string | null {
  const asWritten = codes.get(value.toLowerCase())
  if (asWritten !== undefined) return asWritten
  // Digits make it something else: "U1" is not "u", and "12" is no name.
  return /\d/.test(value) ? null : (codes.get(key(value)) ?? null)
}
