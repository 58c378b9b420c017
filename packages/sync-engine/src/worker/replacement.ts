/**
 * A full run that says the whole list anew (SYNC.md C21). Everybody who belongs there is fetched and packed in the order of their numbers
 * into batches of one session, the unchanged too; who is not among them is gone with the last. What is kept of it on the audience's row says
 * where it stands: a worker that takes over goes on behind the last batch that was accepted, with the same session.
 *
 * Once begun it is carried through: a pause or a cancellation is heeded at its end, because what is left half-said is a list cut short. Opt-outs
 * are not kept waiting: they go to the whole account in between, and are said again when it is over. Whatever ends it otherwise makes everybody
 * unknown, and the run goes on by adding and removing. The brake cannot stop it either: who would cross it at the fetch is kept as they
 * were, and left to the next run, which the brake stops (C17).
 */

import type { Tx } from '@audience-sync/db/database'
import type { Session } from '@audience-sync/destination-kit/contract'
import type { Feed } from '../peers.ts'
import { fingerprintOf } from '../pure/diff.ts'
import { type Packed, Packer, type Part } from '../pure/packer.ts'
import { leftBehind, listed } from '../pure/replacing.ts'
import { forgetRemoved } from '../store/forget.ts'
import { leave } from '../store/ledger.ts'
import { type Replacing, replacingOf, setReplacing } from '../store/replacing.ts'
import type { RunRow } from '../store/rows.ts'
import { count, suppress, type Tally } from './act.ts'
import { storeBatch } from './batches.ts'
import { STILL_AT_WORK_MS } from './choose-replacement.ts'
import { type Decided, decidePage } from './decisions.ts'
import { ReplaceFails, RunStops, RunWaits } from './endings.ts'
import { inTenant } from './engine.ts'
import { grantOf, type Job, takeQuota } from './job.ts'
import { heldOfPeople, preparedFor } from './people.ts'
import { removeForPrivacy, waitWithPrivacy } from './privacy.ts'
import { checkWindow } from './replacement-call.ts'
import { sendBatch } from './send.ts'

/** Says all of it, or what is left. `finish` stores the cursor with the end. */
export async function replaceWholeList(
  job: Job,
  run: RunRow,
  feed: Feed,
  replacing: Replacing,
  finish: (tx: Tx, cursor: string) => Promise<void>,
): Promise<void> {
  const { engine, audience, lease } = job
  const said = await saidBefore(job, replacing)
  // Open as long as this is: nobody waits for it.
  job.exceptions.delete(replacing.removal)
  const tally: Tally = { unchanged: 0, suppressed: new Map() }
  let seq = said.seq
  let lost = 0
  const say = async ({ parts, last, ...packed }: Packed): Promise<void> => {
    await heed(job, run)
    checkWindow(job, replacingOf(job.audience) ?? replacing)
    const grant = await grantOf(job)
    await takeQuota(job, grant.tier, 'write')
    const session: Session = { id: replacing.sessionId, seq: seq + 1, last }
    const batch = await storeBatch(
      job,
      run,
      { ...packed, parts, seq: session.seq, last },
      { session, manner: 'replace', alongside: (tx) => letGoOfOld(tx, parts) },
    )
    await sendBatch(job, run, batch, true)
    // Everybody in it may have opted out meanwhile: then it was not sent, and its place in the session is the next one's.
    if (await wasSent(batch.row.no)) seq += 1
  }
  /** What was held of people before goes with the old list. */
  const letGoOfOld = async (tx: Tx, parts: readonly Part[]): Promise<void> => {
    await tx.query('UPDATE ledger SET remove_batch = greatest(remove_batch, $3) WHERE audience_no = $1 AND customer_no = ANY($2)', [
      audience.no,
      leftBehind(parts),
      replacing.removal,
    ])
  }
  const wasSent = (no: number): Promise<boolean> =>
    inTenant(
      engine,
      lease.tenantId,
      async (tx) => (await tx.query(`SELECT FROM batch WHERE no = $1 AND state IN ('accepted', 'applied')`, [no])).rows.length > 0,
    )

  if (!said.last) {
    const packer = new Packer(engine.destination.manifest.limits.rowsPerCall, () => '')
    for (let after = said.after; ; ) {
      const page = await feed.members(after, lease.signal)
      await heed(job, run)
      const decided = await inTenant(engine, lease.tenantId, (tx) => decidePage(tx, job, { rows: page.rows, range: null, later: null }))
      const { parts, kept } = await partsOfList(job, feed, decided, tally, () => replacing.atMost === null || replacing.removals + ++lost <= replacing.atMost)
      if (kept.length > 0) await lease.fenced(run.no, (tx) => leave(tx, job.scope, run.no, 'in_flight', kept))
      for (const part of parts) for (const packed of packer.add([part])) await say(packed)
      if (page.done) break
      after = page.nextCustomer
    }
    for (const packed of packer.flush()) await say(packed)
    // Everybody left since it was planned: there is no call that could take the others away.
    if (seq === 0)
      throw new ReplaceFails({ code: 'replacement_failed', detail: 'Nobody is left to be in the list.' }, replacingOf(job.audience)?.begunAt !== null)
  }
  await lease.fenced(run.no, async (tx) => {
    await endOfList(tx, job, run, replacingOf(job.audience) ?? replacing, tally)
    await finish(tx, replacing.start)
  })
  job.audience = { ...job.audience, replacing: { ...replacing, state: 'sent' } }
}

