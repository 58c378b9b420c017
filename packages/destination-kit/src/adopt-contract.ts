/** Keeping in step an audience that somebody else made. Optional members of a `Destination`. */
import type { Context, FarAudience } from './contract.ts'

export interface Adopting<S = unknown> {
  /**
   * Looks at an audience before the first word to it; missing: it only has to be there. Throws a `DestinationError` that says why it
   * cannot be kept in step: of another kind, not ours to edit, flagged, gone, or made with other settings. Whoever was in it before
   * stays, unknown to us.
   */
  adoptAudience?(ctx: Context, externalId: string, wanted: { readonly settings: S }): Promise<FarAudience>
}
