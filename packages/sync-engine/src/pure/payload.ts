/** The rows of one batch with the people they belong to: what is kept, encrypted, until the outcome of the call is known. */
import type { KeySet } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { Reader, readSet, Writer, writeSet } from './sets.ts'

/**
 * What a person's change counts as when this batch ends. `none`: the other half of a replacement, or a repeat. `withdrawn`: a
 * removal for privacy, which the brake does not count. `kept`: said again after what an earlier normaliser had made of them was taken
 * away; not counted, and nothing is left to do. Stored by position: kinds are only ever added at the end.
 */
export const kinds = ['none', 'added', 'removed', 'replaced', 'withdrawn', 'kept'] as const
export type Kind = (typeof kinds)[number]

export interface BatchPerson {
  readonly customerNo: number
  readonly kind: Kind
  readonly sets: readonly KeySet[]
}

export function encodePayload(keys: readonly KeyDefinition[], people: readonly BatchPerson[]): Buffer {
  const writer = new Writer()
  for (const { customerNo, kind, sets } of people) {
    writer.number(customerNo)
    writer.byte(kinds.indexOf(kind))
    writer.byte(sets.length)
    for (const set of sets) writeSet(writer, keys, set)
  }
  return writer.bytes()
}

export function decodePayload(keys: readonly KeyDefinition[], bytes: Buffer): BatchPerson[] {
  const reader = new Reader(bytes)
  const people: BatchPerson[] = []
  while (!reader.done) {
    const customerNo = reader.number()
    const kind = kinds[reader.byte()] ?? 'none'
    const sets: KeySet[] = []
    for (let left = reader.byte(); left > 0; left -= 1) sets.push(readSet(reader, keys))
    people.push({ customerNo, kind, sets })
  }
  return people
}

/** Which person each row of the batch belongs to. */
export const peopleOfRows = (people: readonly BatchPerson[]): BatchPerson[] => people.flatMap((person) => person.sets.map(() => person))
