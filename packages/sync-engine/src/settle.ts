/**
 * Accepted is not applied: where the platform works on, it is asked until it has finished with every accepted batch. Nothing
 * waits on its word for ever (SYNC.md C20): after 48 hours the audience says `platform_slow`, after seven days a run
 * completes with what was confirmed and says `unconfirmed`.
 */
import { orm, type Tx } from '@audience-sync/db/database'
import type { AcceptedBatch, FarAudience, Settled } from '@audience-sync/destination-kit/contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import { and, eq, inArray } from 'drizzle-orm'
import { settleBatch } from './late.ts'
import { SLOW_AFTER, UNCONFIRMED_AFTER } from './options.ts'
import { keepWords, readSessions, sessionsToRead, type Told } from './progress.ts'
import { requestCheck, requestRun } from './requests.ts'
import { batch } from './schema/batch.ts'
import { tellFar } from './store/far-state.ts'
import { requestFollowUp } from './store/follow-up.ts'
import { forgetRemoved } from './store/forget.ts'
import { endReplacing, giveUpReplacing, replacingOf } from './store/replacing.ts'
import { type AudienceRow, type BatchRow, readAudience, readRun } from './store/rows.ts'
import { leaveUnconfirmed } from './store/say-again.ts'
import { announce, setStatus } from './store/status.ts'
import { complete, restStatus } from './worker/close.ts'
import { RunFails, RunWaits, reasonOf } from './worker/endings.ts'
import { type Engine, inTenant } from './worker/engine.ts'
import { contextOf, grantOf, meet, type Speaker, storeCalls, takeQuota } from './worker/job.ts'
import { tryShrinkingAgain } from './worker/too-small.ts'

const BATCHES = 1_000 // of one audience at once; the rest comes in the next look
const TROUBLE_FACTOR = 4 // a look that failed is not repeated as soon as one that found work in progress

/** Looks after one audience whose time has come. Answers true when there was one. */
export async function settleOne(engine: Engine, stopping: AbortSignal): Promise<boolean> {
  const { db, destinationNo, options } = engine
  const { rows } = await db.pool.query<{ no: number; tenant_id: string }>(
    `WITH due AS (SELECT no FROM audience WHERE destination_no = $1 AND settle_at <= now() ORDER BY settle_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
     UPDATE audience a SET settle_at = now() + $2 * interval '1 millisecond' FROM due WHERE a.no = due.no RETURNING a.no, a.tenant_id`,
    [destinationNo, options.settleMs],
  )
  const [due] = rows
  if (!due) return false
  try {
    await settle(engine, due.no, due.tenant_id, stopping)
  } catch (error) {
    if (!(error instanceof RunWaits || error instanceof RunFails || error instanceof DestinationError)) throw error
    const forMs = Math.max(options.settleMs * TROUBLE_FACTOR, error instanceof RunWaits ? (error.forMs ?? 0) : 0)
    await db.tenant(due.tenant_id, async (tx) => {
      await tx.query(`UPDATE audience SET settle_at = now() + $2 * interval '1 millisecond' WHERE no = $1 AND settle_at IS NOT NULL`, [due.no, forMs])
      if (error instanceof RunFails && error.missing) await requestCheck(tx, due.no)
    })
    engine.log.info({ audienceNo: due.no, code: error instanceof DestinationError ? error.failure.code : error.reason.code }, 'the platform could not be asked')
  }
  return true
}

