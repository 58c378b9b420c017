/**
 * Sends one stored batch until its outcome is known, or says how the run goes on without it. The only place where a platform's
 * answer becomes state. Resends carry the same bytes: their digest is stored with the first attempt and compared (DESIGN.md §2.5).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Grant } from '@audience-sync/contracts/internal/grants'
import type { Tx } from '@audience-sync/db/database'
import type { Accepted } from '@audience-sync/destination-kit/contract'
import { DestinationError, type Failure, type RowRejection } from '@audience-sync/destination-kit/failure'
import { REJECTED_TRIES } from '../options.ts'
import { peopleOfRows } from '../pure/payload.ts'
import { firstPauseMs, givesUp, type StoredPolicy } from '../pure/retry-policy.ts'
import { forgetRemoved } from '../store/forget.ts'
import { leave, neverAdded, type TodoReason } from '../store/ledger.ts'
import { type Rejected, reject, withNewcomers } from '../store/rejections.ts'
import type { RunRow } from '../store/rows.ts'
import { postpone } from '../store/say-again.ts'
import { closeBatch, digestOf, dropPeople, type OpenBatch, requestOf, tombstoned } from './batches.ts'
import { bisect, type Refused } from './bisect.ts'
import { failsWith, ReplaceFails, RunFails, RunWaits, reasonOf } from './endings.ts'
import { inTenant } from './engine.ts'
import { backoffMs, contextOf, grantOf, type Job, meet, notBlocked, storeCalls, taggingOf, takeQuota } from './job.ts'
import { leaveDoubtful, leaveLastWords } from './last-words.ts'
import { mayRemoveEverywhere } from './opt-out.ts'
import { beforeReplacing, finishedBefore, refuseReplacing } from './replacement-call.ts'
import { holdUntilLarger, tryShrinkingAgain } from './too-small.ts'

/** Sends `batch`, which is stored as `sending`. Returns when it is accepted, rejected, split or dissolved. */
export async function sendBatch(job: Job, run: RunRow, stored: OpenBatch, quotaTaken = false): Promise<void> {
  const refused = await sendWhole(job, run, stored, quotaTaken)
  if (!refused) return
  await bisect(job, run, refused, {
    send: (piece) => sendWhole(job, run, piece, false),
    reject: ({ batch, failure }) => rejectAll(job, run, batch, failure),
    fail: (piece, failure) => ended(job, run, piece, 'failed', failure, 'failed', peopleIn(piece)),
  })
}

const numbersOf = ({ people }: OpenBatch, kind: string): number[] => people.filter((person) => person.kind === kind).map(({ customerNo }) => customerNo)
const peopleIn = ({ people }: OpenBatch): number[] => people.map(({ customerNo }) => customerNo)

/** Answers how the batch was refused because of some row; null when its outcome is known. */
async function sendWhole(job: Job, run: RunRow, stored: OpenBatch, quotaTaken: boolean): Promise<Refused | null> {
  let batch = stored
  let request = requestOf(job, run, batch)
  let sha256 = digestOf(request.body)
  if (batch.row.sha256 && !batch.row.sha256.equals(sha256)) throw new Error(`Batch ${batch.row.id} would be sent with other bytes than before.`)
  for (let attempt = batch.row.attempts; ; attempt += 1) {
    const grant = await grantOf(job)
    if (!quotaTaken || attempt > 0) await takeQuota(job, grant.tier, 'write')
    await notBlocked(job)
    // What turns out to be taken is not made again, whoever has opted out since: their removal follows it.
    const taken = batch.row.manner === 'replace' ? await beforeReplacing(job, run, batch) : null
    if (taken) {
      await recordAccepted(job, run, batch, taken)
      return null
    }
    const allowed = await withoutSuppressed(job, run, batch)
    if (!allowed) return null
    if (allowed !== batch) {
      batch = allowed
      request = requestOf(job, run, batch)
      sha256 = digestOf(request.body)
    }
    await intent(job, run, batch, sha256)
    try {
      const accepted = await job.engine.destination.push(contextOf(job, grant), request)
      await recordAccepted(job, run, batch, accepted)
      return null
    } catch (error) {
      if (!(error instanceof DestinationError)) throw error
      const finished = finishedBefore(batch, error.failure)
      if (finished) {
        await recordAccepted(job, run, batch, finished)
        return null
      }
      refuseReplacing(batch, error.failure)
      await leaveDoubtful(job, run, batch, error.failure)
      if (error.failure.kind === 'rows') return { batch, failure: error.failure }
      const done = await afterFailure(job, run, batch, grant, error.failure, attempt)
      if (done) return null
    }
  }
}

