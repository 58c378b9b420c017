/** Looking into an audience: sizes over time, one person, and the account's quota. */
import { uuidOf } from '@audience-sync/contracts/ids'
import { Explanation, HistoryEntry, historyKinds, Quota } from '@audience-sync/contracts/rest/audiences'
import type { Transformation } from '@audience-sync/contracts/transformations'
import { orm, type Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { App } from '@audience-sync/service/app'
import { decodeCursor, pageOf, toPage, zPage } from '@audience-sync/service/page'
import { type Counts, runCounts } from '@audience-sync/sync-engine/counts'
import { matchRate } from '@audience-sync/sync-engine/match-rate'
import { history } from '@audience-sync/sync-engine/schema/record'
import { and, desc, eq, lt } from 'drizzle-orm'
import { z } from 'zod'
import { destinationAt } from '../destinations.ts'
import { explain } from '../explain.ts'
import { asSent } from '../normaliser.ts'
import { runsOf } from '../placement.ts'
import { quotasOf, usersOf } from '../quota.ts'
import { wordsOf } from '../reasons.ts'
import { findAudience } from '../store.ts'
import type { RouteParts } from './parts.ts'

const config = { scope: 'audiences:read' } as const
const tags = ['Audiences']

export function insightRoutes(app: App, { db, peers, destinations }: RouteParts): void {
  app.get(
    '/v1/audiences/:id/history',
    {
      config,
      schema: {
        tags,
        summary: 'Syncs, sizes and statuses over time, newest first',
        params: z.object({ id: z.string() }),
        querystring: zPage.extend({ kind: z.enum(historyKinds).optional().meta({ description: 'only these; sync is the sync log' }) }),
        response: { 200: pageOf(HistoryEntry) },
      },
    },
    ({ auth, params: { id }, query: { limit, cursor, kind } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, z.int())
      return db.tenant(auth.tenantId, async (tx) => {
        const audience = await findAudience(tx, id)
        const rows = await orm(tx)
          .select()
          .from(history)
          .where(and(eq(history.audienceNo, audience.no), kind && eq(history.kind, kind), before === undefined ? undefined : lt(history.no, before)))
          .orderBy(desc(history.no))
          .limit(limit + 1)
        const { data, nextCursor } = toPage(rows, limit, ({ no }) => no)
        const floor = destinations.get(audience.destination)?.manifest.sizeFloor
        const counts = await countsOf(tx, data)
        return { data: data.map((row) => historyEntry(row, floor, counts)), nextCursor }
      })
    },
  )

  app.get(
    '/v1/audiences/:id/members/:customerId',
    {
      config,
      schema: {
        tags,
        summary: 'Why is this person there, or not',
        params: z.object({ id: z.string(), customerId: z.string().max(256) }),
        response: { 200: Explanation },
      },
    },
    async ({ auth: { tenantId }, params: { id, customerId } }) => {
      const audience = await db.tenant(tenantId, (tx) => findAudience(tx, id))
      const destination = destinationAt(destinations, audience.destination)
      const known = await peers.explain(tenantId, audience.behaviorId, customerId, audience.transformations as Transformation[])
      return db.tenant(tenantId, async (tx) => explain(tx, audience, (await asSent(tx, destination)).manifest, customerId, known))
    },
  )

  app.get(
    '/v1/accounts/:id/quota',
    {
      config,
      schema: {
        tags: ['Accounts'],
        summary: 'How much of the platform’s limits is used, by whom, how long it lasts, and when the next runs are expected',
        params: z.object({ id: z.string() }),
        response: { 200: Quota },
      },
    },
    async ({ auth: { tenantId }, params: { id } }) => {
      const accountId = uuidOf('account', id)
      const account = accountId && (await peers.account(tenantId, accountId))
      if (!account) throw new AppError('not_found', 'There is no such account.')
      const { manifest } = destinationAt(destinations, account.destination)
      return db.tenant(tenantId, async (tx) => ({
        accountId: id,
        destination: account.destination,
        quotas: await quotasOf(tx, manifest, account.externalId),
        usedBy: await usersOf(tx, account.destination, account.externalId),
        runs: await runsOf(tx, manifest, account.externalId, new Date()),
      }))
    },
  )
}

type HistoryRow = typeof history.$inferSelect
type SyncCounts = Pick<Counts, 'added' | 'removed' | 'replaced' | 'rejected'>

const runIdOf = ({ kind, data }: HistoryRow): string | undefined => (kind === 'sync' ? uuidOf('run', (data as { runId: string }).runId) : undefined)

/** Of the runs of these lines, as they are now: what was unknown when a run failed is found out by the next one, and refusals come late. */
async function countsOf(tx: Tx, rows: readonly HistoryRow[]): Promise<ReadonlyMap<string, SyncCounts>> {
  const ids = rows.flatMap((row) => runIdOf(row) ?? [])
  if (ids.length === 0) return new Map()
  const { rows: runs } = await tx.query<{ no: number; id: string }>('SELECT no, id FROM run WHERE id = ANY($1)', [ids])
  const counts = await runCounts(
    tx,
    runs.map(({ no }) => no),
  )
  return new Map(
    runs.flatMap(({ no, id }): [string, SyncCounts][] => {
      const found = counts.get(no)
      return found ? [[id, { added: found.added, removed: found.removed, replaced: found.replaced, rejected: found.rejected }]] : []
    }),
  )
}

/** A code has its words, sizes their rate, a run its counts; the rest is shown as it was noted. */
function historyEntry(row: HistoryRow, floor: number | undefined, counts: ReadonlyMap<string, SyncCounts>): z.output<typeof HistoryEntry> {
  const { at, kind, data } = row
  const noted = data as Record<string, unknown>
  if (kind !== 'sync') return { at: at.toISOString(), kind, data: noted }
  const figure = (value: unknown) => (typeof value === 'number' ? value : null)
  const rate = matchRate({ sizeDestination: figure(noted.size), sizeEligible: figure(noted.eligible) }, floor)
  const error = typeof noted.error === 'string' ? wordsOf(noted.error) : null
  return { at: at.toISOString(), kind, data: { ...noted, ...counts.get(runIdOf(row) ?? ''), matchRate: rate, error } }
}
