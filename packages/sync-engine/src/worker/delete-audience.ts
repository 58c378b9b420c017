/**
 * Letting go of an audience: the one we made is deleted at the platform, which takes everyone out of it; from an adopted one our
 * people are removed and it stays; with `keepRemote` nothing is said at all. Lookalikes of it go first: the platform would refuse
 * otherwise. Then the ledger forgets.
 */
import { topics } from '@audience-sync/contracts/events/topics'
import { publicId } from '@audience-sync/contracts/ids'
import type { Schedule } from '@audience-sync/contracts/schedule'
import { DestinationError } from '@audience-sync/destination-kit/contract'
import { publish } from '@audience-sync/events/outbox'
import { PAGE } from '../options.ts'
import { requestPrivacyRun } from '../requests.ts'
import { leave } from '../store/ledger.ts'
import { forgetLookalike, lookalikesOf, mayExist } from '../store/lookalikes.ts'
import { setStatus } from '../store/status.ts'
import { RunWaits } from './endings.ts'
import { callPlatform, type Job } from './job.ts'
import { removeForPrivacy } from './privacy.ts'

const LOOKALIKE_WAIT_MS = 5_000 // their own deletions come first in the next look, or wait for something that is said with them

export async function deleteAudience(job: Job): Promise<void> {
  const { engine, lease, audience } = job
  const { externalId, adopted, keepRemote } = audience
  const { lookalikes, standing } = await lease.fenced(null, async (tx) => {
    if (audience.status !== 'deleting') await setStatus(tx, audience, 'deleting')
    const left = await lookalikesOf(tx, audience.no)
    return { lookalikes: left, standing: left.filter(mayExist) }
  })
  // Given up before, or with it: first they go, then their seed.
  if (standing.length > 0 && !keepRemote) throw new RunWaits(LOOKALIKE_WAIT_MS, { code: 'lookalikes_exist' })
  if (externalId !== null && !keepRemote) {
    if (adopted) await removeEveryone(job)
    else
      await callPlatform(job, null, 'write', (ctx) => engine.destination.deleteAudience(ctx, externalId)).catch((error: unknown) => {
        if (!(error instanceof DestinationError && error.failure.kind === 'gone')) throw error
      })
  }
  await lease.fenced(null, async (tx) => {
    for (const row of lookalikes) await forgetLookalike(tx, audience, row, mayExist(row))
    await tx.query('DELETE FROM ledger WHERE audience_no = $1', [audience.no])
    await tx.query('DELETE FROM ledger_tag WHERE audience_no = $1', [audience.no])
    await tx.query('DELETE FROM todo WHERE audience_no = $1', [audience.no])
    await tx.query('DELETE FROM say_again WHERE audience_no = $1', [audience.no])
    await tx.query('DELETE FROM batch_payload WHERE batch_no IN (SELECT no FROM batch WHERE audience_no = $1)', [audience.no])
    await tx.query(`UPDATE run SET status = 'cancelled', finished_at = now() WHERE audience_no = $1 AND finished_at IS NULL`, [audience.no])
    await tx.query('UPDATE audience SET deleted_at = now(), settle_at = NULL, version = version + 1, updated_at = now() WHERE no = $1', [audience.no])
    await publish(tx, {
      topic: topics.audienceChanged,
      tenantId: audience.tenantId,
      key: audience.id,
      message: {
        audienceId: publicId('audience', audience.id),
        behaviorId: publicId('behavior', audience.behaviorId),
        destination: audience.destination,
        status: 'deleting',
        schedule: audience.schedule as Schedule,
        version: BigInt(audience.version) + 1n,
        deleted: true,
      },
    })
  })
}

/** Each member is removed as for privacy: exactly what may be there, whatever else is open. */
async function removeEveryone(job: Job): Promise<void> {
  const { lease, audience, scope } = job
  await lease.fenced(null, async (tx) => {
    for (let after = 0; ; ) {
      const { rows } = await tx.query<{ no: number }>(
        'SELECT customer_no AS no FROM ledger WHERE audience_no = $1 AND customer_no > $2 ORDER BY customer_no LIMIT $3',
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