/**
 * The batch is committed, now the tombstones, before every try (C10): whoever was suppressed since the fetch is taken out. Where an
 * earlier try may have been taken the bytes cannot change: it is not made again, their removal is on its way, the others are said anew
 * (C11). null: there is nothing to send.
 */
async function withoutSuppressed(job: Job, run: RunRow, batch: OpenBatch): Promise<OpenBatch | null> {
  const gone = await inTenant(job.engine, job.lease.tenantId, (tx) => tombstoned(tx, job, batch))
  if (gone.size === 0) return batch
  if (batch.row.state !== 'unknown') return dropPeople(job, run, batch, gone)
  // A place in a session cannot be left out: the whole of it is given up.
  if (batch.row.manner === 'replace')
    throw new ReplaceFails({ code: 'replacement_failed', detail: 'Somebody opted out of a part whose outcome is unknown.' }, true)
  await ended(job, run, batch, 'abandoned', null, 'in_flight', peopleIn(batch))
  return null
}

/** The lease is whole and the attempt is on record, before the call (S-4, C16). */
async function intent(job: Job, run: RunRow, batch: OpenBatch, sha256: Buffer): Promise<void> {
  const { row } = batch
  await job.lease.extend()
  await job.lease.fenced(run.no, (tx) =>
    tx.query(`UPDATE batch SET state = 'sending', attempts = attempts + 1, sent_at = coalesce(sent_at, now()), sha256 = $2 WHERE no = $1`, [row.no, sha256]),
  )
  batch.row = { ...row, sentAt: row.sentAt ?? new Date() }
}

export async function recordAccepted(job: Job, run: RunRow, batch: OpenBatch, accepted: Accepted): Promise<void> {
  const { row, people } = batch
  const byRow = peopleOfRows(people)
  const refused = new Map<number, Rejected>()
  for (const { row: index, code, platform } of accepted.rejections) {
    const person = byRow[index]
    if (person) refused.set(person.customerNo, { customerNo: person.customerNo, code, platform })
  }
  const { applies, refusesLate = false } = job.engine.destination.manifest
  const tagging = await taggingOf(job)
  await job.lease.fenced(run.no, async (tx) => {
    await storeCalls(tx, job, run.no, row.no)
    await rejectPeople(tx, job, run, batch, [...refused.values()])
    // A removal that was refused to somebody, who knows whom: all are removed again, a few times (C24).
    if (row.operation === 'remove' && accepted.unnamedRejections > 0) {
      const everyone = people.map(({ customerNo }) => customerNo)
      await leaveOver(tx, job, run.no, asOf(run, 'rejected'), everyone, REJECTED_TRIES)
    }
    // A replacement whose removal was refused is refused, though its addition was taken (C1).
    const halves =
      row.replaced > 0
        ? await refusedHalves(
            tx,
            run,
            people.filter(({ kind }) => kind === 'replaced').map(({ customerNo }) => customerNo),
          )
        : new Set<number>()
    const lost = (...of: string[]) =>
      people.filter((person) => of.includes(person.kind) && (refused.has(person.customerNo) || halves.has(person.customerNo))).length
    // A repetition that was needless has no effect that the platform could show: nothing waits for it (C4).
    // A former audience is not watched either: it is told twice. Where every row was refused there is nothing that could show (C20).
    const refusedRows = accepted.rejections.length + accepted.unnamedRejections
    const effectless = row.manner !== 'replace' && refusedRows > 0 && refusedRows >= byRow.length
    const applied = applies === 'answer' || row.repeat || job.former === true || effectless
    // Sent more than once, the first sending may be the one that had the effect: the platform's clock is set back to it (C20).
    await tx.query(
      `UPDATE batch SET state = $2, accepted_at = now(), platform_accepted_at = $3::timestamptz - CASE WHEN attempts > 1 THEN now() - sent_at ELSE interval '0' END, applied_at = CASE WHEN $2 = 'applied' THEN now() END, receipt = $4,
         rejected_added = $5, rejected_removed = $6, rejected_replaced = $7, unnamed_rejections = $8, confirmed = NOT repeat AND NOT $9 WHERE no = $1`,
      [
        row.no,
        applied ? 'applied' : 'accepted',
        accepted.acceptedAt,
        JSON.stringify(accepted.receipt),
        lost('added'),
        lost('removed', 'withdrawn'),
        lost('replaced'),
        accepted.unnamedRejections,
        job.former === true,
      ],
    )
    // A late refusal names rows: they are kept until the platform has said its last word.
    if (applied || !refusesLate) await tx.query('DELETE FROM batch_payload WHERE batch_no = $1', [row.no])
    if (job.former) return
    await leaveLastWords(tx, job, batch, tagging)
    if (applied && !effectless && row.operation === 'add') await tryShrinkingAgain(tx, job.audience)
    // What a repetition did is not seen: whoever it removed is forgotten when it can have no effect any more.
    if (applied && row.operation === 'remove' && !(row.repeat && applies === 'settle')) await forgetRemoved(tx, row.audienceNo, [row.no])
    if (!applied) await tx.query(`UPDATE audience SET settle_at = coalesce(settle_at, now()) WHERE no = $1`, [job.audience.no])
  })
  job.exceptions.delete(row.no)
}

