/**
 * The input of a run, page by page: what changed in the behavior since the audience's cursor, then what earlier runs left to do;
 * or, in full mode, everyone who is or was a member, beside everyone in the ledger (two streams in the same order).
 * Memory is bounded by a page. The same pages can be read twice: once to count, once to act.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { FeedRow, Horizon } from '@audience-sync/contracts/internal/feed'
import { comparePositions } from '@audience-sync/contracts/internal/position'
import { AppError } from '@audience-sync/errors/app-error'
import { type EngineOptions, PAGE } from '../options.ts'
import type { Feed } from '../peers.ts'
import type { Versions } from '../pure/diff.ts'
import { readTodo } from '../store/ledger.ts'
import type { AudienceRow, RunRow } from '../store/rows.ts'
import type { Engine } from './engine.ts'
import type { Job } from './job.ts'

export interface Page {
  readonly index: number
  readonly rows: readonly FeedRow[]
  /** People of the ledger to look at besides: a full reconcile's second stream. `to` null: to the end. */
  readonly range: { readonly from: number; readonly to: number | null } | null
  /** Of a plan's run: who changed after its bound, and is left to the next run though the rows show them as they are now. */
  readonly later: ReadonlySet<number> | null
  /** Where the cursor may stand when everything before this page is stored; and when this page is too. */
  readonly from: string
  readonly next: string
}

export interface Bound {
  readonly mode: 'incremental' | 'full'
  /** Changes from this transaction id on are left to the next run. */
  readonly below: string
  readonly epoch: string
  /** The feed did not reach our cause in time: another run has to look again (C5). */
  readonly behind: boolean
}

const POLL_MS = 50 // between two looks at the horizon; a writer's transaction takes milliseconds

/** As much of a job as the choice of a bound needs; a plan is made without a lease. */
export interface Reading {
  readonly engine: { readonly options: Pick<EngineOptions, 'horizonMs'> }
  readonly lease: { readonly signal: AbortSignal }
  readonly audience: Pick<AudienceRow, 'cursor' | 'cursorEpoch' | 'fullReason' | 'normaliser'>
  readonly versions: Pick<Versions, 'normaliser'>
}

/**
 * Where planning and acting stop. The run was claimed and that was committed; whatever was committed before now has to be in
 * it, so the bound is the first transaction id not yet given out, as soon as the feed can be read up to there (C5).
 */
export async function chooseBound(
  { engine, lease, audience, versions }: Reading,
  feed: Pick<Feed, 'horizon'>,
  run: Pick<RunRow, 'mode' | 'trigger' | 'bound'>,
): Promise<Bound> {
  const first = await feed.horizon(lease.signal)
  // A plan was compared up to its own bound; who changed after that is left to the next run.
  const target = BigInt(isPlan(run) ? (run.bound ?? first.xmax) : first.xmax)
  const now = await reach(feed, first, target, engine.options.horizonMs, lease.signal)
  const behind = BigInt(now.xmin) < target
  const lost = audience.cursorEpoch !== null && (audience.cursorEpoch !== now.epoch || comparePositions(audience.cursor, now.oldest) < 0)
  const renormalise = audience.normaliser !== versions.normaliser
  const full = run.mode === 'full' || audience.fullReason !== null || audience.cursorEpoch === null || lost || renormalise
  return { mode: full ? 'full' : 'incremental', below: behind ? now.xmin : String(target), epoch: now.epoch, behind }
}

/** Waits, for a while, until the feed can be read up to a transaction. */
async function reach(feed: Pick<Feed, 'horizon'>, first: Horizon, target: bigint, forMs: number, signal: AbortSignal): Promise<Horizon> {
  const deadline = performance.now() + forMs
  let now = first
  while (BigInt(now.xmin) < target && performance.now() < deadline) {
    await sleep(POLL_MS, undefined, { signal })
    now = await feed.horizon(signal)
  }
  return now
}

/** A run that applies a plan says exactly what was planned. */
export const isPlan = ({ trigger, bound }: Pick<RunRow, 'trigger' | 'bound'>): boolean => trigger === 'plan' && bound !== null

export type PageReader = () => AsyncGenerator<Page>

export const pagesOf =
  (job: Job, feed: Feed, run: RunRow, bound: Bound): PageReader =>
  () =>
    bound.mode === 'full' ? fullPages(job, feed, run, bound) : changedPages(job, feed, run, bound)

async function* changedPages({ engine, lease, audience }: Job, feed: Feed, run: RunRow, bound: Bound): AsyncGenerator<Page> {
  const later = changedLater(engine, lease, feed, run, bound)
  let index = 0
  let from = audience.cursor
  for (let done = false; !done; index += 1) {
    const page = await feed.changes(from, bound.below, lease.signal)
    yield { index, rows: page.rows, range: null, later: await later(), from, next: page.next }
    from = page.next
    done = page.done
  }
  for (let after = 0; ; index += 1) {
    const customers = await leftToDo(engine, audience.tenantId, audience.no, after, run.no)
    if (customers.length === 0) return
    const rows = await feed.rows(customers, lease.signal)
    yield { index, rows, range: null, later: await later(), from, next: from }
    after = customers.at(-1) ?? after
  }
}

const leftToDo = (engine: Engine, tenantId: string, audienceNo: number, after: number, runNo: number) =>
  engine.db.tenant(tenantId, (tx) => readTodo(tx, audienceNo, after, false, runNo, PAGE))

/** The cursor stays until everyone was looked at: then it is the horizon from before the first page (C8). */
async function* fullPages({ engine, lease, audience }: Job, feed: Feed, run: RunRow, bound: Bound): AsyncGenerator<Page> {
  const later = changedLater(engine, lease, feed, run, bound)
  let after = 0
  let start = isPlan(run) ? `${bound.below}:0` : undefined
  for (let index = 0; ; index += 1) {
    const page = await feed.members(after, lease.signal)
    start ??= page.start
    const range = { from: after + 1, to: page.done ? null : page.nextCustomer }
    yield { index, rows: page.rows, range, later: await later(), from: audience.cursor, next: page.done ? start : audience.cursor }
    if (page.done) return
    after = page.nextCustomer
  }
}

/**
 * Who changed at or after the bound of a plan's run, as far as they may be in what was read before this is asked; null for other
 * runs, which take people as they are.
 */
function changedLater(engine: Engine, { signal }: Job['lease'], feed: Feed, run: RunRow, { below }: Bound): () => Promise<ReadonlySet<number> | null> {
  if (!isPlan(run)) return async () => null
  const changed = new Set<number>()
  let position = `${below}:0`
  return async () => {
    const first = await feed.horizon(signal)
    const now = await reach(feed, first, BigInt(first.xmax), engine.options.horizonMs, signal)
    // The rows show what is committed; a change behind an open transaction is in them, and could not be told from what was planned.
    if (BigInt(now.xmin) < BigInt(first.xmax)) throw new AppError('service_unavailable', 'The feed cannot be read up to now: an open transaction holds it.')
    for (let done = false; !done; ) {
      const page = await feed.changes(position, first.xmax, signal)
      for (const [no] of page.rows) changed.add(no)
      position = page.next
      done = page.done || page.count === 0
    }
    return changed
  }
}
