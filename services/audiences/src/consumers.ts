/** What audiences hears: behaviors that changed, connections that came or went, tenants' default countries. Short; no HTTP here. */
import { topics } from '@audience-sync/contracts/events/topics'
import { uuidOf } from '@audience-sync/contracts/ids'
import type { Schedule } from '@audience-sync/contracts/schedule'
import { orm, type Tx } from '@audience-sync/db/database'
import { type AnyConsumer, defineConsumer, PoisonError } from '@audience-sync/events/consumer'
import { requestRun } from '@audience-sync/sync-engine/requests'
import { audience } from '@audience-sync/sync-engine/schema/audience'
import type { AudienceRow } from '@audience-sync/sync-engine/store/rows'
import { setStatus } from '@audience-sync/sync-engine/store/status'
import { and, eq, isNull } from 'drizzle-orm'
import { wantSizeCheck } from './size-check.ts'
import { MENDABLE } from './status.ts'
import { claimDefaultCountry } from './tenant-default.ts'

const REALTIME_DELAY_MS = 3_000 // DESIGN.md §2.2: debounced to a few seconds

export const consumers: readonly AnyConsumer[] = [
  defineConsumer({
    name: 'audiences.behavior-updated',
    topic: topics.behaviorUpdated,
    async handle(tx, events) {
      for (const { message, traceparent } of events) await behaviorUpdated(tx, bare('behavior', message.behaviorId), traceparent)
    },
  }),
  defineConsumer({
    name: 'audiences.connection-changed',
    topic: topics.connectionChanged,
    async handle(tx, events) {
      for (const { message, occurredAt } of events) await connectionChanged(tx, bare('connection', message.connectionId), message.status, occurredAt)
    },
  }),
  defineConsumer({
    name: 'audiences.tenant-changed',
    topic: topics.tenantChanged,
    async handle(tx, events) {
      for (const { tenantId, message, occurredAt } of events) await tenantChanged(tx, tenantId, message.defaultCountry || null, occurredAt)
    },
  }),
]

function bare(kind: 'behavior' | 'connection', id: string): string {
  const uuid = uuidOf(kind, id)
  if (!uuid) throw new PoisonError('event_malformed', `The event names no ${kind}.`)
  return uuid
}

const live = and(isNull(audience.deletedAt), isNull(audience.deleteRequestedAt))

async function behaviorUpdated(tx: Tx, behaviorId: string, traceparent: string | undefined): Promise<void> {
  const rows = await orm(tx)
    .select()
    .from(audience)
    .where(and(eq(audience.behaviorId, behaviorId), live))
    .orderBy(audience.no)
  for (const row of rows) {
    // Too small or not, whoever left is removed (C14); an audience that the platform has not seen yet has nobody to remove.
    const due = (row.schedule as Schedule).frequency === 'realtime' && !row.pausedAt && (!row.tooSmall || row.externalId !== null)
    if (due) await requestRun(tx, { audience: row, trigger: 'realtime', delayMs: REALTIME_DELAY_MS, traceparent })
  }
  await wantSizeCheck(tx, rows)
}

/** Statuses of a connection that stop its audiences → what they then say. */
const GONE: Record<string, string> = { expired: 'connection_expired', revoked: 'connection_revoked' }

async function connectionChanged(tx: Tx, connectionId: string, status: string, at: Date): Promise<void> {
  const rows = await orm(tx)
    .select()
    .from(audience)
    .where(and(eq(audience.connectionId, connectionId), live))
    .orderBy(audience.no)
  const code = GONE[status]
  for (const row of rows) {
    if (code) await ended(tx, row, code)
    else if (status === 'active') await mended(tx, row, at)
  }
}

/** Where the engine met it first, its reason has the platform's own words: they stay. */
async function ended(tx: Tx, row: AudienceRow, code: string): Promise<void> {
  const known = (row.statusReason as { code?: string } | null)?.code === code
  if (row.status !== 'error' || !known) await setStatus(tx, row, 'error', { code })
}

/**
 * The connection, or one of its accounts, is another than it was. A run that meets missing terms has the accounts read anew before it fails,
 * which is such a change, too: what was refused after it is not mended by it.
 */
async function mended(tx: Tx, row: AudienceRow, at: Date): Promise<void> {
  await tx.query(`UPDATE run SET not_before = now() WHERE audience_no = $1 AND status = 'waiting' AND wait_reason->>'code' = ANY($2)`, [row.no, [...MENDABLE]])
  await tx.query(`UPDATE lookalike SET due_at = now() WHERE audience_no = $1 AND deleted_at IS NULL AND status_reason->>'code' = ANY($2)`, [
    row.no,
    [...MENDABLE],
  ])
  const { code } = (row.statusReason ?? {}) as { code?: string }
  if (row.status === 'error' && code && MENDABLE.has(code) && row.statusSince < at)
    await setStatus(tx, row, row.settleAt || !row.externalId ? 'pending' : 'active')
}

/** Another country reads national phone numbers differently: what was sent may be wrong now (C9). */
async function tenantChanged(tx: Tx, tenantId: string, country: string | null, occurredAt: Date): Promise<void> {
  await claimDefaultCountry(tx, tenantId)
  const { rowCount } = await tx.query(
    `INSERT INTO tenant_default AS t (tenant_id, default_country, occurred_at) VALUES ($1, $2, $3)
     ON CONFLICT (tenant_id) DO UPDATE SET default_country = excluded.default_country, occurred_at = excluded.occurred_at
     WHERE excluded.occurred_at > t.occurred_at`,
    [tenantId, country, occurredAt],
  )
  if (rowCount === 0) return
  await tx.query(
    `UPDATE audience SET default_country = $1, config_version = config_version + 1, full_reason = coalesce(full_reason, 'config_changed')
     WHERE deleted_at IS NULL AND default_country IS DISTINCT FROM $1`,
    [country],
  )
}
