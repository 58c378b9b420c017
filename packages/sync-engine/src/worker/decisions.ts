/** What a page of the source means: each person looked up in the ledger and decided about (pure/diff.ts). */
import type { FeedRow } from '@audience-sync/contracts/internal/feed'
import type { Tx } from '@audience-sync/db/database'
import { type Decision, decide } from '../pure/diff.ts'
import { type LedgerEntry, lookUp, lookUpRange } from '../store/ledger.ts'
import type { Job } from './job.ts'
import type { Page } from './source.ts'

export interface Decided {
  readonly customerNo: number
  readonly row: FeedRow | undefined
  readonly known: LedgerEntry | undefined
  readonly forced: boolean
  /** Times that the platform has refused them. */
  readonly refused: number
  readonly decision: Decision
}

/** As much of a job as deciding needs. */
export type Deciding = Pick<Job, 'scope' | 'exceptions' | 'choice' | 'versions'>

export async function decidePage(tx: Tx, job: Deciding, page: Pick<Page, 'rows' | 'range' | 'later'>): Promise<Decided[]> {
  const decided = await decideAll(tx, job, page)
  return page.later ? decided.filter(({ customerNo }) => !page.later?.has(customerNo)) : decided
}

async function decideAll(tx: Tx, job: Deciding, page: Pick<Page, 'rows' | 'range'>): Promise<Decided[]> {
  const { scope, exceptions } = job
  const customers = page.rows.map(([no]) => no)
  const found = await lookUp(tx, scope.audienceNo, scope.generation, customers, exceptions)
  const decided = page.rows.map((row) => about(job, row[0], row, found.known.get(row[0]), found.forced.has(row[0]), found.refused.get(row[0])))
  if (!page.range) return decided
  const others = await lookUpRange(tx, scope.audienceNo, scope.generation, page.range.from, page.range.to, exceptions)
  const seen = new Set(customers)
  for (const [no, known] of others.known) if (!seen.has(no)) decided.push(about(job, no, undefined, known, others.forced.has(no), others.refused.get(no)))
  return decided
}

export function about(
  { choice, versions }: Pick<Deciding, 'choice' | 'versions'>,
  customerNo: number,
  row: FeedRow | undefined,
  known: LedgerEntry | undefined,
  forced: boolean,
  refused = 0,
): Decided {
  return { customerNo, row, known, forced, refused, decision: decide(row, known, forced, choice, versions) }
}