async function settle(engine: Engine, audienceNo: number, tenantId: string, stopping: AbortSignal): Promise<void> {
  const { audience, batches } = await inTenant(engine, tenantId, async (tx) => {
    const audience = await readAudience(tx, audienceNo)
    const { rows } = await tx.query<{ id: string; platform_accepted_at: Date; receipt: Record<string, unknown> }>(
      `SELECT id, platform_accepted_at, receipt FROM batch WHERE audience_no = $1 AND generation = $2 AND state = 'accepted' ORDER BY no LIMIT ${BATCHES}`,
      [audienceNo, audience.generation],
    )
    return { audience, batches: rows }
  })
  const look: Look = { settled: [], told: [], far: null, trouble: null }
  if (batches.length > 0 && audience.externalId !== null) {
    // No lease: settling only moves accepted batches on, which no run does.
    const job: Speaker = { engine, audience, lease: { signal: stopping }, calls: [], usages: [] }
    const accepted = batches.map((batch) => ({ batchId: batch.id, acceptedAt: batch.platform_accepted_at, receipt: batch.receipt }))
    try {
      await ask(job, audience.externalId, accepted, look)
    } catch (error) {
      look.trouble = error
    } finally {
      await inTenant(engine, tenantId, (tx) => storeCalls(tx, job, null))
    }
  }
  await inTenant(engine, tenantId, (tx) => record(tx, engine, audienceNo, look))
  if (look.trouble !== null) throw look.trouble
}

interface Look {
  readonly settled: Settled[]
  told: readonly Told[]
  far: FarAudience | null
  /** What ended it early: what was answered before counts all the same. */
  trouble: unknown
}

async function ask(job: Speaker, externalId: string, accepted: readonly AcceptedBatch[], look: Look): Promise<void> {
  const { destination } = job.engine
  const grant = await grantOf(job)
  const atOnce = destination.manifest.batchesPerLook ?? accepted.length
  try {
    for (let at = 0; at < accepted.length; at += atOnce) {
      await takeQuota(job, grant.tier, 'read')
      look.settled.push(...(await destination.settle(contextOf(job, grant), externalId, accepted.slice(at, at + atOnce))))
    }
    if (!look.settled.some(({ state }) => state === 'pending')) {
      await takeQuota(job, grant.tier, 'read')
      look.far = await destination.readAudience(contextOf(job, grant), externalId)
    }
    const { sessions } = destination
    if (!sessions) return
    look.told = await readSessions(sessionsToRead(sessions.of, accepted, look.settled), async (session) => {
      await takeQuota(job, grant.tier, 'read')
      return sessions.read(contextOf(job, grant), externalId, session)
    })
  } catch (error) {
    if (!(error instanceof DestinationError)) throw error
    // The whole fleet learns of a used up quota or a dead token here, too.
    await meet(job, grant, error.failure, 0)
    throw error
  }
}

async function record(tx: Tx, engine: Engine, audienceNo: number, { settled, told, far }: Look): Promise<void> {
  // As a worker's transactions do, first: so that no batch is accepted between the look for open ones and the last word on them.
  await tx.query('SELECT FROM audience WHERE no = $1 FOR NO KEY UPDATE', [audienceNo])
  const audience = await readAudience(tx, audienceNo)
  const words = new Map(settled.map((word) => [word.batchId, word]))
  // Another pod may have looked meanwhile: whoever comes first records.
  const open = await orm(tx)
    .select()
    .from(batch)
    .where(and(eq(batch.audienceNo, audienceNo), eq(batch.state, 'accepted'), inArray(batch.id, [...words.keys()])))
    .orderBy(batch.no)
    .for('update')
  const ended: BatchRow[] = []
  const lost = await lostReplacement(tx, audience, open, words)
  for (const row of open) {
    const word = words.get(row.id)
    if (!word || word.state === 'pending' || (lost && row.manner === 'replace')) continue
    await settleBatch(tx, engine, audience, row, word)
    ended.push(row)
  }
  // Those that the platform never confirms are let go after seven days, and marked.
  const { rows: given } = await tx.query<{ no: number; runNo: number; operation: string }>(
    `UPDATE batch SET state = 'applied', applied_at = now(), confirmed = false
     WHERE audience_no = $1 AND state = 'accepted' AND accepted_at < now() - interval '${UNCONFIRMED_AFTER}' RETURNING no, run_no AS "runNo", operation`,
    [audienceNo],
  )
  const all = [...ended, ...given]
  const numbers = all.map(({ no }) => no)
  await tx.query('DELETE FROM batch_payload WHERE batch_no = ANY($1)', [numbers])
  const removalsOf = (batches: readonly { readonly no: number; readonly operation: string }[]) =>
    batches.filter(({ operation }) => operation === 'remove').map(({ no }) => no)
  await leaveUnconfirmed(tx, audienceNo, removalsOf(given))
  await forgetRemoved(tx, audienceNo, removalsOf(all))
  await endReplacing(tx, audienceNo)
  const { rows: runs } = await tx.query<{ no: number }>(
    `SELECT no FROM run r WHERE audience_no = $1 AND (status = 'applying' OR no = ANY($2)) AND NOT EXISTS (SELECT FROM batch b WHERE b.run_no = r.no AND b.state = 'accepted')`,
    [audienceNo, [...new Set(all.map(({ runNo }) => runNo))]],
  )
  if (all.some(({ operation }) => operation === 'add')) await tryShrinkingAgain(tx, audience)
  await keepWords(tx, audienceNo, told, settled)
  // Before runs are completed: the sync log shows the size that they led to.
  if (far) await tellFar(tx, audience, far)
  for (const { no } of runs) if ((await readRun(tx, no)).status === 'applying') await complete(tx, audienceNo, no)
  await lookLater(tx, engine, audienceNo, settled)
  await rest(tx, audienceNo)
  if (all.length > 0) await requestFollowUp(tx, await readAudience(tx, audienceNo))
}

