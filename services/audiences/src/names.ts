/** Names of audiences: templates filled in when they are made, and words that a platform takes offence at. Pure. */
import type { NameRules } from '@audience-sync/destination-kit/manifest-contract'

export const templates = ['behavior', 'quarter', 'purpose', 'duration', 'date'] as const
type Template = (typeof templates)[number]

export interface NameParts {
  /** Name of the behavior. */
  readonly behavior: string
  readonly purpose: string
  /** Days; null: members stay for ever, and nothing can stand for `{duration}`. */
  readonly memberDays: number | null
  readonly now: Date
  /** IANA: whose calendar quarter and date are of. */
  readonly timeZone: string
}

export type Filled = { readonly name: string } | { readonly problem: string }

const PLACE = /\{([^{}]*)\}/g

/** `CustomerMatch - {behavior} - {quarter}` → `CustomerMatch - Comfort Seekers - Q4 2026`. */
export function fillName(template: string, parts: NameParts): Filled {
  const asked = [...template.matchAll(PLACE)].map(([, name]) => name ?? '')
  const unknown = asked.find((name) => !templates.includes(name as Template))
  if (unknown !== undefined) return { problem: `{${unknown}} stands for nothing; there are ${templates.map((one) => `{${one}}`).join(', ')}` }
  if (asked.includes('duration') && parts.memberDays === null) return { problem: '{duration} needs a setting that says how long members stay' }
  const values = valuesOf(parts)
  return { name: template.replace(PLACE, (_, name: Template) => values[name]).trim() }
}

export const hasTemplate = (name: string): boolean => name.search(PLACE) >= 0

function valuesOf({ behavior, purpose, memberDays, now, timeZone }: NameParts): Record<Template, string> {
  // Canada writes dates as ISO 8601 does.
  const date = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(now)
  const [year = '', month = ''] = date.split('-')
  return {
    // A behavior's name is data: braces in it would be a template of the next one who copies it.
    behavior: behavior.replace(/[{}\p{Cc}]/gu, ''),
    quarter: `Q${Math.ceil(Number(month) / 3)} ${year}`,
    purpose: purpose.charAt(0).toUpperCase() + purpose.slice(1),
    duration: `${memberDays}d`,
    date,
  }
}

export interface FlaggedWords {
  readonly field: 'name' | 'description'
  readonly topic: string
  readonly words: readonly string[]
}

/** Whole words, in any case, singular or plural; hyphens and underscores part words as spaces do. */
export function flaggedIn({ name, description }: { readonly name: string; readonly description: string }, rules: NameRules | undefined): FlaggedWords[] {
  const fields = [
    ['name', plain(name)],
    ['description', plain(description)],
  ] as const
  return fields.flatMap(([field, text]) =>
    (rules?.flagged ?? []).flatMap(({ topic, words }) => {
      const found = words.filter((word) => text.includes(` ${word} `) || text.includes(` ${word}s `))
      return found.length > 0 ? [{ field, topic, words: found }] : []
    }),
  )
}

const plain = (text: string): string =>
  ` ${text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .join(' ')} `

/** The first of `name (2)`, `name (3)`, … that is not among `taken` (lower case), no longer than `length`. */
export function freeName(name: string, taken: ReadonlySet<string>, length: number): string {
  for (let n = 2; ; n += 1) {
    const ending = ` (${n})`
    const next = name.slice(0, length - ending.length) + ending
    if (!taken.has(next.toLowerCase())) return next
  }
}
