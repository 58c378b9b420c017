/**
 * Letting go of an audience: the one we made is deleted at the platform, which takes everyone out of it; from an adopted one our
 * people are removed and it stays; with `keepRemote` nothing is said at all. The same for those that we left before and that may still
 * live (C19). Lookalikes of it go first: the platform would refuse otherwise. Then the ledger forgets.
 */
import { missingOf } from '../drift/missing.ts'
import { PAGE } from '../options.ts'
import { requestPrivacyRun } from '../requests.ts'
import { formerAudiences, provenDeleted } from '../store/far-audience.ts'
import { leave } from '../store/ledger.ts'
import { forgetLookalike, lookalikesOf, mayExist } from '../store/lookalikes.ts'
import { readAudience } from '../store/rows.ts'
import { setStatus, tellChanged } from '../store/status.ts'
import { RunFails, RunWaits } from './endings.ts'
import { inTenant } from './engine.ts'
import { callPlatform, type Job } from './job.ts'
import { removeForPrivacy } from './privacy.ts'

const LOOKALIKE_WAIT_MS = 5_000 // their own deletions come first in the next look, or wait for something that is said with them

export async function deleteAudience(job: Job): Promise<void> {
  const { lease, audience } = job
  const { keepRemote } = audience
  const { lookalikes, standing } = await lease.fenced(null, async (tx) => {
    if (audience.status !== 'deleting') await setStatus(tx, audience, 'deleting')
    const left = await lookalikesOf(tx, audience.no)
    return { lookalikes: left, standing: left.filter(mayExist) }
  })
  // Given up before, or with it: first they go, then their seed.
  if (standing.length > 0 && !keepRemote) throw new RunWaits(LOOKALIKE_WAIT_MS, { code: 'lookalikes_exist' })
  if (!keepRemote) await takeAway(job)
  await lease.fenced(null, async (tx) => {
    for (const row of lookalikes) await forgetLookalike(tx, audience, row, mayExist(row))
    await tx.query('DELETE FROM ledger WHERE audience_no = $1', [audience.no])
    await tx.query('DELETE FROM ledger_tag WHERE audience_no = $1', [audience.no])
    await tx.query('DELETE FROM todo WHERE audience_no = $1', [audience.no])
    await tx.query('DELETE FROM former_removal WHERE audience_no = $1', [audience.no])
    await tx.query('DELETE FROM say_again WHERE audience_no = $1', [audience.no])
    await tx.query('DELETE FROM batch_payload WHERE batch_no IN (SELECT no FROM batch WHERE audience_no = $1)', [audience.no])
    await tx.query(`UPDATE run SET status = 'cancelled', finished_at = now() WHERE audience_no = $1 AND finished_at IS NULL`, [audience.no])
    await tx.query('UPDATE audience SET deleted_at = now(), settle_at = NULL, version = version + 1, updated_at = now() WHERE no = $1', [audience.no])
    await tellChanged(tx, { ...(await readAudience(tx, audience.no)), status: 'deleting' }, true)
  })
}

async function takeAway(job: Job): Promise<void> {
  const { engine, lease, audience } = job
  const { externalId, adopted } = audience
  const formers = await inTenant(engine, lease.tenantId, (tx) => formerAudiences(tx, audience.no, 'all'))
  if ((externalId !== null && adopted) || formers.some((former) => former.adopted)) await removeEveryone(job)
  for (const former of formers) {
    if (!former.adopted && !(await isAnothers(job, former.externalId))) await deleteThere(job, former.externalId)
    await lease.fenced(null, (tx) => provenDeleted(tx, audience.no, former.generation))
  }
  if (externalId !== null && !adopted && missingOf(audience)?.proven !== true) await deleteThere(job, externalId)
}

/** Somebody adopted it since we left it, maybe another tenant. */
const isAnothers = ({ engine, lease, audience }: Job, externalId: string): Promise<boolean> =>
  inTenant(engine, lease.tenantId, async (tx) => {
    const { rows } = await tx.query(
      'SELECT FROM audience WHERE destination_no = $1 AND account_external_id = $2 AND external_id = $3 AND deleted_at IS NULL AND no <> $4',
      [audience.destinationNo, audience.accountExternalId, externalId, audience.no],
    )
    return rows.length > 0
  })

const deleteThere = (job: Job, externalId: string): Promise<void> =>
  callPlatform(job, null, 'write', (ctx) => job.engine.destination.deleteAudience(ctx, externalId)).catch((error: unknown) => {
    if (!(error instanceof RunFails && error.missing === 'gone')) throw error
  })

/** Each member is removed as for privacy: exactly what may be there, whatever else is open. */
async function removeEveryone(job: Job): Promise<void> {
  const { lease, audience, scope } = job
  await lease.fenced(null, async (tx) => {
    for (let after = 0; ; ) {
      const { rows } = await tx.query<{ no: number }>(
        'SELECT DISTINCT customer_no AS no FROM ledger WHERE audience_no = $1 AND customer_no > $2 ORDER BY customer_no LIMIT $3',
        [audience.no, after, PAGE],
      )
      if (rows.length === 0) break
      after = rows.at(-1)?.no ?? after
      await leave(
        tx,
        scope,
        null,
        'privacy',
        rows.map(({ no }) => no),
      )
    }
    await requestPrivacyRun(tx, audience)
  })
  await removeForPrivacy(job)
}
