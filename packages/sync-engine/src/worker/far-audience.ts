/**
 * The audience at the platform: found by our marker before it is made, because a create whose answer was lost must not be made
 * twice (F32). Deleted there by somebody else, it is not made anew silently: that is a question for its owner.
 */
import { createHash } from 'node:crypto'
import type { RunRow } from '../store/rows.ts'
import { readAudience } from '../store/rows.ts'
import { callPlatform, type Job } from './job.ts'

/** Ours and unique: of the audience, and of its generation. */
export const markerOf = ({ id, generation }: { readonly id: string; readonly generation: number }): string =>
  `audience-sync:${createHash('sha256').update(`${id}/${generation}`).digest('hex').slice(0, 24)}`

export async function ensureFarAudience(job: Job, run: RunRow): Promise<void> {
  const { audience } = job
  if (audience.externalId !== null) return
  const { destination } = job.engine
  const marker = markerOf(audience)
  const [found] = await callPlatform(job, run.no, 'read', (ctx) => destination.findAudiences(ctx, marker))
  const far = found ?? (await create(job, run, marker))
  job.audience = await job.lease.fenced(run.no, async (tx) => {
    await tx.query('UPDATE audience SET external_id = $2, updated_at = now() WHERE no = $1', [audience.no, far.externalId])
    return readAudience(tx, audience.no)
  })
}

/** A create whose outcome is unknown is looked up again before the next try. */
async function create(job: Job, run: RunRow, marker: string) {
  const { engine, audience, config } = job
  const wanted = { name: audience.name, description: audience.description, marker, settings: config.settings }
  let tried = false
  return callPlatform(job, run.no, 'write', async (ctx) => {
    const [found] = tried ? await engine.destination.findAudiences(ctx, marker) : []
    tried = true
    return found ?? engine.destination.createAudience(ctx, wanted)
  })
}
