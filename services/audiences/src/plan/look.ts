/**
 * The counting half of a run without the run: the same bound, the same pages, the same decisions (`sync-engine/worker`), nothing
 * written and nobody decrypted. Memory is bounded by a page and a bit per person.
 *
 * People are decided about as they stand when they are looked at, each once: a plan is at least as new as its bound, as a run is.
 */
import type { IdentifierChoice } from '@audience-sync/contracts/people'
import type { Transformation } from '@audience-sync/contracts/transformations'
import type { Database, Tx } from '@audience-sync/db/database'
import type { Manifest } from '@audience-sync/destination-kit/manifest-contract'
import { PAGE } from '@audience-sync/sync-engine/options'
import type { Feed } from '@audience-sync/sync-engine/peers'
import { choiceOf, fingerprintOf } from '@audience-sync/sync-engine/pure/diff'
import { Seen } from '@audience-sync/sync-engine/pure/seen'
import { readExceptions, readTodo } from '@audience-sync/sync-engine/store/ledger'
import { neverTaken } from '@audience-sync/sync-engine/store/rejections'
import type { AudienceRow } from '@audience-sync/sync-engine/store/rows'
import { isTooSmall } from '@audience-sync/sync-engine/store/status'
import { type Decided, type Deciding, decidePage } from '@audience-sync/sync-engine/worker/decisions'
import { type Bound, chooseBound, type Page } from '@audience-sync/sync-engine/worker/source'
import { Tally } from './tally.ts'

const HORIZON_MS = 5_000 // a writer’s transaction takes milliseconds; what is later than this is not in the plan
const ANY_RUN = Number.MAX_SAFE_INTEGER // whatever earlier runs left: the run that applies the plan comes after them all

export interface LookParts {
  readonly db: Database
  readonly feed: Feed
  readonly manifest: Manifest
  readonly signal: AbortSignal
}

export interface Look {
  readonly bound: Bound
  readonly tally: Tally
}

export async function look(parts: LookParts, audience: AudienceRow): Promise<Look> {
  const { db, feed, manifest, signal } = parts
  const deciding = await decidingOf(parts, audience)
  const reading = { engine: { options: { horizonMs: HORIZON_MS } }, lease: { signal }, audience, versions: deciding.versions }
  const bound = await chooseBound(reading, feed, { mode: 'incremental', trigger: 'api', bound: null })
  const { eligible } = await feed.eligible(manifest.purpose(audience.settings), deciding.choice.chosen, audience.minimumSize)
  const withholdAdditions = isTooSmall(audience, eligible)
  const tally = new Tally(deciding.choice, { withholdAdditions })
  for await (const page of bound.mode === 'full' ? everyone(parts) : changed(parts, audience, bound)) {
    const decided = await db.tenant(audience.tenantId, async (tx) => {
      const people = await decidePage(tx, deciding, page)
      return withholdAdditions ? people : countedAsAdded(tx, deciding, people)
    })
    for (const person of decided) tally.add(person)
  }
  return { bound, tally }
}

/** Whoever was refused by name and never taken is new to the platform when the same is said again: the run counts them so (C1). */
export async function countedAsAdded(tx: Tx, { scope, choice }: Pick<Deciding, 'scope' | 'choice'>, people: readonly Decided[]): Promise<readonly Decided[]> {
  const again = people.filter(
    ({ decision, forced, known, row }) =>
      decision.kind === 'replace' && forced && known && row && known.fingerprint === fingerprintOf(row[3], row[4], choice.watched),
  )
  const never = await neverTaken(
    tx,
    scope,
    again.map(({ customerNo }) => customerNo),
  )
  return never.size === 0 ? people : people.map((one) => (never.has(one.customerNo) ? { ...one, decision: { kind: 'add' } } : one))
}

/** What `openJob` of the engine makes of an audience, as far as deciding needs it. */
async function decidingOf({ db, manifest }: LookParts, audience: AudienceRow): Promise<Deciding> {
  const { no: audienceNo, tenantId, tenantNo, destinationNo, generation, configVersion, settings } = audience
  const choices = audience.identifiers as IdentifierChoice[]
  return {
    scope: { audienceNo, tenantNo, destinationNo, generation },
    exceptions: await db.tenant(tenantId, (tx) => readExceptions(tx, audienceNo)),
    choice: choiceOf(choices, manifest.purpose(settings), manifest.sends(settings), audience.transformations as Transformation[]),
    versions: { configVersion, normaliser: manifest.normaliserVersion },
  }
}

type People = Pick<Page, 'rows' | 'range' | 'later'>

async function* everyone({ feed, signal }: LookParts): AsyncGenerator<People> {
  for (let after = 0; ; ) {
    const { rows, nextCustomer, done } = await feed.members(after, signal)
    yield { rows, range: { from: after + 1, to: done ? null : nextCustomer }, later: null }
    if (done) return
    after = nextCustomer
  }
}

async function* changed({ db, feed, signal }: LookParts, audience: AudienceRow, { below }: Bound): AsyncGenerator<People> {
  const seen = new Seen()
  const asNow = async (customers: readonly number[]): Promise<People> => {
    const fresh = customers.filter((no) => seen.add(no))
    return { rows: fresh.length > 0 ? await feed.rows(fresh, signal) : [], range: null, later: null }
  }
  for (let from = audience.cursor, done = false; !done; ) {
    const page = await feed.changes(from, below, signal)
    yield asNow(page.rows.map(([no]) => no))
    from = page.next
    done = page.done
  }
  for (let after = 0; ; ) {
    const left = await db.tenant(audience.tenantId, (tx) => readTodo(tx, audience.no, after, false, ANY_RUN, PAGE))
    if (left.length === 0) return
    yield asNow(left)
    after = left.at(-1) ?? after
  }
}
