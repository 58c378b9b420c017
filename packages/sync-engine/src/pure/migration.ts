/**
 * From one normaliser to another, either way. The person's data is the same, only what we make of it differs, so a removal must not
 * come first: it would take away whom nothing has happened to. The new sets are added *beside* the old ones; when the platform has
 * applied them, a later run takes old − new away and says the new once more (SYNC.md C1: over keys that match alone, exactly as sent,
 * the last word an addition). Whoever's sets are the same gets the new version without a call.
 *
 * Every step is decided from the ledger alone, so a crash anywhere repeats a step at most, and both versions may stand in one ledger.
 */
import type { KeySet } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'
import type { Known, Versions } from './diff.ts'
import { difference, type HeldSet, sameSet } from './held.ts'

/** `same`: nothing to say. `beside`: add, remove nothing yet. `clean`: the new is there, what is superseded goes. */
export type Step = 'same' | 'beside' | 'clean'

export interface Migrating {
  readonly known: Known
  /** Left to do by an earlier run: the platform may have refused what the ledger says. */
  readonly forced: boolean
  readonly held: readonly HeldSet[]
  /** What the normaliser in force makes of the person, and the fingerprint that came with it. */
  readonly sets: readonly KeySet[]
  readonly fingerprint: number
  /** The person's last addition is applied, and they were not refused. */
  readonly there: boolean
}

/** null: no migration, but a change like any other. */
export function migrationStep(keys: readonly KeyDefinition[], versions: Versions, { known, forced, held, sets, fingerprint, there }: Migrating): Step | null {
  if (known.last !== 'add' || known.fingerprint !== fingerprint || known.configVersion !== versions.configVersion) return null
  const staying = held.filter(({ removing }) => !removing)
  const leaving = staying.filter(({ set }) => difference(keys, set, sets) !== null)
  if (known.normaliser !== versions.normaliser) {
    const alike = staying.length === sets.length && sets.every((set) => staying.some((one) => sameSet(one.set, set)))
    if (alike && known.state === 'done' && !forced) return 'same'
    return leaving.length > 0 ? 'beside' : null
  }
  if (leaving.length === 0 || leaving.some(({ superseded }) => !superseded)) return null
  return there ? 'clean' : 'beside'
}

/** What is held when the new sets were added beside the old ones. Those that the new ones cover need no memory of their own. */
export const heldBeside = (keys: readonly KeyDefinition[], held: readonly HeldSet[], sets: readonly KeySet[]): HeldSet[] => [
  ...held.filter(({ set }) => difference(keys, set, sets) !== null).map((one): HeldSet => (one.removing ? one : { ...one, superseded: true })),
  ...sets.map((set) => ({ set, removing: false })),
]
