/**
 * A batch that was refused because of some row. Where the answer names the rows, their people are refused and the others go on:
 * one call more, whatever the batch's size. Else it is split until the bad rows stand alone (F13), level by level, so that a refusal which
 * no row caused shows early: when all four quarters are refused alike the run stops with that code, after seven calls instead
 * of twice the number of people (SYNC.md C18; there the rule is "both halves", which two bad rows, one in each, would trip).
 * Calls are capped besides.
 */
import type { Failure } from '@audience-sync/destination-kit/failure'
import { encodePayload, peopleOfRows } from '../pure/payload.ts'
import { payloadOf } from '../sealer.ts'
import { copyPrivacyRemovals } from '../store/privacy-removals.ts'
import type { RunRow } from '../store/rows.ts'
import { sayAgainBy } from '../store/say-again.ts'
import { closeBatch, insertBatch, insertPayload, loadBatch, newSessionId, type OpenBatch } from './batches.ts'
import { RunFails, reasonOf } from './endings.ts'
import { type Job, storeCalls } from './job.ts'

export interface Refused {
  readonly batch: OpenBatch
  readonly failure: Failure
}

const QUARTERS = 4
const CALLS_AT_MOST = 400 // some fifteen bad rows far apart in a batch of 10,000 (2 × log2 n calls each); more is no matter of rows

export interface Bisecting {
  /** Sends one piece; answers how it was refused, or null. */
  send(piece: OpenBatch): Promise<Refused | null>
  /** Refuses everybody in a piece. */
  reject(refused: Refused): Promise<void>
  /** Ends a piece, its people left to do. */
  fail(piece: OpenBatch, failure: Failure): Promise<void>
}

export async function bisect(job: Job, run: RunRow, whole: Refused, { send, reject, fail }: Bisecting): Promise<void> {
  let level: Refused[] = [whole]
  for (let calls = 0, depth = 1; level.length > 0; depth += 1) {
    const pieces: OpenBatch[] = []
    for (const refused of level) {
      if (refused.batch.people.length === 1) await reject(refused)
      else pieces.push(...(await piecesOf(job, run, refused, reject)))
    }
    const { failure } = level[0] ?? whole
    level = []
    for (const [i, piece] of pieces.entries()) {
      if (calls >= CALLS_AT_MOST) return giveUp([...level.map(({ batch }) => batch), ...pieces.slice(i)], failure, fail)
      calls += 1
      const refused = await send(piece)
      if (refused) level.push(refused)
    }
    const alike = level.every(
      (refused) => refused.failure.code === level[0]?.failure.code && refused.failure.platform?.code === level[0]?.failure.platform?.code,
    )
    if (depth === 2 && level.length === QUARTERS && alike)
      return giveUp(
        level.map(({ batch }) => batch),
        failure,
        fail,
      )
  }
}

async function giveUp(pieces: readonly OpenBatch[], failure: Failure, fail: Bisecting['fail']): Promise<never> {
  for (const piece of pieces) await fail(piece, failure)
  throw new RunFails(reasonOf(failure))
}

/** What of a refused batch is to be sent again. */
async function piecesOf(job: Job, run: RunRow, refused: Refused, reject: Bisecting['reject']): Promise<OpenBatch[]> {
  const { batch, failure } = refused
  const byRow = peopleOfRows(batch.people)
  const named = new Set((failure.rows ?? []).map(({ row }) => byRow[row]?.customerNo))
  const blamed = batch.people.filter(({ customerNo }) => named.has(customerNo))
  const others = batch.people.filter(({ customerNo }) => !named.has(customerNo))
  if (blamed.length > 0 && others.length > 0) {
    const [aside, ...rest] = await divide(job, run, refused, [blamed, others])
    if (aside) await reject({ batch: aside, failure })
    return rest
  }
  const middle = Math.ceil(batch.people.length / 2)
  return divide(job, run, refused, [batch.people.slice(0, middle), batch.people.slice(middle)])
}

/** One transaction closes the whole and creates its parts, each a session of its own. */
async function divide(job: Job, run: RunRow, { batch, failure }: Refused, parts: readonly OpenBatch['people'][]): Promise<OpenBatch[]> {
  const { engine, audience, scope } = job
  const { keys } = engine.destination.manifest
  const seal = await engine.sealer.sealing(audience.tenantId, parts.length)
  const column = batch.row.operation === 'add' ? 'add_batch' : 'remove_batch'
  const numbers = await job.lease.fenced(run.no, async (tx) => {
    await storeCalls(tx, job, run.no, batch.row.no)
    const made: number[] = []
    for (const people of parts) {
      const session = batch.row.sessionId === null ? null : { id: newSessionId(), seq: 1, last: true }
      const { operation, lane, suppressionsAt, repeat, manner } = batch.row
      const no = await insertBatch(tx, job, run, { operation: operation as 'add' | 'remove', lane, session, people, suppressionsAt, repeat, manner })
      await insertPayload(tx, job, no, seal(encodePayload(keys, people), payloadOf(audience.no, no)))
      await tx.query(`UPDATE ledger SET ${column} = $2 WHERE audience_no = $1 AND customer_no = ANY($3) AND ${column} = $4`, [
        scope.audienceNo,
        no,
        people.map(({ customerNo }) => customerNo),
        batch.row.no,
      ])
      if (repeat)
        await sayAgainBy(
          tx,
          scope.audienceNo,
          no,
          people.map(({ customerNo }) => customerNo),
          batch.row.no,
        )
      await copyPrivacyRemovals(
        tx,
        batch.row.no,
        no,
        people.map(({ customerNo }) => customerNo),
      )
      made.push(no)
    }
    await closeBatch(tx, batch.row.no, 'split', reasonOf(failure))
    return made
  })
  job.exceptions.delete(batch.row.no)
  for (const no of numbers) job.exceptions.set(no, 'open')
  const loaded = await Promise.all(numbers.map((no) => loadBatch(job, no)))
  return loaded.filter((part) => part !== null)
}