/** For a later run; of a former audience they are left in a list of their own already. */
async function leaveOver(tx: Tx, { scope, former }: Job, ...rest: [runNo: number | null, reason: TodoReason, people: readonly number[], triesAtMost?: number]) {
  if (!former) await leave(tx, scope, ...rest)
}

/** Whoever may not be there stays first until they are gone, whatever became of one call (R7). */
const asOf = ({ trigger }: RunRow, reason: TodoReason): TodoReason => (trigger === 'privacy' ? 'privacy' : reason)

async function refusedHalves(tx: Tx, run: RunRow, customers: readonly number[]): Promise<Set<number>> {
  const { rows } = await tx.query<{ customer_no: number }>(
    `SELECT customer_no FROM rejection WHERE run_no = $1 AND operation = 'remove' AND customer_no = ANY($2)`,
    [run.no, customers],
  )
  return new Set(rows.map(({ customer_no }) => customer_no))
}

async function rejectPeople(tx: Tx, job: Job, run: RunRow, { row, people }: OpenBatch, refused: readonly Rejected[]): Promise<void> {
  if (refused.length === 0) return
  await reject(tx, job.scope, run.no, row.no, row.operation, withNewcomers(people, refused))
  await leaveOver(
    tx,
    job,
    run.no,
    asOf(run, 'rejected'),
    refused.map(({ customerNo }) => customerNo),
    REJECTED_TRIES,
  )
}

/** Answers true when the batch is done with; false: try again. Or throws how the run goes on. */
async function afterFailure(job: Job, run: RunRow, batch: OpenBatch, grant: Grant, failure: Failure, attempt: number): Promise<boolean> {
  const { engine } = job
  switch (failure.kind) {
    case 'unknown':
      await moved(job, run, batch, 'unknown', failure)
      return again(job, run, failure, attempt)
    case 'unavailable':
      // Surely not done, unless an earlier attempt may have been.
      await moved(job, run, batch, batch.row.state === 'unknown' ? 'unknown' : 'planned', failure)
      return again(job, run, failure, attempt)
    case 'too_small':
      if (run.trigger === 'privacy' && mayRemoveEverywhere(job, grant)) {
        // R7: their call for the whole account is next.
        await ended(job, run, batch, 'dissolved', failure, 'privacy', peopleIn(batch))
        job.tooSmall = [...(job.tooSmall ?? []), ...peopleIn(batch)]
      } else await rejectAll(job, run, batch, failure)
      return true
    case 'throttled':
    case 'busy':
    case 'blocked':
    case 'auth':
      await moved(job, run, batch, batch.row.state === 'unknown' ? 'unknown' : 'planned', failure)
      await meet(job, grant, failure, attempt)
      return false
    default:
      await ended(job, run, batch, 'failed', failure, 'failed', peopleIn(batch))
      // What we may not do to an audience that we have left says nothing of the connection.
      if (!job.former && (failure.kind === 'permission' || failure.kind === 'terms'))
        await engine.grants.report(job.audience.tenantId, grant, failure.kind === 'terms' ? 'terms_not_signed' : 'permission_denied', failure.platform)
      throw failsWith(failure)
  }
}

