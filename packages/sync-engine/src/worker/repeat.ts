/**
 * A person's last word, said again when every earlier call that named them is finished (SYNC.md C4), and a removal after a doubtful
 * addition after a quarter of an hour and a day (C16). A repetition is no change: it is not counted, and nothing waits for the
 * platform to apply it, because where it was needless it has no effect that could be seen.
 *
 * A removal repeats what was held. An addition asks again whether the person may be sent (the second check), and is left alone
 * where they have changed meanwhile: the feed has that. So is one that another normaliser made: a full run says those.
 */
import { PAGE } from '../options.ts'
import type { Feed } from '../peers.ts'
import { fingerprintOf } from '../pure/diff.ts'
import { decodeHeld, type HeldSet, planReplacement } from '../pure/held.ts'
import { type Packed, Packer, type Part } from '../pure/packer.ts'
import { requestPrivacyRun, requestRun } from '../requests.ts'
import { heldOf } from '../sealer.ts'
import { type RunRow, readAudience } from '../store/rows.ts'
import { type Again, audiencesToSayAgain, neverMind, readAgain } from '../store/say-again.ts'
import { newSessionId, storeBatch } from './batches.ts'
import { type Engine, inTenant } from './engine.ts'
import { grantOf, type Job, takeQuota } from './job.ts'
import { optedOut } from './opt-out.ts'
import { preparedFor } from './people.ts'
import { sendBatch } from './send.ts'

const NOTHING_SINCE = '0:0'

/** Without a feed only removals are repeated. */
export async function repeatLastWords(job: Job, run: RunRow, feed: Feed | null): Promise<void> {
  const { lease, audience, engine } = job
  const { manifest, lane } = engine.destination
  const packers = { list: new Packer(manifest.limits.rowsPerCall, lane), account: new Packer(manifest.limits.rowsPerCall, lane) }
  const say = async (packed: Packed, manner: keyof typeof packers) => {
    const grant = await grantOf(job)
    await takeQuota(job, grant.tier, 'write')
    const session = manifest.sessions === 'none' || manner === 'account' ? null : { id: newSessionId(), seq: 1, last: true }
    await sendBatch(job, run, await storeBatch(job, run, packed, { session, repeat: true, manner, alongside: async () => {} }), true)
  }
  for (let after = 0; ; ) {
    const due = await inTenant(engine, lease.tenantId, (tx) => readAgain(tx, audience.no, after, feed === null, PAGE))
    if (due.length === 0) break
    after = due.at(-1)?.customerNo ?? after
    const people = [...(await removals(job, due)), ...(feed ? await additions(job, feed, due) : [])]
    const out = await optedOut(
      job,
      due.filter(({ last }) => last === 'remove').map(({ customerNo }) => customerNo),
    )
    for (const parts of people) {
      const [{ operation, customerNo }] = parts
      const manner = operation === 'remove' && parts.length === 1 && out.has(customerNo) ? 'account' : 'list'
      for (const packed of packers[manner].add(parts)) await say(packed, manner)
    }
    const said = new Set(people.map(([{ customerNo }]) => customerNo))
    const changed = due.filter(({ customerNo }) => !said.has(customerNo))
    await lease.fenced(run.no, (tx) => neverMind(tx, audience.no, changed))
  }
  for (const packed of packers.account.flush()) await say(packed, 'account')
  for (const packed of packers.list.flush()) await say(packed, 'list')
}

/** Of one person: a removal, an addition, or both in this order. */
type Parts = readonly [Part, ...Part[]]

async function removals(job: Job, due: readonly Again[]): Promise<Parts[]> {
  const known = await heldAsWritten(
    job,
    due.filter(({ last }) => last === 'remove'),
  )
  const shared = { operation: 'remove', kind: 'none', fingerprint: null, page: 0, afterRemoval: false, suppressionsAt: NOTHING_SINCE } as const
  return [...known].map(([customerNo, held]) => [{ ...shared, customerNo, sets: held.map(({ set }) => set), heldAfter: held }])
}

/** What the ledger rows say, whatever became of their last removal. */
const heldAsWritten = ({ engine, audience, lease }: Job, people: readonly Again[]): Promise<Map<number, HeldSet[]>> =>
  inTenant(engine, lease.tenantId, async (tx) => {
    const open = engine.sealer.opening(tx, audience.tenantId)
    const known = new Map<number, HeldSet[]>()
    for (const { customerNo, held } of people) {
      known.set(customerNo, decodeHeld(engine.destination.manifest.keys, await open(held, heldOf(audience.no, customerNo))))
    }
    return known
  })

async function additions(job: Job, feed: Feed, due: readonly Again[]): Promise<Parts[]> {
  const staying = due.filter(({ last }) => last === 'add')
  if (staying.length === 0) return []
  const { purpose } = job.engine.destination.manifest
  const customers = staying.map(({ customerNo }) => customerNo)
  const { verdicts, suppressionsAt } = await feed.fetch(customers, purpose(job.config.settings), job.lease.signal)
  const known = await heldAsWritten(job, staying)
  return staying.flatMap(({ customerNo, fingerprint, normaliser, bothHalves }, i): Parts[] => {
    const verdict = verdicts[i]
    if (normaliser !== job.versions.normaliser) return []
    if (verdict?.verdict !== 'send' || fingerprintOf(verdict.groups, verdict.fingerprints, job.choice.watched) !== fingerprint) return []
    const prepared = preparedFor(job, verdict)
    if (prepared.rejected) return []
    const held = known.get(customerNo) ?? []
    // What an earlier normaliser made goes by itself, later.
    const superseded = held.filter((one) => one.superseded)
    const shared = { customerNo, kind: 'none', page: 0, suppressionsAt } as const
    const adding = { ...shared, operation: 'add', sets: prepared.sets, fingerprint } as const
    const mine = held.filter((one) => !one.superseded)
    const plan = planReplacement(job.engine.destination.manifest.keys, mine, prepared.sets)
    if (!bothHalves || plan.remove.length === 0) {
      const leaving = mine.filter(({ removing }) => removing)
      const heldAfter = [...superseded, ...leaving, ...prepared.sets.map((set) => ({ set, removing: false }))]
      return [[{ ...adding, heldAfter, afterRemoval: false }]]
    }
    const half = { ...shared, operation: 'remove', sets: plan.remove, fingerprint: null, half: true, afterRemoval: false } as const
    return [
      [
        { ...half, heldAfter: [...superseded, ...plan.heldAfterRemove] },
        { ...adding, heldAfter: [...superseded, ...plan.heldAfterAdd], afterRemoval: true },
      ],
    ]
  })
}

/** Makes the runs that repeat what is due: of their own, where nothing else is about to run. Answers whether there were any. */
export async function requestRepeats(engine: Engine): Promise<boolean> {
  const audiences = await engine.db.tx((tx) => audiencesToSayAgain(tx, engine.destinationNo))
  for (const { no, tenantId, removalsOnly } of audiences) {
    await inTenant(engine, tenantId, async (tx) => {
      const audience = await readAudience(tx, no)
      if (removalsOnly) await requestPrivacyRun(tx, audience)
      else await requestRun(tx, { audience, trigger: 'heal', announce: false })
    })
  }
  return audiences.length > 0
}
