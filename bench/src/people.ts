/** Synthetic people, the same on each run: e-mails of 26 to 32 bytes, E.164 phones, names of which a quarter is not ASCII. */
import type { Identifiers } from '@audience-sync/contracts/people'

const FIRST = ['Maria', 'James', 'Zoë', 'Olivia', 'Jürgen', 'Chen', 'Amara', 'Noah', 'Lucía', 'Emma', 'Liam', 'Priya']
const LAST = ["O'Neill", 'Smith', 'García', 'Kim', 'Müller', 'Johnson', 'Okafor', 'Rossi', 'Nowak', 'Van der Berg', 'Silva', 'Brown']
const CITIES = ['San Francisco', 'Paris', 'Austin', 'Berlin', 'Seoul', 'Lagos', 'Portland', 'Denver']

const pick = <T>(from: readonly T[], n: number): T => from[n % from.length] as T

/** Six fields, as a customer base has them: some with a capital or a blank that has to go. */
export function personOf(no: number, variant = ''): Identifiers {
  const digits = String(no).padStart(9, '0')
  const address = `customer.${digits}${variant}@example${no % 7}.com`
  return {
    email: no % 10 === 0 ? ` ${address.toUpperCase()} ` : address,
    phone: `+1415${String(2_000_000 + (no % 8_000_000))}`,
    firstName: `${pick(FIRST, no)}${no % 97}`,
    lastName: `${pick(LAST, no * 7)}${no % 89}`,
    city: pick(CITIES, no * 3),
    country: 'US',
  }
}

export const customerIdOf = (no: number): string => `c_${String(no).padStart(12, '0')}`

/** `count` different numbers of 1..`of`, in no order; none of `not`. */
export function choose(random: () => number, count: number, from: number, to: number, not: ReadonlySet<number> = new Set()): number[] {
  const chosen = new Set<number>()
  while (chosen.size < count) {
    const no = from + Math.floor(random() * (to - from + 1))
    if (!not.has(no)) chosen.add(no)
  }
  return [...chosen]
}
