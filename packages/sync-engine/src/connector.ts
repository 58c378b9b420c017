/**
 * A connector: the engine's workers with one destination. Each destination's service hands its own to `startConnector` and is
 * its own deployment, role and image; nothing here knows one by name.
 *
 * Cast: workers claim audiences that have something due · the settler asks the platform what became of accepted batches · the
 * suppression reader finds who may not be there any more · normalisers are changed, and looked at in shadow · consumers only wake them (a Kafka handler never does long work).
 */
import { hostname } from 'node:os'
import { topics } from '@audience-sync/contracts/events/topics'
import { uuidOf } from '@audience-sync/contracts/ids'
import type { Database } from '@audience-sync/db/database'
import type { Destination } from '@audience-sync/destination-kit/contract'
import { defineConsumer, PoisonError } from '@audience-sync/events/consumer'
import type { Subscription, Transport } from '@audience-sync/events/transport'
import type { ServiceClient } from '@audience-sync/service/client'
import type { Logger } from '@audience-sync/service/log'
import { type Loop, startLoop } from '@audience-sync/service/loop'
import { createDekStore } from '@audience-sync/vault/dek-store'
import type { Keks } from '@audience-sync/vault/keks'
import { lookAtOne } from './drift/look.ts'
import { HOUSEKEEPING_EVERY_MS, housekeep } from './housekeeping.ts'
import type { EngineOptions } from './options.ts'
import { accountGrants, behaviorFeed, suppressionLog } from './peers.ts'
import { requestRun, type Trigger } from './requests.ts'
import { createSealer } from './sealer.ts'
import { settleOne } from './settle.ts'
import { databaseTime } from './store/limiter.ts'
import { readSuppressions } from './suppressions.ts'
import type { Engine } from './worker/engine.ts'
import { requestFormerRemovals } from './worker/former.ts'
import { claim } from './worker/lease.ts'
import { MIGRATION_LOOK_MS, requestMigrations } from './worker/migrate.ts'
import { reportNormaliser, tellInForce } from './worker/normaliser-report.ts'
import { OPEN_ENDS_MS, requestOpenEnds } from './worker/open-ends.ts'
import { leaveRenewals, RENEW_LOOK_MS } from './worker/renew.ts'
import { requestRepeats } from './worker/repeat.ts'
import { workAudience } from './worker/work.ts'

export interface ConnectorParts {
  readonly destination: Destination
  /** A pool of the connector's own role. */
  readonly db: Database
  readonly transport: Transport
  readonly keks: Keks
  readonly behaviorExport: ServiceClient
  readonly connections: ServiceClient
  readonly options: EngineOptions
  readonly log: Logger
  readonly random?: () => number
}

export interface Connector {
  /** Lets what runs finish its call, gives the leases back. */
  stop(): Promise<void>
  healthy(): { ok: boolean; detail: string }
}

/** The number of a destination in the tables; made by whoever needs it first. */
export async function destinationNo(db: Database, id: string): Promise<number> {
  await db.pool.query('INSERT INTO destination (id) VALUES ($1) ON CONFLICT (id) DO NOTHING', [id])
  const { rows } = await db.pool.query<{ no: number }>('SELECT no FROM destination WHERE id = $1', [id])
  if (!rows[0]) throw new Error(`Destination ${id} has no number.`)
  return rows[0].no
}

