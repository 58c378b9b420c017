/**
 * Saying the whole list of an audience anew, in place of adding and removing: what a destination has to tell the engine about it. The engine
 * decides when (`pure/replacing.ts`), makes the batches, which are numbered in one session from 1 and the last one marked, and keeps its
 * rules (SYNC.md C21). Nothing else is said to the audience meanwhile; opt-outs go by `removeEverywhere`.
 *
 * A platform that removes by time instead ("everyone who was not ingested since T", C22) fits the same: `encode` makes plain additions,
 * `look` before the first of them is where it learns T, and what follows the last is the removal of the rest.
 */
import type { Batch, Context, EncodedRequest, SendConfig } from './contract.ts'

/** `always`: with every full run. `auto`: where it is worth it. */
export type ReplaceWish = 'auto' | 'always' | 'never'

export interface ReplaceLook {
  /**
   * ready: nothing of the session has arrived, and one may begin. begun: its first call has arrived. busy: at work, on something else, or on
   * what is left of an earlier one. failed: the platform gave the last one up; one may begin. impossible: not with this audience.
   */
  readonly state: 'ready' | 'begun' | 'busy' | 'failed' | 'impossible'
  readonly detail: string
  /** The platform's clock. */
  readonly at: Date
}

export interface ReplaceList<S = unknown> {
  /** From the first call on; what comes later is not taken. */
  readonly windowMs: number
  /** People that such an audience may have. */
  readonly peopleAtMost: number
  /** `auto`: from this many people on, and from this share of them that would be added, changed or removed. */
  readonly worthFrom: { readonly people: number; readonly share: number }
  wish(settings: S): ReplaceWish
  /** Pure. Why this choice cannot go out as one list; null: it can. */
  refusal(config: SendConfig<S>): string | null
  /** Pure, and the same bytes for the same batch; goes out by `push`. */
  encode(batch: Batch<S>): EncodedRequest
  /** Before the first call of a session, and before that call is repeated, which would begin anew. `sessionId` null: of none. */
  look(ctx: Context, audienceExternalId: string, config: SendConfig<S>, sessionId: number | null): Promise<ReplaceLook>
}