/** The platform gave up replacing the list: the run that did it has failed, and another adds and removes (C21). */
async function lostReplacement(tx: Tx, audience: AudienceRow, open: readonly BatchRow[], words: ReadonlyMap<string, Settled>): Promise<boolean> {
  const replacing = replacingOf(audience)
  if (replacing?.state !== 'sent') return false
  const word = open
    .filter(({ manner }) => manner === 'replace')
    .map(({ id }) => words.get(id))
    .find((said) => said?.state === 'rejected')
  if (word?.state !== 'rejected') return false
  const reason = reasonOf(word.failure)
  await giveUpReplacing(tx, audience, replacing, reason)
  await tx.query(`UPDATE run SET status = 'failed', error = $2, finished_at = now() WHERE no = $1 AND finished_at IS NULL`, [
    replacing.runNo,
    JSON.stringify(reason),
  ])
  await announce(tx, 'failed', audience, await readRun(tx, replacing.runNo), reason.code)
  await requestRun(tx, { audience, trigger: 'heal', mode: 'full', announce: false })
  return true
}

/** Where the platform says that asking is not worth it for a while, nobody asks. */
async function lookLater(tx: Tx, { options }: Engine, audienceNo: number, settled: readonly Settled[]): Promise<void> {
  const waits = settled.flatMap((word) => (word.state === 'pending' ? [word.lookAgainAfterMs ?? 0] : []))
  const forMs = waits.length === 0 ? 0 : Math.min(...waits)
  if (forMs <= options.settleMs) return
  await tx.query(`UPDATE audience SET settle_at = now() + $2 * interval '1 millisecond' WHERE no = $1`, [audienceNo, forMs])
}

async function rest(tx: Tx, audienceNo: number): Promise<void> {
  const { rows } = await tx.query<{ open: boolean; slow: boolean }>(
    `SELECT count(*) > 0 AS open, coalesce(bool_or(accepted_at < now() - interval '${SLOW_AFTER}'), false) AS slow FROM batch WHERE audience_no = $1 AND state = 'accepted'`,
    [audienceNo],
  )
  const { open = false, slow = false } = rows[0] ?? {}
  if (!open) {
    await tx.query('UPDATE audience SET settle_at = NULL WHERE no = $1', [audienceNo])
    // What waits for the seed to be applied need not wait for its next look.
    await tx.query(`UPDATE lookalike SET due_at = now() WHERE audience_no = $1 AND status = 'pending' AND deleted_at IS NULL`, [audienceNo])
  }
  const audience = await readAudience(tx, audienceNo)
  // Held by the brake; one that the platform refuses to shrink is looked at anew.
  const held = audience.status === 'held' && audience.shrinkRefused === null
  if (audience.status === 'error' || held || audience.status === 'rate_limited' || audience.status === 'syncing') return
  if (slow) await setStatus(tx, audience, 'pending', { code: 'platform_slow' })
  else await restStatus(tx, audienceNo)
}
