/**
 * Similar audiences that the platform makes of this audience, their seed. Under the seed's lease, after its run: one waits until the seed
 * is exported, applied and usable there; a create that may have been sent is looked for by our marker before the next one (F32); where the
 * platform has one like it already, that one is adopted; from then on it is read now and then.
 */
import type { Tx } from '@audience-sync/db/database'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import type { FarLookalike, FarSeed, LookalikeSpec, Lookalikes } from '@audience-sync/destination-kit/lookalike-contract'
import { forgetLookalike, type LookalikeRow, lookalikesOf, mayExist, move, unreadyReason } from '../store/lookalikes.ts'
import { readAudience } from '../store/rows.ts'
import type { StatusReason } from '../store/status.ts'
import { RunFails, RunWaits, reasonOf } from './endings.ts'
import { type Engine, inTenant } from './engine.ts'
import { markerOf } from './far-audience.ts'
import { backoffMs, callPlatform, type Job } from './job.ts'
import { Fenced } from './lease.ts'

/** In looks of the settler (30 s each): how often which is asked about. Times of the sandbox are shorter by as much (R9). */
const SEED_LOOKS = 10 // what a seed waits for takes minutes to hours; its own runs wake it earlier
const BUILDING_LOOKS = 20 // one to six hours (vendors: populates in 1–6 h)
const REST_LOOKS = 2_880 // a day: refreshed every three days, inactive after ninety
const TROUBLE_LOOKS = 720 // six hours: what the platform refused, or somebody has to mend; mended connections wake it

/** Looks after those that are due. */
export async function lookAfterLookalikes(job: Job): Promise<void> {
  const { engine, lease, audience } = job
  const due = await inTenant(engine, lease.tenantId, (tx) => lookalikesOf(tx, audience.no, true))
  const { lookalikes } = engine.destination
  if (!lookalikes) return
  for (const row of due) {
    // Whoever may not be there any more goes first (R7): the rest stays due, and comes after them.
    if (await lease.fenced(null, async (_, { privacy }) => privacy)) return
    try {
      await lookAfter(job, lookalikes, row)
    } catch (error) {
      if (error instanceof Fenced || lease.signal.aborted) throw error
      await later(job, row, error)
    }
  }
}

async function lookAfter(job: Job, lookalikes: Lookalikes, row: LookalikeRow): Promise<void> {
  if (row.deleteRequestedAt) return letGo(job, lookalikes, row)
  if (row.externalId !== null) return look(job, lookalikes, row, row.externalId)
  const seed = await readySeed(job, lookalikes, row)
  if (!seed) return
  // Somebody's create was sent and its answer lost, or this is the first try: the marker tells.
  const found = row.attempts > 0 ? await findAmong(job, lookalikes, seed, (far) => far.marker === markerOf(marked(row))) : undefined
  if (found) return take(job, lookalikes, row, found, false)
  if (await announceCreate(job, row, seed.externalId)) await create(job, lookalikes, row, seed.externalId)
}

/** A lookalike is made once: there is no second generation of it. */
const marked = ({ id }: LookalikeRow) => ({ id, generation: 1 })

const inLooks = ({ options }: Engine, looks: number): number => options.settleMs * looks

const record = (job: Job, work: (tx: Tx) => Promise<unknown>): Promise<void> => job.lease.fenced(null, async (tx) => void (await work(tx)))

const waitFor = (job: Job, row: LookalikeRow, reason: StatusReason): Promise<void> =>
  record(job, (tx) => move(tx, job.audience, row, { status: 'pending', reason, afterMs: inLooks(job.engine, SEED_LOOKS) }))

/** The seed as the platform shows it once it is usable; undefined: the lookalike waits, and says for what. */
async function readySeed(job: Job, lookalikes: Lookalikes, row: LookalikeRow): Promise<FarSeed | undefined> {
  const { audience, engine } = job
  const { minimumSeed } = lookalikes.rules
  const { unapplied, people } = await inTenant(engine, job.lease.tenantId, (tx) => ownView(tx, job, minimumSeed))
  const refuse = async (reason: StatusReason) => {
    await waitFor(job, row, reason)
    return undefined
  }
  const unready = unreadyReason(audience)
  if (unready || audience.externalId === null) return refuse(unready ?? { code: 'seed_not_exported' })
  if (unapplied) return refuse({ code: 'seed_not_ready', detail: 'The platform has not applied all that the seed was told.' })
  // An adopted audience may hold people whom we know nothing of: there the platform alone can tell.
  if (!audience.adopted && people < minimumSeed) return refuse({ code: 'seed_too_small', detail: `The seed has ${people} people; ${minimumSeed} are needed.` })
  const { externalId } = audience
  const seed = await callPlatform(job, null, 'read', (ctx) => lookalikes.readSeed(ctx, externalId))
  if (!seed) return refuse({ code: 'audience_missing' })
  const code = SEED_WAITS[seed.state]
  return code ? refuse({ code, detail: seed.detail }) : seed
}

