/** How the platform shows the audience, as last read: what it says of its state, and of its size. */
import type { Tx } from '@audience-sync/db/database'
import type { FarAudience } from '@audience-sync/destination-kit/contract'
import type { AudienceRow } from './rows.ts'
import { note } from './status.ts'

/** Of `audience.farState`. */
export interface FarState {
  readonly state: FarAudience['state']
  readonly detail: string
  /** ISO 8601. */
  readonly asOf: string
}

/** Changes are lines of the history. A platform that tells no size leaves the last one standing. */
export async function tellFar(tx: Tx, audience: AudienceRow, { size, bounds, state, detail }: FarAudience): Promise<void> {
  const before = audience.farState as FarState | null
  const asOf = new Date().toISOString()
  await tx.query('UPDATE audience SET far_state = $2 WHERE no = $1', [audience.no, JSON.stringify({ state, detail, asOf } satisfies FarState)])
  if (before?.state !== state) await note(tx, audience, 'destination', { from: before?.state ?? null, to: state, detail })
  if (size === null) return
  await tx.query('UPDATE audience SET size_destination = $2, size_as_of = now() WHERE no = $1', [audience.no, size])
  if (size !== audience.sizeDestination) await note(tx, audience, 'size', { destination: size, ...bounds })
}
