/**
 * The demo tenant's customers and behaviors: made up, the same each time, with the troubles that real ones have (capital letters,
 * blanks, numbers without country, nothing usable, no consent). Beside each person stands, worked out here on its own, what a
 * platform must hold of them: the oracle that the report compares the far side with.
 */
import { createHash } from 'node:crypto'

export interface DemoPerson {
  readonly customerId: string
  readonly identifiers: Readonly<Record<string, string>>
  readonly consent: Readonly<Record<string, unknown>>
  /** Digests that the far side must hold; null: must not be there at all. */
  readonly expected: { readonly EMAIL: string; readonly PHONE: string } | null
}

const FIRST = ['Ann', 'Bea', 'Carl', 'Dora', 'Émile', 'Fay', 'Gus', 'Hana', 'Ivo', 'Jún']
const LAST = ['Lee', 'O’Hara', 'van den Berg', 'Núñez', 'Smith', 'Kowalska', 'Ito', 'Müller', 'Diaz', 'Okafor']
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const every = (i: number, n: number, from = 0) => i % n === from

export function demoPerson(i: number): DemoPerson {
  const email = `person.${i}@demo.example`
  const phone = `1415${String(5_000_000 + (i % 4_999_999)).padStart(7, '0')}`
  const hasPhone = i % 5 < 3
  const unusable = every(i, 97, 11)
  const denied = every(i, 41, 7)
  const optedOut = every(i, 53, 9)
  const european = every(i, 20, 3)
  const europeanConsent = every(i, 40, 3)
  return {
    customerId: `c_${i}`,
    identifiers: {
      ...(unusable ? { email: `person ${i} at demo` } : { email: every(i, 3) ? `  Person.${i}@Demo.Example ` : email }),
      ...(hasPhone && !unusable && { phone: every(i, 2) ? `+${phone}` : `+1 (415) ${phone.slice(4, 7)}-${phone.slice(7)}` }),
      firstName: FIRST[i % FIRST.length] ?? '',
      lastName: LAST[i % LAST.length] ?? '',
      country: european ? 'DE' : 'US',
    },
    consent: {
      ...(european && !europeanConsent ? {} : { adUserData: denied ? 'denied' : 'granted', adPersonalization: 'granted' }),
      saleShareOptOut: optedOut,
    },
    expected: unusable || optedOut || (european ? !europeanConsent || denied : denied) ? null : { EMAIL: sha256(email), PHONE: hasPhone ? sha256(phone) : '' },
  }
}

export interface DemoBehavior {
  readonly key: string
  readonly name: string
  readonly kind: 'suggested' | 'custom'
  readonly schedule: Readonly<Record<string, string>>
  member(i: number): boolean
}

/** One customer in two, one in four, one in ten. */
export const demoBehaviors: readonly DemoBehavior[] = [
  {
    key: 'comfort-seekers',
    name: 'Comfort Seekers',
    kind: 'suggested',
    schedule: { frequency: 'daily', at: '03:00', timeZone: 'Europe/Berlin' },
    member: (i) => i % 2 === 0,
  },
  {
    key: 'value-hunters',
    name: 'Value Hunters',
    kind: 'suggested',
    schedule: { frequency: 'weekly', weekday: 'monday', at: '04:30', timeZone: 'America/New_York' },
    member: (i) => i % 4 === 1,
  },
  { key: 'loyal-regulars', name: 'Loyal Regulars', kind: 'custom', schedule: { frequency: 'manual' }, member: (i) => i % 10 === 7 },
]