const SEED_WAITS: Readonly<Record<FarSeed['state'], string | null>> = {
  ready: null,
  expiring: null,
  processing: 'seed_not_ready',
  too_small: 'seed_too_small',
  flagged: 'seed_flagged',
  disabled: 'seed_disabled',
}

/** Whether changes of the seed are under way, and how many people we have put there, counted no further than `enough`. */
async function ownView(tx: Tx, { scope }: Job, enough: number): Promise<{ unapplied: boolean; people: number }> {
  const { rows } = await tx.query<{ unapplied: boolean; people: number }>(
    `SELECT EXISTS (SELECT FROM batch WHERE audience_no = $1 AND state IN ('planned', 'sending', 'unknown', 'accepted'))
         OR EXISTS (SELECT FROM run WHERE audience_no = $1 AND status IN ('running', 'waiting') AND trigger <> 'privacy') AS unapplied,
       (SELECT count(*)::int FROM (SELECT FROM ledger WHERE audience_no = $1 AND generation = $2 AND (remove_batch IS NULL OR remove_batch < add_batch) LIMIT $3) AS held) AS people`,
    [scope.audienceNo, scope.generation, enough],
  )
  return rows[0] ?? { unapplied: true, people: 0 }
}

/** Each is asked for by itself, so that each costs its quota. */
async function findAmong(job: Job, lookalikes: Lookalikes, seed: FarSeed, wanted: (far: FarLookalike) => boolean): Promise<FarLookalike | undefined> {
  for (const externalId of seed.lookalikeIds) {
    const far = await callPlatform(job, null, 'read', (ctx) => lookalikes.read(ctx, externalId))
    if (far && wanted(far)) return far
  }
  return undefined
}

/** Intent before side effect (S-4); false: nobody wishes for it any more, the seed shall rest, or another far audience took its place. */
function announceCreate(job: Job, row: LookalikeRow, seedExternalId: string): Promise<boolean> {
  return job.lease.fenced(null, async (tx, wishes) => {
    if (wishes.pause || wishes.remove) return false
    const { rowCount } = await tx.query(
      `UPDATE lookalike SET attempts = attempts + 1 WHERE no = $1 AND delete_requested_at IS NULL
         AND EXISTS (SELECT FROM audience a WHERE a.no = lookalike.audience_no AND a.external_id = $2)`,
      [row.no, seedExternalId],
    )
    if (rowCount === 1) await move(tx, job.audience, row, { status: 'creating', reason: null, afterMs: 0 })
    return rowCount === 1
  })
}

async function create(job: Job, lookalikes: Lookalikes, row: LookalikeRow, seedExternalId: string): Promise<void> {
  const { engine } = job
  const wanted = { name: row.name, marker: markerOf(marked(row)), seedExternalId, spec: row.spec as LookalikeSpec }
  try {
    const externalId = await callPlatform(job, null, 'write', (ctx) =>
      lookalikes.create(ctx, wanted).catch((error: unknown) => {
        // Never sent again before it was looked for.
        if (error instanceof DestinationError && error.failure.kind === 'unknown') throw new RunWaits(backoffMs(engine, row.attempts), reasonOf(error.failure))
        throw error
      }),
    )
    await keep(job, row, externalId, false)
    await look(job, lookalikes, row, externalId)
  } catch (error) {
    if (!(error instanceof RunFails) || error.reason.code !== 'lookalike_duplicate') throw error
    await adopt(job, lookalikes, row, seedExternalId, error.reason)
  }
}

/** The platform has one: ours, of a create whose answer was lost, or somebody else's. */
async function adopt(job: Job, lookalikes: Lookalikes, row: LookalikeRow, seedExternalId: string, reason: StatusReason): Promise<void> {
  const seed = await callPlatform(job, null, 'read', (ctx) => lookalikes.readSeed(ctx, seedExternalId))
  const spec = row.spec as LookalikeSpec
  const found = seed && (await findAmong(job, lookalikes, seed, (far) => far.marker === markerOf(marked(row)) || lookalikes.same(spec, far)))
  const taken = found ? await inTenant(job.engine, job.lease.tenantId, (tx) => lookalikesOf(tx, job.audience.no)) : []
  // One of our own that the platform takes for the same is nobody's to take over.
  if (!found || taken.some(({ externalId }) => externalId === found.externalId)) throw new RunFails(reason)
  await take(job, lookalikes, row, found, found.marker !== markerOf(marked(row)))
}

async function take(job: Job, lookalikes: Lookalikes, row: LookalikeRow, far: FarLookalike, adopted: boolean): Promise<void> {
  await keep(job, row, far.externalId, adopted)
  await tell(job, lookalikes, row, far)
}

const keep = (job: Job, row: LookalikeRow, externalId: string, adopted: boolean): Promise<void> =>
  record(job, (tx) => tx.query('UPDATE lookalike SET external_id = $2, adopted = $3 WHERE no = $1', [row.no, externalId, adopted]))

