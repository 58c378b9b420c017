/** Regions and postal codes. The country, where it is known, is ISO 3166-1 alpha-2 in lower case. */
import { lowerNfc } from './text.ts'

const states = `
alabama al|alaska ak|american samoa as|arizona az|arkansas ar|california ca|colorado co|connecticut ct|delaware de|district of columbia dc
florida fl|georgia ga|guam gu|hawaii hi|idaho id|illinois il|indiana in|iowa ia|kansas ks|kentucky ky|louisiana la|maine me|maryland md
massachusetts ma|michigan mi|minnesota mn|mississippi ms|missouri mo|montana mt|nebraska ne|nevada nv|new hampshire nh|new jersey nj
new mexico nm|new york ny|north carolina nc|north dakota nd|northern mariana islands mp|ohio oh|oklahoma ok|oregon or|pennsylvania pa
puerto rico pr|rhode island ri|south carolina sc|south dakota sd|tennessee tn|texas tx|utah ut|vermont vt|virgin islands vi|virginia va
washington wa|washington dc dc|west virginia wv|wisconsin wi|wyoming wy|armed forces americas aa|armed forces europe ae|armed forces pacific ap
`
const stateCodes = new Map(
  states
    .trim()
    .split(/[|\n]/)
    .flatMap((entry) => {
      const code = entry.slice(-2)
      return [
        [entry.slice(0, -3).replaceAll(' ', ''), code],
        [code, code],
      ] as const
    }),
)

/** In the United States the two-letter code; elsewhere the name in `a-z` without spaces. Without a country, a state's name counts as one. */
export function region(value: string, country?: string): string | null {
  const name = lowerNfc(value).replace(/[^a-z]+/g, '')
  if (name === '') return null
  if (country === 'us') return stateCodes.get(name) ?? null
  return country === undefined ? (stateCodes.get(name) ?? name) : name
}

const minLength = 2
const zipPlus4 = /^(\d{5})-?\d{4}$/

/** Lower case without white space; of a US code the first five digits. Leading zeros stay. */
export function postalCode(value: string, country?: string): string | null {
  const code = lowerNfc(value).replace(/\s+/g, '')
  if (code.length < minLength || !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(code)) return null
  const zip = country === 'us' || (country === undefined && code.includes('-')) ? zipPlus4.exec(code)?.[1] : undefined
  return zip ?? code
}
