/**
 * Was anything lost, doubled or left lying? The stand-in's journal is the truth; what it took is replayed here.
 *
 * Five things are not counted by the API, and are recognised like this: an upload whose answer was lost is sent again byte for
 * byte, so its body was there before (a body carries its session's number, drawn anew for each batch) · a last word that is
 * said again after a takeover or an unknown outcome (SYNC.md C4, C16) is a batch of its own, marked `repeat` in the ledger's
 * tables, and changes nobody · while an addition of somebody may still be said again, what they had before may still land, so whoever
 * changes meanwhile is removed by that, too (C12): beside the row that removes them goes one that changes nobody · whose
 * addition was lost between the two halves of a replacement is removed by everything once more before it (C12), because the ledger
 * names the last call only · everything else that changes nobody was said twice: that is a fault.
 */
import { createHash } from 'node:crypto'
import type { System } from '@audience-sync/testing/conductor'
import type { Client, Json } from '@audience-sync/testing/conductor-client'
import { consumerLag } from '@audience-sync/testing/kafka-lag'
import { until } from '@audience-sync/testing/until'
import { farRows, rowOf, rowsOf, type Upload, uploads } from '../e2e/people.ts'
import type { Plan } from './plan.ts'
import type { Story } from './scenario.ts'

const DRAIN_MS = 90_000 // a killed consumer's partitions are given on after its session of 30 s
const SCHEMAS = ['gateway', 'connections', 'behavior_export', 'sync', 'scheduler', 'webhooks']

export interface Verdict {
  /** Wanted at the platform and not there; there and not wanted. */
  readonly lost: number
  readonly surplus: number
  readonly uploads: number
  readonly repeatedUploads: number
  /** Rows of last words that were said again on purpose. */
  readonly saidAgain: number
  /** Rows that removed what was gone already, for those two reasons. */
  readonly removedAgain: number
  /** Rows that changed nobody for none of these reasons. */
  readonly doubled: number
  /** People whom uploads changed, once each upload. */
  readonly journal: { readonly added: number; readonly removed: number }
  /** Of all runs, by the API. */
  readonly counts: Readonly<Record<string, number>>
  readonly unpublished: number
  readonly leases: number
  readonly lag: number
  readonly deadLetters: number
}

export async function judge(system: System, client: Client, plan: Plan, { audienceId, externalId }: Story): Promise<Verdict> {
  await rested(system)
  const [unpublished, lag, leases] = await Promise.all([drained(system), caughtUp(system), released(system)])
  const far = await farRows(system.twin, externalId)
  const wanted = rowsOf(plan.desired)
  const all = await uploads(system.twin, externalId)
  const distinct = [...new Map(all.map((upload) => [identityOf(upload), upload])).values()]
  const { added, removed, removedAgain, ineffective } = replay(distinct, ownersOf(plan))
  const saidAgain = await count(system, `SELECT coalesce(sum(rows), 0)::int AS n FROM sync.batch WHERE repeat AND state IN ('accepted', 'applied')`)
  return {
    lost: without(wanted, far),
    surplus: without(far, wanted),
    uploads: all.length,
    repeatedUploads: all.length - distinct.length,
    saidAgain,
    removedAgain,
    doubled: ineffective - saidAgain,
    journal: { added, removed },
    counts: await countsOf(client, audienceId),
    unpublished,
    leases,
    lag,
    deadLetters: await inOutboxes(system, `topic LIKE '%.dlq'`),
  }
}

const identityOf = ({ entry: { method, body } }: Upload) => createHash('sha256').update(method).update(JSON.stringify(body)).digest('hex')

function without(some: readonly string[], others: readonly string[]): number {
  const there = new Set(others)
  return some.filter((one) => !there.has(one)).length
}

/** Whose identifier it is, of all that anybody ever had. */
function ownersOf({ rounds }: Plan): ReadonlyMap<string, string> {
  return new Map(
    rounds.flatMap(({ changed }) =>
      changed.flatMap((one) =>
        rowOf(one)
          .split(' ')
          .map((identifier): [string, string] => [identifier, one.customerId]),
      ),
    ),
  )
}

