/** Audiences as rows: found, locked, listed, and told of. Everything runs in a transaction of the tenant. */
import { topics } from '@audience-sync/contracts/events/topics'
import { publicId, uuidOf } from '@audience-sync/contracts/ids'
import type { Schedule } from '@audience-sync/contracts/schedule'
import { orm, type Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { publish } from '@audience-sync/events/outbox'
import { audience } from '@audience-sync/sync-engine/schema/audience'
import { run } from '@audience-sync/sync-engine/schema/run'
import type { AudienceRow, RunRow } from '@audience-sync/sync-engine/store/rows'
import { and, desc, eq, inArray, isNull, lt, ne, sql } from 'drizzle-orm'
import { standingOf } from './status.ts'

const notFound = () => new AppError('not_found', 'There is no such audience.')

/** By its public id; `not_found` for unknown, foreign and deleted ones. */
export const findAudience = (tx: Tx, publicAudienceId: string): Promise<AudienceRow> => read(tx, publicAudienceId, false)

/** The same, locked: two wishes for one audience are taken one after the other. */
export const lockAudience = (tx: Tx, publicAudienceId: string): Promise<AudienceRow> => read(tx, publicAudienceId, true)

async function read(tx: Tx, publicAudienceId: string, locked: boolean): Promise<AudienceRow> {
  const id = uuidOf('audience', publicAudienceId)
  if (!id) throw notFound()
  const query = orm(tx)
    .select()
    .from(audience)
    .where(and(eq(audience.id, id), isNull(audience.deletedAt)))
  const [row] = await (locked ? query.for('no key update') : query)
  if (!row) throw notFound()
  return row
}

export interface Filter {
  readonly behaviorId?: string | undefined
  readonly accountId?: string | undefined
  readonly destination?: string | undefined
  readonly campaignRef?: string | undefined
}

/** Newest first, at most `limit`, older than the audience `before`. Ids are bare UUIDs. */
export function listAudiences(tx: Tx, filter: Filter, before: string | undefined, limit: number): Promise<AudienceRow[]> {
  return orm(tx)
    .select()
    .from(audience)
    .where(
      and(
        isNull(audience.deletedAt),
        filter.behaviorId ? eq(audience.behaviorId, filter.behaviorId) : undefined,
        filter.accountId ? eq(audience.accountId, filter.accountId) : undefined,
        filter.destination ? eq(audience.destination, filter.destination) : undefined,
        filter.campaignRef ? eq(audience.campaignRef, filter.campaignRef) : undefined,
        before ? lt(audience.id, before) : undefined,
      ),
    )
    .orderBy(desc(audience.id))
    .limit(limit)
}

/** Runs that have not ended and are not merely settling, those for privacy left out. */
export function openRuns(tx: Tx, audienceNos: readonly number[]): Promise<RunRow[]> {
  if (audienceNos.length === 0) return Promise.resolve([])
  return orm(tx)
    .select()
    .from(run)
    .where(and(inArray(run.audienceNo, [...audienceNos]), inArray(run.status, ['queued', 'running', 'waiting', 'held']), ne(run.trigger, 'privacy')))
}

/** Tells everyone of the audience as it is now; `audience.changed` carries a version, so that the newest wins. */
export async function announceAudience(tx: Tx, no: number, topic: 'created' | 'changed'): Promise<void> {
  const [row] = await orm(tx)
    .update(audience)
    .set({ updatedAt: sql`now()`, ...(topic === 'changed' && { version: sql`${audience.version} + 1` }) })
    .where(eq(audience.no, no))
    .returning()
  if (!row) throw notFound()
  const { status, reason } = standingOf(row, await openRuns(tx, [no]))
  const { frequency, at, timeZone, weekday } = row.schedule as Schedule
  const event = {
    tenantId: row.tenantId,
    key: row.id,
    version: row.version,
    message: {
      audienceId: publicId('audience', row.id),
      behaviorId: publicId('behavior', row.behaviorId),
      destination: row.destination,
      status,
      code: reason?.code ?? '',
      schedule: { frequency, at, timeZone, weekday },
      version: BigInt(row.version),
      deleted: row.deleteRequestedAt !== null,
    },
  }
  await (topic === 'created' ? publish(tx, { topic: topics.audienceCreated, ...event }) : publish(tx, { topic: topics.audienceChanged, ...event }))
}
