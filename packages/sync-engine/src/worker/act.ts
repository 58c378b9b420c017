/**
 * The acting half of a run: page by page decide, fetch, pack; batch by batch store and send. The cursor moves in the commit
 * that stores the last batch of what it passes, so a crash at any point repeats a page and never skips one (SYNC.md C3).
 */
import type { Tx } from '@audience-sync/db/database'
import type { Session } from '@audience-sync/destination-kit/contract'
import type { Feed } from '../peers.ts'
import { type Packed, Packer } from '../pure/packer.ts'
import { clearTodo, leave } from '../store/ledger.ts'
import { isTurnOver } from '../store/line.ts'
import { markAlike } from '../store/normaliser.ts'
import type { RunRow } from '../store/rows.ts'
import { newSessionId, storeBatch } from './batches.ts'
import { type Decided, decidePage } from './decisions.ts'
import { type RunHolds, RunStops, RunWaits } from './endings.ts'
import { inTenant } from './engine.ts'
import { ensureFarAudience } from './far-audience.ts'
import { grantOf, type Job, takeQuota } from './job.ts'
import { type PersonParts, partsOf } from './people.ts'
import { removeForPrivacy } from './privacy.ts'
import { sendBatch } from './send.ts'
import type { Page, PageReader } from './source.ts'

export interface Tally {
  unchanged: number
  readonly suppressed: Map<string, number>
}

export interface Acting {
  readonly run: RunRow
  readonly feed: Feed
  readonly pages: PageReader
  /** People to say something about, as counted before. */
  readonly expected: number
  /** Below the minimum: additions are withheld (C14). */
  readonly withholdAdditions: boolean
  /** A plan is applied: whoever changed after it is left to the next run. */
  readonly exact: boolean
  /** Crossing the share at the fetch holds the rest (C17). */
  readonly brake: { readonly atMost: number; hold(removals: number): RunHolds }
  /** Stored with the cursor when everything is said: the reason to look at everyone is gone. */
  readonly finish: (tx: Tx, cursor: string) => Promise<void>
}

export async function act(job: Job, { run, feed, pages, expected, withholdAdditions, exact, brake, finish }: Acting): Promise<void> {
  const { manifest, lane } = job.engine.destination
  const packer = new Packer(manifest.limits.rowsPerCall, lane)
  const sessions = new Map<string, number>()
  const seen: Page[] = []
  const tallies = new Map<number, Tally>()
  const since = await firstBatches(job, run)
  let cursor = job.audience.cursor
  let removals = 0
  let rows = 0

  const sessionOf = ({ operation, series, seq, last }: Packed): Session | null => {
    if (manifest.sessions === 'none') return null
    if (operation === 'remove') return { id: newSessionId(), seq: 1, last: true }
    const id = sessions.get(series) ?? newSessionId()
    sessions.set(series, id)
    return { id, seq, last }
  }

  /** Moves the cursor past every page whose people are all in stored batches, and counts what was looked at there. */
  const advance = async (tx: Tx, complete: boolean): Promise<void> => {
    const current = seen.at(-1)
    const open = Math.min(packer.oldestPage ?? Number.POSITIVE_INFINITY, complete ? Number.POSITIVE_INFINITY : (current?.index ?? 0))
    while (seen[0] && seen[0].index < open) {
      const page = seen.shift()
      if (!page) break
      cursor = page.next
      const tally = tallies.get(page.index)
      tallies.delete(page.index)
      if (tally) await count(tx, run, tally)
    }
    await tx.query('UPDATE audience SET cursor = $2 WHERE no = $1', [job.audience.no, cursor])
  }

  const say = async (packed: Packed, complete: boolean): Promise<void> => {
    await heedWishes(job, run)
    // Nobody was counted, and somebody came since.
    if (job.audience.externalId === null) await ensureFarAudience(job, run)
    await giveWay(job, run)
    // Quota first, then the bytes (C11): what waits for points is not fetched yet, or is a page old at most.
    const grant = await grantOf(job)
    await takeQuota(job, grant.tier, 'write', Math.ceil((expected - rows) / manifest.limits.rowsPerCall))
    rows += packed.parts.length
    const batch = await storeBatch(job, run, packed, { session: sessionOf(packed), alongside: (tx) => advance(tx, complete) })
    await sendBatch(job, run, batch, true)
  }

  for await (const page of pages()) {
    await heedWishes(job, run)
    seen.push(page)
    const decided = await inTenant(job.engine, job.lease.tenantId, (tx) => decidePage(tx, job, page))
    const tally: Tally = { unchanged: 0, suppressed: new Map() }
    tallies.set(page.index, tally)
    const todo = decided.filter((person) => isNew(person, packer, since) && sort(person, tally, withholdAdditions))
    await settleQuietly(job, run, decided, withholdAdditions)
    const people = await partsOf(job, feed, todo, page.index, exact)
    await clearQuiet(job, run, todo, people)
    for (const { parts, suppressed, alike } of people) {
      if (alike) tally.unchanged += 1
      if (parts.some(({ kind }) => kind === 'removed')) removals += 1
      if (removals > brake.atMost) throw brake.hold(removals)
      if (suppressed) suppress(tally, suppressed)
      for (const packed of packer.add(parts)) await say(packed, false)
    }
  }
  for (const packed of packer.flush()) await say(packed, true)
  await job.lease.fenced(run.no, async (tx) => {
    await advance(tx, true)
    await finish(tx, cursor)
  })
}

