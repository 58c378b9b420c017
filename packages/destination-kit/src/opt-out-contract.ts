/**
 * Removing people from every audience of an account with one call: what an opt-out and an erasure want. A platform that has no such
 * call leaves it out, and people are removed audience by audience.
 */
import type { EncodedRequest, KeySet, SendConfig } from './contract.ts'

/** What is known of the account, apart from its terms: without them there is no token to speak with. */
export interface AccountStanding {
  /** The portfolio that it belongs to; null: none. */
  readonly businessId: string | null
}

export interface EverywhereBatch<S = unknown> {
  readonly accountExternalId: string
  /** Of one lane, `limits.rowsPerCall` at most. */
  readonly rows: readonly KeySet[]
  readonly config: SendConfig<S>
}

export interface RemoveEverywhere<S = unknown> {
  /** Pure. Why the platform would ignore the call without saying so; null: it works. */
  refusal(account: AccountStanding): string | null
  /** Pure, and the same bytes for the same batch; goes out by `push`, which throws `too_small` for nobody. */
  encode(batch: EverywhereBatch<S>): EncodedRequest
}
