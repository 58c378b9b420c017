/** The engine's own parts in this process, between a real behavior-export and the stand-in for Meta, and an audience to work on. */
import { randomBytes, randomUUID } from 'node:crypto'
import { newUuid } from '@audience-sync/contracts/ids'
import type { Grant } from '@audience-sync/contracts/internal/grants'
import type { Database } from '@audience-sync/db/database'
import type { Destination } from '@audience-sync/destination-kit/contract'
import { serviceClient } from '@audience-sync/service/client'
import { createLogger } from '@audience-sync/service/log'
import { destinationNo } from '@audience-sync/sync-engine/connector'
import type { EngineOptions } from '@audience-sync/sync-engine/options'
import { behaviorFeed, suppressionLog } from '@audience-sync/sync-engine/peers'
import { requestRun } from '@audience-sync/sync-engine/requests'
import { createSealer } from '@audience-sync/sync-engine/sealer'
import { databaseTime } from '@audience-sync/sync-engine/store/limiter'
import type { Engine } from '@audience-sync/sync-engine/worker/engine'
import { createDekStore } from '@audience-sync/vault/dek-store'
import { parseKeks } from '@audience-sync/vault/keks'
import type { BenchDatabase } from './cluster.ts'
import type { Trust } from './process.ts'

export const APP = { appId: '4000000000000001', appSecret: 'twin-app-secret' }

/** As in production, but for the times that only wait. */
const OPTIONS: EngineOptions = {
  workers: 1,
  leaseMs: 45_000,
  callMs: 30_000,
  pollMs: 20,
  settleMs: 1,
  suppressionMs: 15_000,
  horizonMs: 10_000,
  patienceMs: 5_000,
  backoffMs: 5,
}

export interface EngineParts {
  readonly database: BenchDatabase
  readonly behaviorExportUrl: string
  readonly trust: Trust
  readonly destination: Destination
  readonly grant: Grant
}

export async function makeEngine({ database, behaviorExportUrl, trust, destination, grant }: EngineParts): Promise<Engine & { close(): Promise<void> }> {
  const log = createLogger({ name: 'bench', level: process.env.LOG_LEVEL ?? 'error' })
  const db = database.as('connector_meta')
  const client = serviceClient({ name: 'behavior-export', url: behaviorExportUrl, tokens: trust.tokens('connector-meta'), log })
  return {
    db,
    destination,
    destinationNo: await destinationNo(db, destination.manifest.id),
    owner: `bench-${randomBytes(3).toString('hex')}`,
    options: OPTIONS,
    log,
    sealer: createSealer(createDekStore({ db, keks: parseKeks(syncKek()) })),
    grants: { get: async () => grant, report: async () => {}, forget() {} },
    suppressions: suppressionLog(client),
    feed: (tenantId, behaviorId) => behaviorFeed(client, tenantId, behaviorId),
    random: () => 0.5,
    clock: databaseTime,
    close: () => client.close(),
  }
}

export const syncKek = (): string => `kek_bench:${randomBytes(32).toString('base64url')}`

export interface AudienceHere {
  readonly no: number
  readonly id: string
  readonly tenantId: string
  readonly tenantNo: number
  readonly destinationNo: number
}

/** An audience as `audiences` writes it: all of `identifiers`, no minimum, a brake that never holds. */
export async function makeAudience(
  audiences: Database,
  of: { tenantId: string; behaviorId: string; accountExternalId: string; identifiers: readonly string[]; destinationNo: number },
): Promise<AudienceHere> {
  const { tenantId, destinationNo: destination } = of
  return audiences.tenant(tenantId, async (tx) => {
    const tenant = await tx.query<{ no: number }>('INSERT INTO tenant (id) VALUES ($1) RETURNING no', [tenantId])
    const tenantNo = tenant.rows[0]?.no ?? 0
    const { rows } = await tx.query<{ no: number; id: string }>(
      `INSERT INTO audience (id, tenant_id, tenant_no, destination, destination_no, behavior_id, connection_id, account_id, account_external_id, name, purpose, schedule, identifiers,
         retry_policy, brake, minimum_size, settings, status)
       VALUES ($1, $2, $3, 'meta', $4, $5, $6, $7, $8, 'Bench', 'targeting', '{"frequency":"manual"}', $9, '{}', '{"sharePercent":100,"minimum":1000000000}', 0, '{}', 'pending')
       RETURNING no, id`,
      [newUuid(), tenantId, tenantNo, destination, of.behaviorId, randomUUID(), randomUUID(), of.accountExternalId, of.identifiers],
    )
    const [row] = rows
    if (!row) throw new Error('No audience was made.')
    return { ...row, tenantId, tenantNo, destinationNo: destination }
  })
}

export const queueRun = (audiences: Database, audience: AudienceHere): Promise<number> =>
  audiences.tenant(
    audience.tenantId,
    async (tx) => (await requestRun(tx, { audience: { ...audience, destination: 'meta' }, trigger: 'api', announce: false })).no,
  )
