/**
 * More than one way to make rows of a person. The one in force is `manifest.normaliserVersion` with `prepare`; beside it a destination may
 * carry newer ones, which run in shadow until they are chosen, and older ones to go back to. Which one is in force is configuration of
 * the connector; the ledger remembers for each person which one made their rows.
 */
import type { Person, Prepared, SendConfig } from './contract.ts'

export interface Normaliser<S = unknown> {
  /** Positive, below 32,768, never used again for another meaning: it is stored with every row. */
  readonly version: number
  /** Pure, as `Destination.prepare`, over the same keys. */
  prepare(person: Person, config: SendConfig<S>): Prepared
}
