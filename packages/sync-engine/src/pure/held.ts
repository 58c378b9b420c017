/**
 * What the far side may hold of one person (`held`): every key set that was ever sent and not surely taken away again.
 * A set enters before it is sent and leaves only after a removal that names it was applied (SYNC.md C12); `removing` marks
 * those that the ledger row's last removal names.
 *
 * A replacement removes old − new only, over keys that match alone, so that it cannot delete whom it keeps (C1). A leaver's
 * removal carries each set exactly as it was sent (R1). What an earlier normaliser made of the same data is `superseded`: it stays
 * until what takes its place is there (pure/migration.ts).
 */
import type { KeySet } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { Reader, readSet, Writer, writeSet } from './sets.ts'

export interface HeldSet {
  readonly set: KeySet
  readonly removing: boolean
  /** Made by an earlier normaliser; goes when what takes its place is applied. */
  readonly superseded?: true
}

const REMOVING = 1
const SUPERSEDED = 2

export function encodeHeld(keys: readonly KeyDefinition[], held: readonly HeldSet[]): Buffer {
  const writer = new Writer()
  for (const { set, removing, superseded } of held) {
    writer.byte((removing ? REMOVING : 0) | (superseded ? SUPERSEDED : 0))
    writeSet(writer, keys, set)
  }
  return writer.bytes()
}

export function decodeHeld(keys: readonly KeyDefinition[], bytes: Buffer): HeldSet[] {
  const reader = new Reader(bytes)
  const held: HeldSet[] = []
  while (!reader.done) {
    const marks = reader.byte()
    held.push({ removing: (marks & REMOVING) !== 0, ...(marks & SUPERSEDED && { superseded: true }), set: readSet(reader, keys) })
  }
  return held
}

/** How the last removal ended: its sets are gone, still on their way, or were not taken. */
export type RemovalState = 'applied' | 'open' | 'not_done'

/** What is held now that the last removal's state is known. */
export function settleHeld(held: readonly HeldSet[], removal: RemovalState): HeldSet[] {
  if (removal === 'applied') return held.filter(({ removing }) => !removing)
  if (removal === 'open') return [...held]
  return held.map((one) => ({ ...one, removing: false }))
}

export const sameSet = (a: KeySet, b: KeySet): boolean => a.length === b.length && a.every((value, i) => value === b[i])
const matchesAlone = (keys: readonly KeyDefinition[], set: KeySet): boolean => set.some((value, i) => value !== '' && keys[i]?.matchesAlone === true)

/** The row that removes of `old` what none of `kept` has, or null when nothing of it has to go. */
export function difference(keys: readonly KeyDefinition[], old: KeySet, kept: readonly KeySet[]): KeySet | null {
  if (!matchesAlone(keys, old)) return kept.some((set) => sameSet(set, old)) ? null : old
  const rest = old.map((value, i) => (keys[i]?.matchesAlone && !kept.some((set) => set[i] === value) ? value : ''))
  return rest.some((value) => value !== '') ? rest : null
}

/** Every key of `old` that matches alone is one of `kept` too: removing those removes this. */
const covered = (keys: readonly KeyDefinition[], old: KeySet, kept: readonly KeySet[]): boolean => difference(keys, old, kept) === null

export interface Replacement {
  /** Rows to remove, first; may be none. */
  readonly remove: readonly KeySet[]
  readonly heldAfterRemove: readonly HeldSet[]
  /** After the additions are stored too. */
  readonly heldAfterAdd: readonly HeldSet[]
}

/** From what is held to `sets`. Old sets that the new ones cover need no memory of their own: removing the new removes them. */
export function planReplacement(keys: readonly KeyDefinition[], held: readonly HeldSet[], sets: readonly KeySet[]): Replacement {
  const remove: KeySet[] = []
  const leaving: HeldSet[] = []
  for (const { set } of held) {
    const row = difference(keys, set, sets)
    if (!row) continue
    if (!remove.some((other) => sameSet(other, row))) remove.push(row)
    leaving.push({ set, removing: true })
  }
  const staying = held.filter(({ set }) => covered(keys, set, sets)).map(({ set }) => ({ set, removing: false }))
  return { remove, heldAfterRemove: [...leaving, ...staying], heldAfterAdd: [...leaving, ...sets.map((set) => ({ set, removing: false }))] }
}

/** Everything that may be there, as it was sent. */
export function planRemoval(held: readonly HeldSet[]): { readonly remove: readonly KeySet[]; readonly heldAfter: readonly HeldSet[] } {
  const remove: KeySet[] = []
  for (const { set } of held) if (!remove.some((other) => sameSet(other, set))) remove.push(set)
  return { remove, heldAfter: held.map(({ set }) => ({ set, removing: true })) }
}
