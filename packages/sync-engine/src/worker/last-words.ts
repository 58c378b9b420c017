/**
 * Whose last word is to be said again after a call (SYNC.md C2, C4, C16): of the people in it, and of whoever shares an identifier with them, in
 * this audience and, after a call for the whole account, in the others.
 */
import type { Tx } from '@audience-sync/db/database'
import type { Failure } from '@audience-sync/destination-kit/failure'
import type { Hmac } from '@audience-sync/vault/hmac'
import { allTags, taggedBy } from '../pure/tags.ts'
import type { RunRow } from '../store/rows.ts'
import { leaveToSayAgain, saidAgain } from '../store/say-again.ts'
import { leaveAddedToSayAgain, leaveSharersToSayAgain, recordTags } from '../store/tags.ts'
import type { OpenBatch } from './batches.ts'
import { type Job, taggingOf } from './job.ts'
import { leaveSharersElsewhere } from './opt-out.ts'

/** In the transaction that records that the platform took it. */
export async function leaveLastWords(tx: Tx, job: Job, batch: OpenBatch, tagging: Hmac): Promise<void> {
  const { row, people } = batch
  const { keys, applies, keepsOrder } = job.engine.destination.manifest
  const customers = people.map(({ customerNo }) => customerNo)
  const ordered = keepsOrder || applies === 'answer'
  if (row.repeat) await saidAgain(tx, row.audienceNo, row.no, customers)
  else await leaveToSayAgain(tx, job.scope, row.operation, ordered, customers)
  if (row.operation === 'add') {
    if (!ordered) await leaveAddedToSayAgain(tx, job.scope, () => taggedBy(tagging, keys, people))
    return
  }
  await leaveSharers(tx, job, batch, tagging)
}

async function leaveSharers(tx: Tx, job: Job, batch: OpenBatch, tagging: Hmac, doubtful = false): Promise<void> {
  const { row } = batch
  const tagged = taggedBy(tagging, job.engine.destination.manifest.keys, batch.people)
  await leaveSharersToSayAgain(tx, job.scope, row.no, allTags(tagged), { doubtful })
  if (row.manner !== 'account' || row.sharedCall !== null) return
  // What other audiences held went along.
  await recordTags(tx, job.scope, tagged)
  await leaveSharersElsewhere(tx, job, row.no, batch.people)
}

/** After these a call is made again. */
const GOES_ON: ReadonlySet<Failure['kind']> = new Set(['unknown', 'unavailable', 'throttled', 'busy', 'blocked', 'auth'])

/**
 * A removal ends refused, and an earlier try of it may have been taken. Its own people are left to do; if one comes back before that, nothing is
 * removed any more, and nobody would think of the others.
 */
export async function leaveDoubtful(job: Job, run: RunRow, batch: OpenBatch, failure: Failure): Promise<void> {
  if (batch.row.operation !== 'remove' || batch.row.state !== 'unknown' || job.former || GOES_ON.has(failure.kind)) return
  const tagging = await taggingOf(job)
  await job.lease.fenced(run.no, (tx) => leaveSharers(tx, job, batch, tagging, true))
}