/** An addition changes somebody if one of its identifiers was not there, a removal if one was. */
function replay(
  distinct: readonly Upload[],
  owners: ReadonlyMap<string, string>,
): Pick<Verdict, 'removedAgain'> & Verdict['journal'] & { ineffective: number } {
  const there = new Set<string>()
  /** Who was removed and not added since, with the rows that removed them again: right if an addition follows. */
  const between = new Map<string, number>()
  const tally = { added: 0, removed: 0, removedAgain: 0, ineffective: 0 }
  for (const { operation, data } of distinct) {
    const adds = operation === 'add'
    const changed = new Set<string>()
    const idle: string[] = []
    for (const row of data) {
      const identifiers = row.filter((value) => value !== '')
      const owner = owners.get(identifiers[0] ?? '') ?? ''
      if (identifiers.some((value) => there.has(value) !== adds)) changed.add(owner)
      else idle.push(owner)
      for (const value of identifiers) adds ? there.add(value) : there.delete(value)
      if (!adds) continue
      tally.removedAgain += between.get(owner) ?? 0
      between.delete(owner)
    }
    tally[adds ? 'added' : 'removed'] += changed.size // people, not rows: who is removed by all they ever had may be there by two of them
    for (const owner of idle) {
      if (!adds && changed.has(owner)) tally.removedAgain += 1
      else if (!adds && between.has(owner)) between.set(owner, (between.get(owner) ?? 0) + 1)
      else tally.ineffective += 1
    }
    if (!adds) for (const owner of changed) between.set(owner, between.get(owner) ?? 0)
  }
  for (const again of between.values()) tally.ineffective += again
  return tally
}

async function countsOf(client: Client, audienceId: string): Promise<Record<string, number>> {
  const total: Record<string, number> = {}
  let cursor = ''
  do {
    const page = await client.get(`/v1/audiences/${audienceId}/runs?limit=200${cursor && `&cursor=${cursor}`}`)
    for (const { counts } of page.data as { counts: Json }[]) for (const [name, n] of Object.entries<number>(counts)) total[name] = (total[name] ?? 0) + n
    cursor = page.nextCursor ?? ''
  } while (cursor !== '')
  return total
}

async function count(system: System, sql: string): Promise<number> {
  const [row] = await system.database.admin<{ n: number }>(sql)
  return row?.n ?? 0
}

async function inOutboxes(system: System, which: string): Promise<number> {
  const counts = await Promise.all(SCHEMAS.map((schema) => count(system, `SELECT count(*)::int AS n FROM ${schema}.outbox WHERE ${which}`)))
  return counts.reduce((sum, n) => sum + n, 0)
}

/** Resolves to what is left when it does not drain. */
async function drained(system: System): Promise<number> {
  const left = () => inOutboxes(system, 'published_at IS NULL')
  return until('the outboxes are empty', async () => (await left()) === 0, { timeoutMs: DRAIN_MS, everyMs: 200 }).then(() => 0, left)
}

/** No run is open and nobody is due to be said again: a repetition that is half-way is in the journal and not in the tables. */
const rested = (system: System) =>
  until(
    'every run has ended, and nobody is to be said again now',
    async () =>
      (await count(
        system,
        `SELECT ((SELECT count(*) FROM sync.run WHERE status IN ('queued', 'running', 'waiting')) + (SELECT count(*) FROM sync.say_again WHERE due_at <= now()))::int AS n`,
      )) === 0,
    { timeoutMs: DRAIN_MS, everyMs: 200 },
  )

/** A lease that ran out is nobody's, whoever's name it bears. */
async function released(system: System): Promise<number> {
  const left = () => count(system, 'SELECT count(*)::int AS n FROM sync.audience WHERE lease_until > now()')
  return until('no lease is held', async () => (await left()) === 0, { timeoutMs: DRAIN_MS, everyMs: 200 }).then(() => 0, left)
}

async function caughtUp({ brokers }: System): Promise<number> {
  if (brokers.length === 0) return 0
  const left = async () => [...(await consumerLag(brokers)).values()].reduce((sum, n) => sum + n, 0)
  return until('all consumers have caught up', async () => (await left()) === 0, { timeoutMs: DRAIN_MS, everyMs: 500 }).then(() => 0, left)
}
