/**
 * How far the platform is with what it accepted, where it says more than the answers to uploads did: read at the first look after an
 * upload and at the one that finds it applied, stored in the batches' receipts, and shown with their run. Hints only: whatever goes
 * wrong here is left alone, and nothing waits.
 */
import type { Tx } from '@audience-sync/db/database'
import type { AcceptedBatch, Settled } from '@audience-sync/destination-kit/contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import type { SessionProgress } from '@audience-sync/destination-kit/progress-contract'
import { RunFails, RunWaits } from './worker/endings.ts'

const SESSIONS_AT_ONCE = 10 // a look's own reads come first; a run has a few sessions, one for each operation and lane

export interface Told {
  readonly batchIds: readonly string[]
  readonly progress: SessionProgress
}

/** The sessions worth a read now, each with its batches. */
export function sessionsToRead(
  of: (receipt: Readonly<Record<string, unknown>>) => string | null,
  accepted: readonly AcceptedBatch[],
  settled: readonly Settled[],
): ReadonlyMap<string, readonly string[]> {
  const applied = new Set(settled.filter(({ state }) => state === 'applied').map(({ batchId }) => batchId))
  const batches = new Map<string, string[]>()
  const worth = new Set<string>()
  for (const { batchId, receipt } of accepted) {
    const session = of(receipt)
    if (session === null) continue
    batches.set(session, [...(batches.get(session) ?? []), batchId])
    if (applied.has(batchId) || !('progress' in receipt)) worth.add(session)
  }
  return new Map([...batches].filter(([session]) => worth.has(session)).slice(0, SESSIONS_AT_ONCE))
}

/** `read` makes one call each, quota taken; the first that fails ends it. */
export async function readSessions(
  sessions: ReadonlyMap<string, readonly string[]>,
  read: (session: string) => Promise<SessionProgress | null>,
): Promise<Told[]> {
  const told: Told[] = []
  try {
    for (const [session, batchIds] of sessions) {
      const progress = await read(session)
      if (progress) told.push({ batchIds, progress })
    }
  } catch (error) {
    if (!(error instanceof DestinationError || error instanceof RunWaits || error instanceof RunFails)) throw error
  }
  return told
}

/** Into the receipts; what the platform remarked on applied batches beside it. */
export async function keepWords(tx: Tx, audienceNo: number, told: readonly Told[], settled: readonly Settled[]): Promise<void> {
  const add = (ids: readonly string[], words: object) =>
    tx.query('UPDATE batch SET receipt = receipt || $3::jsonb WHERE audience_no = $1 AND id = ANY($2::uuid[])', [audienceNo, ids, JSON.stringify(words)])
  for (const { batchIds, progress } of told) await add(batchIds, { progress })
  for (const word of settled) if (word.state === 'applied' && word.remarks?.length) await add([word.batchId], { remarks: word.remarks })
}
