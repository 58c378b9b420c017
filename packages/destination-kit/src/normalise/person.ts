/** Gender and date of birth. */

const genders: Readonly<Record<string, 'm' | 'f'>> = {
  m: 'm',
  male: 'm',
  man: 'm',
  boy: 'm',
  f: 'f',
  female: 'f',
  woman: 'f',
  girl: 'f',
}

/** `m` or `f`; a word that says neither is never guessed. */
export function gender(value: string): 'm' | 'f' | null {
  const word = value.trim().toLowerCase()
  return Object.hasOwn(genders, word) ? (genders[word] ?? null) : null
}

const firstYear = 1900
const months = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december']

const padded = (value: string, last: number): string | null => {
  if (!/^\d{1,2}$/.test(value)) return null
  const number = Number(value)
  return number >= 1 && number <= last ? value.padStart(2, '0') : null
}

export const birthDay = (value: string): string | null => padded(value.trim(), 31)

/** A number, or the English name. */
export function birthMonth(value: string): string | null {
  const text = value.trim().toLowerCase()
  const named = months.indexOf(text)
  return named >= 0 ? String(named + 1).padStart(2, '0') : padded(text, 12)
}

export function birthYear(value: string, today: Date = new Date()): string | null {
  const text = value.trim()
  return /^\d{4}$/.test(text) && Number(text) >= firstYear && Number(text) <= today.getUTCFullYear() ? text : null
}

export interface BirthDate {
  readonly year: string
  readonly month: string
  readonly day: string
}

/** `YYYY-MM-DD`, also with slashes or dots, with a time behind it, or as eight digits; a day that the calendar has, not in the future. */
export function birthDate(value: string, today: Date = new Date()): BirthDate | null {
  const parts = /^(\d{4})([-/.]?)([A-Za-z]+|\d{1,2})\2(\d{1,2})(?:T.*)?$/.exec(value.trim())
  const year = birthYear(parts?.[1] ?? '', today)
  const month = birthMonth(parts?.[3] ?? '')
  const day = birthDay(parts?.[4] ?? '')
  if (year === null || month === null || day === null) return null
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`)
  // JavaScript rolls 30 February over into March.
  return date.getUTCDate() === Number(day) && date <= today ? { year, month, day } : null
}