async function again({ engine, audience, lease }: Job, run: RunRow, failure: Failure, attempt: number): Promise<false> {
  const policy = audience.retryPolicy as StoredPolicy
  const waitMs = Math.max(failure.retryAfterMs ?? 0, backoffMs(engine, attempt, firstPauseMs(policy, engine.options.backoffMs)))
  if (givesUp(policy, attempt + 1, run.startedAt, Date.now())) throw new RunFails(reasonOf(failure))
  if (waitMs > engine.options.patienceMs) throw new RunWaits(waitMs, reasonOf(failure))
  await sleep(waitMs, undefined, { signal: lease.signal })
  return false
}

/** planned: this try, and every one before it, was surely not taken, and does not count as one: nothing of it can land later. */
async function moved(job: Job, run: RunRow, batch: OpenBatch, state: 'unknown' | 'planned', failure: Failure): Promise<void> {
  await job.lease.fenced(run.no, async (tx) => {
    await storeCalls(tx, job, run.no, batch.row.no)
    await tx.query(`UPDATE batch SET state = $2, failure = $3, attempts = CASE WHEN $2 = 'planned' THEN 0 ELSE attempts END WHERE no = $1`, [
      batch.row.no,
      state,
      JSON.stringify(reasonOf(failure)),
    ])
  })
  batch.row = { ...batch.row, state }
}

/** Everybody in it, with the code of their own row where the answer has one. */
const rejectAll = async (job: Job, run: RunRow, batch: OpenBatch, failure: Failure, own: ReadonlyMap<number, RowRejection> = new Map()): Promise<void> => {
  await job.lease.fenced(run.no, async (tx) => {
    await storeCalls(tx, job, run.no, batch.row.no)
    await rejectPeople(
      tx,
      job,
      run,
      batch,
      batch.people.map(({ customerNo }) => {
        const { code, platform } = own.get(customerNo) ?? failure
        return { customerNo, code, platform }
      }),
    )
    if (batch.row.repeat) await postpone(tx, job.audience.no, peopleIn(batch))
    if (failure.kind === 'too_small' && !job.former) await holdUntilLarger(tx, job, run, peopleIn(batch), reasonOf(failure))
    await closeBatch(tx, batch.row.no, 'rejected', reasonOf(failure))
  })
  job.exceptions.set(batch.row.no, 'failed')
}

/** Ends a batch other than accepted: its people are left to do in the same transaction (C3), of a batch that was never taken also for this very run. */
export async function ended(
  job: Job,
  run: RunRow,
  batch: OpenBatch,
  state: 'failed' | 'dissolved' | 'cancelled' | 'abandoned',
  failure: Failure | null,
  reason: TodoReason,
  people: readonly number[],
): Promise<void> {
  await job.lease.fenced(run.no, async (tx) => {
    await storeCalls(tx, job, run.no, batch.row.no)
    const neverTaken = state === 'dissolved' || state === 'cancelled'
    await leaveOver(tx, job, neverTaken ? null : batch.row.runNo, asOf(run, reason), people)
    if (neverTaken) await neverAdded(tx, batch.row.audienceNo, batch.row.no, numbersOf(batch, 'added'))
    await closeBatch(tx, batch.row.no, state, failure && reasonOf(failure))
  })
  job.exceptions.set(batch.row.no, 'failed')
}
