/**
 * What each call of a replacement meets first (SYNC.md C21): the window, which the first call opens; and before that one is made again,
 * a look whether it has arrived, because a second one would begin anew.
 */
import type { Accepted } from '@audience-sync/destination-kit/contract'
import type { Failure } from '@audience-sync/destination-kit/failure'
import { type Replacing, replacingOf, setReplacing } from '../store/replacing.ts'
import type { RunRow } from '../store/rows.ts'
import type { OpenBatch } from './batches.ts'
import { ReplaceFails, reasonOf } from './endings.ts'
import { callPlatform, type Job } from './job.ts'

/** Of the window's end: a call that begins before has ended by then. */
const MARGIN_MS = 2 * 60_000

export const listOf = ({ engine }: Pick<Job, 'engine'>) => {
  const { replaceList } = engine.destination
  if (!replaceList) throw new Error('The destination cannot replace a list.')
  return replaceList
}

const nowOf = ({ engine }: Pick<Job, 'engine'>): number => Date.now() + engine.clock.aheadMs()

/** Throws where it is too late for another call. */
export function checkWindow(job: Job, { begunAt }: Replacing): void {
  if (begunAt !== null && nowOf(job) > begunAt + listOf(job).windowMs - MARGIN_MS)
    throw new ReplaceFails({ code: 'replacement_failed', detail: 'The time for a replacement has passed.' }, true)
}

/** Keeps it on the audience's row and on the job's. */
export async function keep(job: Job, run: RunRow, replacing: Replacing): Promise<void> {
  await job.lease.fenced(run.no, (tx) => setReplacing(tx, job.audience.no, replacing))
  job.audience = { ...job.audience, replacing }
}

/** Answers what the platform has taken already; null: send it. */
export async function beforeReplacing(job: Job, run: RunRow, { row }: OpenBatch): Promise<Accepted | null> {
  const replacing = replacingOf(job.audience)
  if (replacing?.state !== 'open') throw new Error(`Batch ${row.id} belongs to no replacement that is under way.`)
  checkWindow(job, replacing)
  if (row.sessionSeq !== 1) return null
  if (row.state !== 'sending' || row.attempts > 0) {
    const look = await callPlatform(job, run.no, 'read', (ctx) => listOf(job).look(ctx, job.audience.externalId ?? '', job.config, row.sessionId))
    // As old as the call itself: what it did may have been applied since (C20).
    const ageMs = replacing.begunAt === null ? 0 : nowOf(job) - replacing.begunAt
    if (look.state === 'begun')
      return {
        rejections: [],
        unnamedRejections: 0,
        receipt: { session: sessionOf(row), replaces: true, answerLost: true },
        acceptedAt: new Date(look.at.getTime() - ageMs),
      }
    if (look.state !== 'ready') throw new ReplaceFails({ code: 'replacement_failed', detail: look.detail }, true)
  }
  await keep(job, run, { ...replacing, begunAt: nowOf(job) })
  return null
}

/** The last call, made again, is refused because the platform has finished with it: it was taken before. */
export function finishedBefore({ row }: OpenBatch, { code }: Failure): Accepted | null {
  if (row.manner !== 'replace' || !row.sessionLast || row.sentAt === null || code !== 'replacement_finished') return null
  return { rejections: [], unnamedRejections: 0, receipt: { session: sessionOf(row), replaces: true, answerLost: true }, acceptedAt: row.sentAt }
}

const sessionOf = ({ sessionId, sessionSeq }: OpenBatch['row']) => ({ session_id: sessionId, batch_seq: sessionSeq })

/** A refusal of one of its calls ends a replacement: nothing of it can be split, or left out. Of the first call, nothing has begun. */
export function refuseReplacing({ row }: OpenBatch, failure: Failure): void {
  const first = row.sessionSeq === 1
  const refused = failure.kind === 'rows' || failure.kind === 'invalid' || failure.kind === 'too_small' || (failure.kind === 'busy' && first)
  if (row.manner === 'replace' && refused) throw new ReplaceFails(reasonOf(failure), !first || row.state === 'unknown')
}