/** How far an earlier worker came: the last accepted place in the session, and the last person in it. */
async function saidBefore(job: Job, { runNo }: Replacing): Promise<{ seq: number; last: boolean; after: number }> {
  const { rows } = await inTenant(job.engine, job.lease.tenantId, (tx) =>
    tx.query<{ seq: number; last: boolean; after: number }>(
      `WITH done AS (SELECT no, session_seq, session_last FROM batch WHERE run_no = $1 AND manner = 'replace' AND operation = 'add' AND state IN ('accepted', 'applied'))
       SELECT coalesce(max(session_seq), 0)::int AS seq, coalesce(bool_or(session_last), false) AS last,
         coalesce((SELECT max(customer_no) FROM ledger WHERE audience_no = $2 AND add_batch IN (SELECT no FROM done)), 0) AS after FROM done`,
      [runNo, job.audience.no],
    ),
  )
  const { seq = 0, last = false, after = 0 } = rows[0] ?? {}
  return { seq, last, after: Number(after) }
}

/** Somebody's removal for privacy is done at once; only the end of the audience stops a replacement. */
async function heed(job: Job, run: RunRow): Promise<void> {
  const wishes = await job.lease.fenced(run.no, async (_, found) => found)
  if (wishes.remove) throw new RunStops('remove')
  if (!wishes.privacy) return
  try {
    await removeForPrivacy(job)
  } catch (error) {
    // It waits by itself: the window does not.
    if (!(error instanceof RunWaits)) throw error
    await waitWithPrivacy(job, error.forMs ?? STILL_AT_WORK_MS)
  }
}

/** Of a page, whoever goes into the list. `mayGo`: whether one more may leave whom the plan did not see leaving. `kept`: who is left to the next run. */
async function partsOfList(job: Job, feed: Feed, decided: readonly Decided[], tally: Tally, mayGo: () => boolean): Promise<{ parts: Part[]; kept: number[] }> {
  const { manifest } = job.engine.destination
  for (const { decision } of decided) if (decision.kind === 'suppressed') suppress(tally, decision.reason)
  const wanted = decided.filter(({ decision: { kind } }) => kind === 'add' || kind === 'replace' || kind === 'unchanged')
  // Whom a call names whose outcome is unknown: looked at again afterwards (C12).
  const kept = decided.filter(({ decision }) => decision.kind === 'wait').map(({ customerNo }) => customerNo)
  if (wanted.length === 0) return { parts: [], kept }
  const customers = wanted.map(({ customerNo }) => customerNo)
  const { verdicts, suppressionsAt } = await feed.fetch(customers, manifest.purpose(job.config.settings), job.lease.signal)
  const held = await inTenant(job.engine, job.lease.tenantId, (tx) => heldOfPeople(tx, job, customers))
  const parts: Part[] = []
  wanted.forEach(({ customerNo, known, decision }, i) => {
    const verdict = verdicts[i]
    if (verdict?.no !== customerNo) throw new Error('The fetch answered for somebody else.')
    const before = held.get(customerNo) ?? []
    const present = before.some(({ removing }) => !removing)
    const part = (kind: Part['kind'], sets: Part['sets'], fingerprint: number): Part => listed({ customerNo, kind, before, sets, fingerprint, suppressionsAt })
    const prepared = verdict.verdict === 'send' ? preparedFor(job, verdict) : null
    if (verdict.verdict === 'send' && prepared && prepared.rejected === null) {
      const kind = decision.kind === 'unchanged' ? 'none' : present ? 'replaced' : 'added'
      parts.push(part(kind, prepared.sets, fingerprintOf(verdict.groups, verdict.fingerprints, job.choice.watched)))
      return
    }
    if (!present) {
      if (verdict.verdict === 'suppressed') suppress(tally, verdict.reason)
      else if (prepared?.rejected) suppress(tally, prepared.rejected)
      return
    }
    if (verdict.verdict === 'suppressed' || mayGo()) return
    const sets = before.filter(({ removing }) => !removing).map(({ set }) => set)
    parts.push(part('none', sets, known?.fingerprint ?? 0))
    kept.push(customerNo)
  })
  return { parts, kept }
}

