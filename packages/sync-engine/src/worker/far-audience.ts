/**
 * The audience at the platform: found by our marker before it is made, because a create whose answer was lost must not be made
 * twice (F32). Deleted there by somebody else, that is a question for its owner (`drift/missing.ts`).
 */
import { createHash } from 'node:crypto'
import type { AudiencePurpose } from '@audience-sync/destination-kit/manifest-contract'
import type { RunRow } from '../store/rows.ts'
import { readAudience } from '../store/rows.ts'
import { RunFails } from './endings.ts'
import { callPlatform, type Job } from './job.ts'

/** Ours and unique: of the audience, and of its generation. */
export const markerOf = ({ id, generation }: { readonly id: string; readonly generation: number }): string =>
  `audience-sync:${createHash('sha256').update(`${id}/${generation}`).digest('hex').slice(0, 24)}`

export async function ensureFarAudience(job: Job, run: RunRow): Promise<void> {
  const { audience } = job
  if (audience.externalId !== null) return meetAdopted(job, run, audience.externalId)
  const { destination } = job.engine
  const marker = markerOf(audience)
  const [found] = await callPlatform(job, run.no, 'read', (ctx) => destination.findAudiences(ctx, marker))
  const far = found ?? (await create(job, run, marker))
  job.audience = await job.lease.fenced(run.no, async (tx) => {
    await tx.query('UPDATE audience SET external_id = $2, updated_at = now() WHERE no = $1', [audience.no, far.externalId])
    return readAudience(tx, audience.no)
  })
}

/** An adopted audience is looked at before the first word: it may be gone, or never have been ours to see. */
async function meetAdopted(job: Job, run: RunRow, externalId: string): Promise<void> {
  if (!job.audience.adopted || job.audience.cursorEpoch !== null) return
  await refuseTaken(job, externalId)
  const { destination } = job.engine
  const { settings } = job.config
  const far = await callPlatform(
    job,
    run.no,
    'read',
    async (ctx) => (await destination.adoptAudience?.(ctx, externalId, { settings })) ?? destination.readAudience(ctx, externalId),
  )
  if (!far) throw new RunFails({ code: 'audience_missing', detail: 'The audience to adopt does not exist, or this connection may not see it.' }, 'unseen')
}

/** `audiences` sees one tenant; two tenants may be connected to one account, and both would remove each other's people (C19). */
async function refuseTaken({ engine, audience }: Job, externalId: string): Promise<void> {
  const { rows } = await engine.db.pool.query(
    `SELECT FROM audience WHERE destination_no = $1 AND account_external_id = $2 AND external_id = $3 AND no <> $4 AND deleted_at IS NULL LIMIT 1`,
    [engine.destinationNo, audience.accountExternalId, externalId, audience.no],
  )
  if (rows.length > 0) throw new RunFails({ code: 'conflict', detail: 'That audience of the destination is kept in step by another audience already.' })
}

/** Name, description and settings as they are here now, where they were changed since the far side was told. */
export async function tellChoices(job: Job, run: RunRow): Promise<void> {
  const { engine, audience, config } = job
  const { externalId, farStale, name, description, adopted } = audience
  if (!farStale || externalId === null) return
  // What its maker wrote there is not wiped out by a description that nobody gave.
  const said = adopted && description === '' ? {} : { description }
  await callPlatform(job, run.no, 'write', (ctx) => engine.destination.updateAudience(ctx, externalId, { name, ...said, settings: config.settings }))
  // Changed again meanwhile, it stays stale: the row's own columns say whether they are what was told.
  await job.lease.fenced(run.no, (tx) =>
    tx.query('UPDATE audience SET far_stale = false WHERE no = $1 AND name = $2 AND description = $3 AND settings = $4', [
      audience.no,
      name,
      description,
      JSON.stringify(audience.settings),
    ]),
  )
}

/** A create whose outcome is unknown is looked up again before the next try. */
async function create(job: Job, run: RunRow, marker: string) {
  const { engine, audience, config } = job
  const { name, description, purpose } = audience
  const wanted = { name, description, marker, settings: config.settings, purpose: purpose as AudiencePurpose }
  let tried = false
  return callPlatform(job, run.no, 'write', async (ctx) => {
    const [found] = tried ? await engine.destination.findAudiences(ctx, marker) : []
    tried = true
    return found ?? engine.destination.createAudience(ctx, wanted)
  })
}
