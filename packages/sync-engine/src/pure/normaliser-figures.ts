/**
 * What another normaliser would change, counted person by person. Examples show the *kind* of change: the shape of the fields that were
 * read, every run of letters as one `a` and of digits as one `0`, so that nobody can be told from another.
 */
import type { KeySet, Person, Prepared } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { readDigest } from '@audience-sync/destination-kit/normalise/digest'
import { sameSet } from './held.ts'

const EXAMPLES = 3 // of one kind of change: more of them say the same

/** other: both have it, with another value. gained, lost: only the new one has it, only the present one. */
export type KeyChange = 'other' | 'gained' | 'lost'

export interface Example {
  readonly key: string
  readonly change: KeyChange
  /** By field. */
  readonly shape: Readonly<Record<string, string>>
}

export interface NormaliserFigures {
  checked: number
  /** Who would be said otherwise; those who would begin or cease to be usable are counted apart. */
  changed: number
  becomeUsable: number
  becomeUnusable: number
  /** By key: people whose values of it differ, of all three kinds. */
  readonly byKey: Record<string, Record<KeyChange, number>>
  readonly examples: Example[]
}

export const noFigures = (): NormaliserFigures => ({ checked: 0, changed: 0, becomeUsable: 0, becomeUnusable: 0, byKey: {}, examples: [] })

/** Counts one person: as the normaliser in force makes them, and as the other one would. */
export function count(figures: NormaliserFigures, keys: readonly KeyDefinition[], person: Person, present: Prepared, other: Prepared): void {
  figures.checked += 1
  const alike = present.sets.length === other.sets.length && present.sets.every((set) => other.sets.some((one) => sameSet(one, set)))
  if (alike) return
  if (present.rejected) figures.becomeUsable += 1
  else if (other.rejected) figures.becomeUnusable += 1
  else figures.changed += 1
  keys.forEach(({ name }, i) => {
    const change = changeOf(valuesAt(present.sets, i), valuesAt(other.sets, i))
    if (!change) return
    const counts = figures.byKey[name] ?? { other: 0, gained: 0, lost: 0 }
    figures.byKey[name] = { ...counts, [change]: counts[change] + 1 }
    example(figures.examples, { key: name, change, shape: shapesOf(person) })
  })
}

const valuesAt = (sets: readonly KeySet[], i: number): string[] => [...new Set(sets.map((set) => set[i] ?? '').filter(Boolean))].sort()

function changeOf(before: readonly string[], after: readonly string[]): KeyChange | null {
  if (before.join('\n') === after.join('\n')) return null
  if (before.length === 0) return 'gained'
  return after.length === 0 ? 'lost' : 'other'
}

function example(examples: Example[], one: Example): void {
  const like = examples.filter(({ key, change }) => key === one.key && change === one.change)
  const text = JSON.stringify(one.shape)
  if (like.length < EXAMPLES && !like.some(({ shape }) => JSON.stringify(shape) === text)) examples.push(one)
}

const shapesOf = ({ identifiers }: Person): Record<string, string> =>
  Object.fromEntries(
    Object.entries(identifiers).flatMap(([field, value]) => {
      const [first] = typeof value === 'string' ? [value] : (value ?? [])
      return first ? [[field, shapeOf(first)]] : []
    }),
  )

const LONGEST = 40 // of a shape: nothing but punctuation could be longer, and that says no more

/** `Ann.Lee+news@example.com` → `a.a+a@a.a`. */
export const shapeOf = (text: string): string =>
  readDigest(text) !== undefined
    ? 'hashed'
    : text
        .replace(/[\p{L}\p{M}]+/gu, 'a')
        .replace(/\p{N}+/gu, '0')
        .replace(/\s+/gu, ' ')
        .slice(0, LONGEST)