async function look(job: Job, lookalikes: Lookalikes, row: LookalikeRow, externalId: string): Promise<void> {
  const far = await callPlatform(job, null, 'read', (ctx) => lookalikes.read(ctx, externalId))
  if (far) return tell(job, lookalikes, row, far, await isOfFormerSeed(job, lookalikes, externalId))
  throw new RunFails({ code: 'lookalike_missing', detail: 'It was deleted there, or this connection may not see it any more.' })
}

/**
 * Whether it was made of a far audience in whose place another one has been made (C19): it cannot be moved, and nobody else can tell that it
 * follows the old one. Where the seed itself is not shown, nothing is known.
 */
async function isOfFormerSeed(job: Job, lookalikes: Lookalikes, externalId: string): Promise<boolean> {
  // As it is now: the run before this may have made the new one.
  const { generation, externalId: seedExternalId } = await inTenant(job.engine, job.lease.tenantId, (tx) => readAudience(tx, job.audience.no))
  if (generation === 1) return false
  if (seedExternalId === null) return true
  const seed = await callPlatform(job, null, 'read', (ctx) => lookalikes.readSeed(ctx, seedExternalId))
  return seed !== null && !seed.lookalikeIds.includes(externalId)
}

const FAR_STATES: Readonly<Record<FarLookalike['state'], { status: 'active' | 'creating' | 'error'; code: string | null; looks: number }>> = {
  ready: { status: 'active', code: null, looks: REST_LOOKS },
  building: { status: 'creating', code: 'lookalike_building', looks: BUILDING_LOOKS },
  failed: { status: 'error', code: 'lookalike_failed', looks: BUILDING_LOOKS },
  inactive: { status: 'error', code: 'lookalike_inactive', looks: REST_LOOKS },
  flagged: { status: 'error', code: 'audience_flagged', looks: REST_LOOKS },
  unusable: { status: 'error', code: 'lookalike_unusable', looks: REST_LOOKS },
}

function tell(job: Job, { rules }: Lookalikes, row: LookalikeRow, { state, size, detail }: FarLookalike, former = false): Promise<void> {
  const { status, looks, ...far } = FAR_STATES[state]
  // What is wrong with itself is said first.
  const code = far.code ?? (former ? 'lookalike_of_former_seed' : null)
  const why = state === 'inactive' ? `No ad used it for ${rules.unusedDays} days; ${detail}` : detail
  return record(job, async (tx) => {
    await tx.query('UPDATE lookalike SET size_lower = $2, size_upper = $3, size_as_of = now() WHERE no = $1', [
      row.no,
      size?.lower ?? null,
      size?.upper ?? null,
    ])
    await move(tx, job.audience, row, { status, reason: code === null ? null : { code, detail: why }, afterMs: inLooks(job.engine, looks) })
  })
}

/** What somebody else made stays; what we made, or may have made, is deleted. */
async function letGo(job: Job, lookalikes: Lookalikes, row: LookalikeRow): Promise<void> {
  const externalId = row.adopted ? null : (row.externalId ?? (await lostOne(job, lookalikes, row)))
  if (externalId !== null) await callPlatform(job, null, 'write', (ctx) => lookalikes.delete(ctx, externalId))
  await record(job, (tx) => forgetLookalike(tx, job.audience, row, row.adopted))
}

/** Of a create whose answer nobody has seen. */
async function lostOne(job: Job, lookalikes: Lookalikes, row: LookalikeRow): Promise<string | null> {
  const { externalId } = job.audience
  if (!mayExist(row) || externalId === null) return null
  const seed = await callPlatform(job, null, 'read', (ctx) => lookalikes.readSeed(ctx, externalId))
  const found = seed && (await findAmong(job, lookalikes, seed, (far) => far.marker === markerOf(marked(row))))
  return found?.externalId ?? null
}

/** A wait has its time; what was refused says why, and is tried again after a while. */
async function later(job: Job, row: LookalikeRow, error: unknown): Promise<void> {
  const troubleMs = inLooks(job.engine, TROUBLE_LOOKS)
  const waits = error instanceof RunWaits
  if (!waits && !(error instanceof RunFails)) job.engine.log.error({ err: error, audienceNo: job.audience.no, lookalike: row.id }, 'a lookalike failed')
  const reason = waits || error instanceof RunFails ? error.reason : { code: 'internal' }
  const seedFlagged = reason.code === 'seed_flagged'
  await record(job, async (tx) => {
    const { rows } = await tx.query<{ status: string }>('SELECT status FROM lookalike WHERE no = $1', [row.no])
    // A wait is no state of its own: it stays what it was, with the reason beside it.
    const status = waits ? ((rows[0]?.status ?? 'pending') as 'pending') : seedFlagged ? 'pending' : 'error'
    await move(tx, job.audience, row, { status, reason, afterMs: waits && error.forMs !== null ? error.forMs : troubleMs })
  })
}
