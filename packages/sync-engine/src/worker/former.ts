/**
 * Removals for privacy from far audiences that we have left and that may still live (SYNC.md C19): "not found" may have been lost
 * access. One person's life here: suppressed → `former_removal`, a row for each older generation that holds them → removed there in
 * a privacy run, and once more a day later → forgotten. What cannot be reached is tried again, less and less of a hurry; its trouble
 * is nobody else's. When its deletion is proven nobody is there any more.
 */
import { PAGE } from '../options.ts'
import { Packer } from '../pure/packer.ts'
import { requestPrivacyRun } from '../requests.ts'
import {
  audiencesWithFormerRemovals,
  closeFormerBatches,
  type FormerAudience,
  formerAudiences,
  provenDeleted,
  putOffFormer,
  readFormerRemovals,
  removedFromFormer,
} from '../store/far-audience.ts'
import { type RunRow, readAudience } from '../store/rows.ts'
import { newSessionId, storeBatch } from './batches.ts'
import { RunFails, RunWaits } from './endings.ts'
import { type Engine, inTenant } from './engine.ts'
import { grantOf, type Job, takeQuota } from './job.ts'
import { Fenced } from './lease.ts'
import { heldOfPeople, privacyRemoval } from './people.ts'
import { sendBatch } from './send.ts'

const AGAIN_MS = 6 * 3_600_000 // lost access comes back within days, if at all; four calls a day are not felt

/** Everyone who is due, from each former audience that may still live. Throws nothing but the loss of the lease. */
export async function removeFromFormer(job: Job, run: RunRow): Promise<void> {
  const { audience, lease, engine } = job
  if (audience.generation === 1) return
  const formers = await lease.fenced(run.no, async (tx) => {
    await closeFormerBatches(tx, audience.no, audience.generation)
    return formerAudiences(tx, audience.no, 'due')
  })
  for (const former of formers) {
    let trouble: unknown
    try {
      await removeFrom(jobOf(job, former), run)
    } catch (error) {
      if (error instanceof Fenced || lease.signal.aborted) throw error
      trouble = error
    }
    await lease.fenced(run.no, async (tx) => {
      await removedFromFormer(tx, audience.no, former.generation, run.no)
      if (trouble instanceof RunFails && trouble.missing === 'gone') await provenDeleted(tx, audience.no, former.generation)
      else await putOffFormer(tx, audience.no, former.generation, trouble instanceof RunWaits ? (trouble.forMs ?? AGAIN_MS) : AGAIN_MS)
    })
    if (trouble) engine.log.info({ err: trouble, audienceNo: audience.no, generation: former.generation }, 'a former audience could not be reached')
  }
}

/** The same audience, as it was. */
const jobOf = (job: Job, { generation, externalId, adopted }: FormerAudience): Job => ({
  ...job,
  audience: { ...job.audience, generation, externalId, adopted },
  scope: { ...job.scope, generation },
  former: true,
})

async function removeFrom(job: Job, run: RunRow): Promise<void> {
  const { engine, lease, audience } = job
  const { manifest, lane } = engine.destination
  const packer = new Packer(manifest.limits.rowsPerCall, lane)
  const say = async (packed: Parameters<typeof storeBatch>[2]) => {
    const grant = await grantOf(job)
    await takeQuota(job, grant.tier, 'write')
    const session = manifest.sessions === 'none' ? null : { id: newSessionId(), seq: 1, last: true }
    await sendBatch(job, run, await storeBatch(job, run, packed, { session, privacy: true, alongside: async () => {} }), true)
  }
  for (let after = 0; ; ) {
    const customers = await inTenant(engine, lease.tenantId, (tx) => readFormerRemovals(tx, audience.no, audience.generation, after, PAGE))
    if (customers.length === 0) break
    after = customers.at(-1) ?? after
    const held = await inTenant(engine, lease.tenantId, (tx) => heldOfPeople(tx, job, customers))
    for (const customerNo of customers) {
      // Not counted: the person's change is counted where the audience is now.
      const parts = privacyRemoval(customerNo, held.get(customerNo) ?? []).parts.map((part) => ({ ...part, kind: 'none' as const }))
      for (const packed of packer.add(parts)) await say(packed)
    }
  }
  for (const packed of packer.flush()) await say(packed)
}

/** Makes the runs for what has become due. Answers whether there were any. */
export async function requestFormerRemovals(engine: Engine): Promise<boolean> {
  const audiences = await engine.db.tx((tx) => audiencesWithFormerRemovals(tx, engine.destinationNo))
  for (const { no, tenantId } of audiences) await inTenant(engine, tenantId, async (tx) => requestPrivacyRun(tx, await readAudience(tx, no)))
  return audiences.length > 0
}
