/**
 * The look at the far side: every live audience once a night, and whenever somebody asks. One look's life: due → claimed by moving
 * `check_at` on, so that two pods do not both look → a read or two, without a lease, because it changes nothing there → recorded
 * under the audience's row, unless the audience became another meanwhile (`record.ts`). Far audiences that we have left are looked at
 * with it: one that is surely gone is forgotten (C19).
 */
import { DestinationError } from '@audience-sync/destination-kit/failure'
import { formerAudiences, provenDeleted } from '../store/far-audience.ts'
import { type AudienceRow, readAudience } from '../store/rows.ts'
import { RunFails, RunWaits } from '../worker/endings.ts'
import { type Engine, inTenant } from '../worker/engine.ts'
import { type Speaker, storeCalls } from '../worker/job.ts'
import { recordLook } from './record.ts'
import { see } from './see.ts'

/** Hours of UTC, when most accounts have little else to do: six hours, so that an account with 500 audiences (the most that a platform takes) is asked some 80 times an hour. */
const NIGHT_SECONDS = 6 * 3_600
/** Each audience at its own second of the night. */
const NEXT_NIGHT = `(date_trunc('day', now() AT TIME ZONE 'UTC') + make_interval(secs => ((hashint4(no)::bigint & 2147483647) % ${NIGHT_SECONDS}))) AT TIME ZONE 'UTC'`
const NEXT = `CASE WHEN ${NEXT_NIGHT} > now() THEN ${NEXT_NIGHT} ELSE ${NEXT_NIGHT} + interval '1 day' END`

const CLAIM = '10 minutes' // longer than a look may take; then another pod looks
const GIVES_WAY = '3 hours' // to runs of the account, whose calls cost the same quota; a busy account is looked at all the same
const LATER_MS = 15 * 60_000 // after trouble that passes by itself
const UNSEEN_AGAIN = '1 hour' // access that was lost comes back when somebody mends it, and they should not wait a day
const HEALING_AGAIN = '10 minutes' // what is put right by itself is shown as over soon after

/** Looks at one whose time has come. Answers whether there was one. */
export async function lookAtOne(engine: Engine, stopping: AbortSignal): Promise<boolean> {
  const { db, destinationNo } = engine
  const { rows } = await db.pool.query<{ no: number; tenant_id: string }>(
    `WITH due AS (
       SELECT no FROM audience a WHERE destination_no = $1 AND external_id IS NOT NULL AND deleted_at IS NULL AND delete_requested_at IS NULL AND check_at <= now()
         AND (check_at = '-infinity' OR check_at < now() - interval '${GIVES_WAY}'
           OR NOT EXISTS (SELECT FROM audience o WHERE o.destination_no = $1 AND o.account_external_id = a.account_external_id AND o.lease_until > now()))
       ORDER BY check_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
     )
     UPDATE audience a SET check_at = now() + interval '${CLAIM}' FROM due WHERE a.no = due.no RETURNING a.no, a.tenant_id`,
    [destinationNo],
  )
  const [due] = rows
  if (!due) {
    await db.pool.query(
      `UPDATE audience SET check_at = ${NEXT} WHERE destination_no = $1 AND external_id IS NOT NULL AND deleted_at IS NULL AND check_at IS NULL`,
      [destinationNo],
    )
    return false
  }
  await look(engine, due.no, due.tenant_id, stopping)
  return true
}

async function look(engine: Engine, no: number, tenantId: string, stopping: AbortSignal): Promise<void> {
  const { audience, formers } = await inTenant(engine, tenantId, async (tx) => ({
    audience: await readAudience(tx, no),
    formers: await formerAudiences(tx, no, 'holding'),
  }))
  if (audience.externalId === null) return
  const job: Speaker = { engine, audience, lease: { signal: stopping }, calls: [], usages: [] }
  let next = NEXT
  try {
    const seen = await see(job, audience.externalId)
    const healing = await inTenant(engine, tenantId, (tx) => recordLook(tx, engine, audience, seen))
    if (seen.missing && !seen.missing.proven) next = sooner(UNSEEN_AGAIN)
    else if (healing) next = sooner(HEALING_AGAIN)
    for (const former of formers) await lookAtFormer(job, former)
  } catch (error) {
    if (!(error instanceof RunWaits || error instanceof RunFails || error instanceof DestinationError)) throw error
    if (error instanceof RunWaits && error.forMs !== null) next = sooner(`${Math.max(error.forMs, LATER_MS)} milliseconds`)
    engine.log.info({ err: error, audienceNo: no }, 'the far side could not be looked at')
  }
  await inTenant(engine, tenantId, async (tx) => {
    await storeCalls(tx, job, null)
    // Asked for again meanwhile, it stays asked for.
    await tx.query(`UPDATE audience SET check_at = ${next} WHERE no = $1 AND check_at > '-infinity'`, [no])
  })
}

const sooner = (interval: string): string => `least(${NEXT}, now() + interval '${interval}')`

/** Not listed where the account can be: it is gone, and so is everybody in it. */
async function lookAtFormer(job: Speaker, { generation, externalId, adopted }: { generation: number; externalId: string; adopted: boolean }): Promise<void> {
  const { engine } = job
  const audience: AudienceRow = { ...job.audience, generation, externalId, adopted }
  const seen = await see({ ...job, audience }, externalId)
  if (seen.missing?.proven) await inTenant(engine, audience.tenantId, (tx) => provenDeleted(tx, audience.no, generation))
}
