/**
 * Was anything lost, doubled or left lying? The stand-in's journal is the truth. An upload whose answer was lost is sent again
 * byte for byte, so repeats are the uploads whose body was there before: a body carries its session's number, which is drawn
 * anew for each batch. Repeats are harmless and counted apart; all other bodies have to be what the API counted.
 */
import { createHash } from 'node:crypto'
import type { System } from '@audience-sync/testing/conductor'
import type { Client, Json } from '@audience-sync/testing/conductor-client'
import { consumerLag } from '@audience-sync/testing/kafka-lag'
import { until } from '@audience-sync/testing/until'
import { farRows, rowsOf, type Upload, uploads } from '../e2e/people.ts'
import type { Plan } from './plan.ts'
import type { Story } from './scenario.ts'

const DRAIN_MS = 90_000 // a killed consumer's partitions are given on after its session of 30 s
const SCHEMAS = ['gateway', 'connections', 'behavior_export', 'sync', 'scheduler']

export interface Verdict {
  /** Wanted at the platform and not there; there and not wanted. */
  readonly lost: number
  readonly surplus: number
  readonly uploads: number
  readonly repeatedUploads: number
  /** People who were added twice by different uploads without having changed in between. */
  readonly doubled: number
  /** Rows of the uploads that are no repeats. */
  readonly journal: { readonly added: number; readonly removed: number }
  /** Of all runs, by the API. */
  readonly counts: Readonly<Record<string, number>>
  readonly unpublished: number
  readonly leases: number
  readonly lag: number
  readonly deadLetters: number
}

export async function judge(system: System, client: Client, plan: Plan, { audienceId, externalId }: Story): Promise<Verdict> {
  const [unpublished, lag] = await Promise.all([drained(system), caughtUp(system)])
  const far = await farRows(system.twin, externalId)
  const wanted = rowsOf(plan.desired)
  const all = await uploads(system.twin, externalId)
  const distinct = [...new Map(all.map((upload) => [identityOf(upload), upload])).values()]
  const rows = (operation: Upload['operation']) => distinct.filter((upload) => upload.operation === operation).reduce((sum, { data }) => sum + data.length, 0)
  return {
    lost: without(wanted, far),
    surplus: without(far, wanted),
    uploads: all.length,
    repeatedUploads: all.length - distinct.length,
    doubled: doubledIn(distinct),
    journal: { added: rows('add'), removed: rows('remove') },
    counts: await countsOf(client, audienceId),
    unpublished,
    leases: await count(system, 'SELECT count(*)::int AS n FROM sync.audience WHERE lease_owner IS NOT NULL'),
    lag,
    deadLetters: await inOutboxes(system, `topic LIKE '%.dlq'`),
  }
}

const identityOf = ({ entry: { method, body } }: Upload) => createHash('sha256').update(method).update(JSON.stringify(body)).digest('hex')

function without(some: readonly string[], others: readonly string[]): number {
  const there = new Set(others)
  return some.filter((one) => !there.has(one)).length
}

function doubledIn(distinct: readonly Upload[]): number {
  const added = new Set<string>()
  let doubled = 0
  for (const { operation, data } of distinct) {
    for (const row of data) {
      const key = row.join(' ')
      if (operation === 'remove') added.delete(key)
      else if (added.has(key)) doubled += 1
      else added.add(key)
    }
  }
  return doubled
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

async function caughtUp({ brokers }: System): Promise<number> {
  if (brokers.length === 0) return 0
  const left = async () => [...(await consumerLag(brokers)).values()].reduce((sum, n) => sum + n, 0)
  return until('all consumers have caught up', async () => (await left()) === 0, { timeoutMs: DRAIN_MS, everyMs: 500 }).then(() => 0, left)
}
