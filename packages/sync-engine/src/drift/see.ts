/**
 * Whether a far audience is there. Asked by its id a platform may say the same of one that was deleted and one that it does not show;
 * so where that shows nothing, the account's audiences are looked through: whoever may list them and does not find ours there knows
 * that it is deleted. An adopted one carries no mark of ours and may have been shared with the account: of it only the platform's own
 * word is proof.
 */
import type { Context, FarAudience } from '@audience-sync/destination-kit/contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import type { StatusReason } from '../store/status.ts'
import { reasonOf } from '../worker/endings.ts'
import { markerOf } from '../worker/far-audience.ts'
import { contextOf, grantOf, meet, type Speaker, takeQuota } from '../worker/job.ts'
import type { Missing } from './missing.ts'

export type Seen = { readonly far: FarAudience; readonly missing: null } | { readonly far: null; readonly missing: Omit<Missing, 'since'> }

const gone = (reason: StatusReason): Seen => ({ far: null, missing: { ...reason, proven: reason.code === 'audience_missing' } })
const notShown = (detail: string, reason?: StatusReason): Seen => ({ far: null, missing: { ...reason, code: 'audience_not_shown', detail, proven: false } })

export async function see(job: Speaker, externalId: string): Promise<Seen> {
  const { engine, audience } = job
  const far = await ask(job, (ctx) => engine.destination.readAudience(ctx, externalId))
  if (far instanceof DestinationError) return far.failure.kind === 'gone' ? gone(reasonOf(far.failure)) : notShown(far.message, reasonOf(far.failure))
  if (far) return { far, missing: null }
  if (audience.adopted) return notShown('It was deleted there, or is no longer shared with this account.')
  const found = await ask(job, (ctx) => engine.destination.findAudiences(ctx, markerOf(audience)))
  if (found instanceof DestinationError) return notShown('The platform does not show this account’s audiences to the connection.', reasonOf(found.failure))
  const again = found.find((one) => one.externalId === externalId)
  return again ? { far: again, missing: null } : gone({ code: 'audience_missing', detail: 'It is not among the account’s audiences any more.' })
}

/** One read; that we may not, or that it is not there, is an answer. */
async function ask<T>(job: Speaker, read: (ctx: Context) => Promise<T>): Promise<T | DestinationError> {
  for (let attempt = 0; ; attempt += 1) {
    const grant = await grantOf(job)
    await takeQuota(job, grant.tier, 'read')
    try {
      return await read(contextOf(job, grant))
    } catch (error) {
      if (!(error instanceof DestinationError)) throw error
      if (error.failure.kind === 'gone' || error.failure.kind === 'permission') return error
      await meet(job, grant, error.failure, attempt)
    }
  }
}