/** All of it is accepted: whoever is not in it is removed by it, whatever was left to do is done, and the removal counts. */
async function endOfList(tx: Tx, job: Job, run: RunRow, replacing: Replacing, tally: Tally): Promise<void> {
  const { audience, engine } = job
  const { removal } = replacing
  const applied = engine.destination.manifest.applies === 'answer'
  // A removal that was refused, or never taken, took nobody away.
  const { rows: present } = await tx.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM ledger l LEFT JOIN batch b ON b.no = l.remove_batch AND l.remove_batch > l.add_batch
     WHERE l.audience_no = $1 AND l.generation = $2 AND l.add_batch < $3 AND (l.remove_batch IS NULL OR l.remove_batch < $3) AND coalesce(b.state, '') NOT IN ('accepted', 'applied')`,
    [audience.no, audience.generation, removal],
  )
  const gone = present[0]?.n ?? 0
  await tx.query(
    'UPDATE ledger SET remove_batch = $3 WHERE audience_no = $1 AND generation = $2 AND add_batch < $3 AND (remove_batch IS NULL OR remove_batch < $3)',
    [audience.no, audience.generation, removal],
  )
  await tx.query(
    `UPDATE batch SET state = $2, removed = $3::int, braked = greatest(0, $3::int - $4::int), accepted_at = now(), sent_at = now(), applied_at = CASE WHEN $2 = 'applied' THEN now() END,
       platform_accepted_at = coalesce((SELECT max(platform_accepted_at) FROM batch WHERE run_no = $5 AND manner = 'replace'), now()), receipt = $6 WHERE no = $1`,
    [
      removal,
      applied ? 'applied' : 'accepted',
      gone,
      replacing.privacy,
      run.no,
      JSON.stringify({ replaces: true, session: { session_id: replacing.sessionId } }),
    ],
  )
  const { rows } = await tx.query<{ unchanged: number }>(
    `SELECT greatest(0, (SELECT count(*) FROM ledger WHERE audience_no = $1 AND add_batch > $2)
       - (SELECT coalesce(sum(added + replaced), 0) FROM batch WHERE run_no = $3 AND manner = 'replace' AND state IN ('accepted', 'applied')))::int AS unchanged`,
    [audience.no, removal, run.no],
  )
  await count(tx, run, { ...tally, unchanged: rows[0]?.unchanged ?? 0 })
  // What earlier runs left is done with; what this one was refused, or kept, stays.
  await tx.query(`DELETE FROM todo WHERE audience_no = $1 AND reason <> 'privacy' AND run_no IS DISTINCT FROM $2`, [audience.no, run.no])
  await setReplacing(tx, audience.no, applied ? null : { ...replacing, state: 'sent' })
  if (applied) await forgetRemoved(tx, audience.no, [removal])
  else await tx.query('UPDATE audience SET settle_at = coalesce(settle_at, now()) WHERE no = $1', [audience.no])
}