export async function startConnector(parts: ConnectorParts): Promise<Connector> {
  const { destination, db, transport, options, log } = parts
  const { id } = destination.manifest
  const engine: Engine = {
    db,
    destination,
    destinationNo: await destinationNo(db, id),
    owner: `${hostname()}:${process.pid}`,
    options,
    log,
    sealer: createSealer(createDekStore({ db, keks: parts.keks })),
    grants: accountGrants(parts.connections),
    suppressions: suppressionLog(parts.behaviorExport),
    feed: (tenantId, behaviorId) => behaviorFeed(parts.behaviorExport, tenantId, behaviorId),
    random: parts.random ?? Math.random,
    clock: databaseTime,
  }
  await tellInForce(engine)
  const loops: Loop[] = Array.from({ length: options.workers }, (_, i) =>
    startLoop({
      name: `worker ${i}`,
      log,
      everyMs: options.pollMs,
      work: async (stopping) => {
        const lease = await claim(engine, stopping)
        if (lease) await workAudience(engine, lease)
        return lease !== undefined
      },
    }),
  )
  const settler = startLoop({ name: 'settler', log, everyMs: Math.min(options.settleMs, options.pollMs), work: (stopping) => settleOne(engine, stopping) })
  const reader = startLoop({ name: 'suppressions', log, everyMs: options.suppressionMs, work: () => readSuppressions(engine) })
  const wake = () => {
    for (const loop of loops) loop.wake()
  }
  const repeater = startLoop({
    name: 'repeater',
    log,
    everyMs: options.settleMs,
    work: async () => (await requestRepeats(engine)) || requestFormerRemovals(engine),
  })
  const looker = startLoop({ name: 'looker', log, everyMs: options.pollMs, work: (stopping) => lookAtOne(engine, stopping) })
  const renewer = startLoop({ name: 'renewer', log, everyMs: RENEW_LOOK_MS, work: () => leaveRenewals(engine) })
  const migrator = startLoop({ name: 'normaliser', log, everyMs: MIGRATION_LOOK_MS, work: () => requestMigrations(engine) })
  const finisher = startLoop({ name: 'open ends', log, everyMs: OPEN_ENDS_MS, work: () => requestOpenEnds(engine) })
  const reporter = startLoop({ name: 'normaliser reports', log, everyMs: options.pollMs, work: (stopping) => reportNormaliser(engine, stopping) })
  const housekeeper = startLoop({ name: 'housekeeping', log, everyMs: HOUSEKEEPING_EVERY_MS, work: () => housekeep(engine) })
  const subscription: Subscription = await transport.subscribe(
    db,
    consumersOf(engine, wake, () => reader.wake()),
    { log },
  )
  const all = [...loops, settler, reader, repeater, looker, renewer, migrator, finisher, reporter, housekeeper]
  return {
    async stop() {
      await subscription.stop()
      await Promise.all(all.map((loop) => loop.stop()))
    },
    healthy() {
      const sick = [...all.map((loop) => loop.healthy()), subscription.healthy()].find(({ ok }) => !ok)
      return sick ?? { ok: true, detail: id }
    },
  }
}

/** Consumers write a row at most, and wake. Their names carry the destination: each connector is its own group. */
function consumersOf(engine: Engine, wake: () => void, wakeReader: () => void) {
  const id = engine.destination.manifest.id
  const group = `connector-${id.replaceAll('_', '-')}`
  return [
    defineConsumer({
      name: `${group}.sync-requested`,
      topic: topics.audienceSyncRequested,
      wants: (headers) => headers.destination === id,
      async handle(tx, events) {
        for (const { message, headers } of events) {
          const audienceId = uuidOf('audience', message.audienceId)
          if (!audienceId) throw new PoisonError('audience_id_malformed', 'The event names no audience.')
          // From the API the run is there already; a due slot, or another service, only asks for one.
          if (message.runId) continue
          const { rows } = await tx.query<{ no: number; id: string; tenant_id: string; destination: string; destination_no: number }>(
            'SELECT no, id, tenant_id, destination, destination_no FROM audience WHERE id = $1 AND deleted_at IS NULL AND delete_requested_at IS NULL AND paused_at IS NULL',
            [audienceId],
          )
          const [row] = rows
          if (!row) continue
          await requestRun(tx, {
            audience: { no: row.no, id: row.id, tenantId: row.tenant_id, destination: row.destination, destinationNo: row.destination_no },
            trigger: (message.trigger || 'schedule') as Trigger,
            mode: message.mode === 'full' ? 'full' : 'incremental',
            traceparent: headers.traceparent,
            announce: false,
          })
        }
        wake()
      },
    }),
    defineConsumer({
      name: `${group}.customer-suppressed`,
      topic: topics.customerSuppressed,
      async handle() {
        wakeReader()
      },
    }),
    defineConsumer({
      name: `${group}.connection-changed`,
      topic: topics.connectionChanged,
      async handle() {
        engine.grants.forget()
        wake()
      },
    }),
  ]
}