/**
 * Whoever was said since the run was claimed was said as new as its bound, or newer: a second row of theirs changes nothing. What an
 * interrupted run said before its wait, or before its worker died, was as new as an older bound: it is looked at again, but
 * whoever was refused waits for the next run.
 */
function isNew({ customerNo, known, forced, decision }: Decided, packer: Packer, since: { readonly run: number; readonly claim: number }): boolean {
  const said = Math.max(known?.addBatch ?? 0, known?.removeBatch ?? 0)
  if (packer.has(customerNo) || said >= since.claim) return false
  if (said < since.run) return true
  const refused = forced && known?.last === 'add' && known.state === 'done'
  return !refused && decision.kind !== 'unchanged'
}

export function suppress({ suppressed }: Tally, reason: string): void {
  suppressed.set(reason, (suppressed.get(reason) ?? 0) + 1)
}

/** True when something is to be said; else it is counted. */
function sort({ decision }: Decided, tally: Tally, withholdAdditions: boolean): boolean {
  switch (decision.kind) {
    case 'unchanged':
      tally.unchanged += 1
      return false
    case 'suppressed':
      suppress(tally, decision.reason)
      return false
    case 'add':
      if (withholdAdditions) suppress(tally, 'audience_too_small')
      return !withholdAdditions
    case 'replace':
    case 'remove':
      return true
    default:
      return false
  }
}

/**
 * Of a page, all at once: whoever is not said after all has nothing left to do; where only the normaliser is another, that is noted. Only of
 * those who were left to do when they were looked at: what the settler leaves meanwhile is for the next run (C3).
 */
async function clearQuiet(job: Job, run: RunRow, decided: readonly Decided[], people: readonly PersonParts[]): Promise<void> {
  const forced = new Set(decided.filter((person) => person.forced).map(({ customerNo }) => customerNo))
  const silent = people.filter(({ parts }) => parts.length === 0).map(({ customerNo }) => customerNo)
  if (silent.length === 0) return
  const quiet = silent.filter((no) => forced.has(no))
  const alike = people.flatMap((person) => (person.alike ? [person.customerNo] : []))
  await job.lease.fenced(run.no, async (tx) => {
    await clearTodo(tx, job.audience.no, quiet, run.no)
    await markAlike(tx, job.audience.no, job.versions.normaliser, alike)
  })
}

/** Those about whom nothing is left to say leave the list of what earlier runs left; those who wait enter it (C12). */
async function settleQuietly(job: Job, run: RunRow, decided: readonly Decided[], withholdAdditions: boolean): Promise<void> {
  const quiet = decided.filter(
    ({ forced, decision: { kind } }) =>
      forced && (kind === 'nothing' || kind === 'unchanged' || kind === 'suppressed' || (kind === 'add' && withholdAdditions)),
  )
  const waiting = decided.filter(({ decision }) => decision.kind === 'wait')
  if (quiet.length === 0 && waiting.length === 0) return
  await job.lease.fenced(run.no, async (tx) => {
    await clearTodo(
      tx,
      job.audience.no,
      quiet.map(({ customerNo }) => customerNo),
      run.no,
    )
    await leave(
      tx,
      job.scope,
      run.no,
      'in_flight',
      waiting.map(({ customerNo }) => customerNo),
    )
  })
}

export async function count(tx: Tx, run: RunRow, { unchanged, suppressed }: Tally): Promise<void> {
  const total = [...suppressed.values()].reduce((sum, n) => sum + n, 0)
  if (unchanged === 0 && total === 0) return
  await tx.query('UPDATE run SET unchanged = unchanged + $2, suppressed = suppressed + $3 WHERE no = $1', [run.no, unchanged, total])
  for (const [reason, n] of suppressed) {
    await tx.query(
      `UPDATE run SET suppressed_by = jsonb_set(suppressed_by, ARRAY[$2], to_jsonb(coalesce((suppressed_by ->> $2)::int, 0) + $3::int)) WHERE no = $1`,
      [run.no, reason, n],
    )
  }
}

/** Looks what is wished: somebody's removal for privacy is done at once, in between (R7); a stop is thrown. */
async function heedWishes(job: Job, run: RunRow): Promise<void> {
  const wishes = await job.lease.fenced(run.no, async (_, found) => found)
  if (wishes.privacy) await removeForPrivacy(job)
  if (wishes.remove) throw new RunStops('remove')
  if (wishes.pause) throw new RunStops('pause')
  if (wishes.cancel) throw new RunStops('cancel')
}

/** A large run makes room for others of its account where the quota is scarce; the cursor and what is left to do make that safe (R5). */
async function giveWay(job: Job, run: RunRow): Promise<void> {
  if (!(await isTurnOver(job.engine, run.no, job.audience))) return
  await job.lease.fenced(run.no, (tx) => tx.query('UPDATE run SET gave_way_at = now() WHERE no = $1', [run.no]))
  throw new RunWaits(0, { code: 'gave_way' })
}

/** Batches from these numbers on are this run's, and this claim's. */
async function firstBatches(job: Job, run: RunRow): Promise<{ readonly run: number; readonly claim: number }> {
  const { rows } = await inTenant(job.engine, job.lease.tenantId, (tx) =>
    tx.query<{ run: number | null; claim: number }>(
      `SELECT (SELECT min(no) FROM batch WHERE run_no = $1) AS run, coalesce((SELECT max(no) + 1 FROM batch WHERE audience_no = $2), 1) AS claim`,
      [run.no, job.audience.no],
    ),
  )
  const { claim = 1, run: first = null } = rows[0] ?? {}
  return { run: first ?? claim, claim }
}
