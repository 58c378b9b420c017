/**
 * «What is kept in step»: the door of the sync core. It keeps audiences as users chose them, takes their wishes, and shows what
 * the connectors did. It never calls a platform and never moves a run on (SYNC.md C15).
 *
 * One audience's life: checked with behavior-export and connections (`check-new`) → rows, first run, events (`create`) → wishes
 * (`actions`) and what happens around it (`consumers`, `size-check`) leave queued runs and requests → a connector acts on them →
 * `audience-json` and `run-json` show it → deleted, by the connector, once its members are gone.
 */
import { openDatabase } from '@audience-sync/db/database'
import type { Destination } from '@audience-sync/destination-kit/contract'
import { createMetaDestination } from '@audience-sync/destination-meta/destination'
import { zApiVersion } from '@audience-sync/destination-meta/versions'
import type { Transport } from '@audience-sync/events/transport'
import { buildApp } from '@audience-sync/service/app'
import { serviceClient } from '@audience-sync/service/client'
import { baseConfig, consumerConfig, zInteger, zJson, zPort } from '@audience-sync/service/config'
import { sweepIdempotency } from '@audience-sync/service/idempotency'
import type { Logger } from '@audience-sync/service/log'
import { startLoop } from '@audience-sync/service/loop'
import type { Running } from '@audience-sync/service/run'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import { z } from 'zod'
import { consumers } from './consumers.ts'
import { byId, versionChecks, withMinimums } from './destinations.ts'
import { erasureWatch } from './erasures.ts'
import { createPeers } from './peers.ts'
import { finalProof } from './proof.ts'
import { audienceRoutes } from './routes/audiences.ts'
import { catalogueRoutes } from './routes/catalogue.ts'
import { customerRoutes } from './routes/customers.ts'
import { insightRoutes } from './routes/insight.ts'
import { lookalikeRoutes } from './routes/lookalikes.ts'
import { normaliserRoutes } from './routes/normalisers.ts'
import { planRoutes, sweepPlans } from './routes/plans.ts'
import { platformRoutes } from './routes/platforms.ts'
import { proofRoutes } from './routes/proofs.ts'
import { runRoutes } from './routes/runs.ts'
import { checkSizes } from './size-check.ts'

export const configSchema = z.object({
  ...baseConfig,
  ...consumerConfig,
  PORT: zPort(8083),
  BEHAVIOR_EXPORT_URL: z.url().describe('where behavior-export listens'),
  CONNECTIONS_URL: z.url().describe('where connections listens'),
  META_API_VERSION: zApiVersion.optional().describe('version of the Marketing API that previews show; as configured for connector-meta'),
  MINIMUM_SIZES: zJson(z.record(z.string(), z.int().min(1).max(1_000_000_000)))
    .prefault('{}')
    .describe('people that an audience needs unless it says otherwise, in place of the destinations’ own: JSON, for example {"meta": 200}'),
  SIZE_CHECK_MS: zInteger({ min: 10, max: 60_000, fallback: 1_000 }).describe('how often wished counts are looked for, in milliseconds'),
  ERASURE_CHECK_MS: zInteger({ min: 10, max: 600_000, fallback: 2_000 }).describe('how often it is looked whether erasures are complete, in milliseconds'),
})
export type Config = Pick<
  z.output<typeof configSchema>,
  'DATABASE_URL' | 'HOST' | 'PORT' | 'BEHAVIOR_EXPORT_URL' | 'CONNECTIONS_URL' | 'META_API_VERSION' | 'SIZE_CHECK_MS' | 'ERASURE_CHECK_MS'
> &
  Partial<Pick<z.output<typeof configSchema>, 'MINIMUM_SIZES'>>

export interface Parts {
  readonly log: Logger
  readonly transport: Transport
  readonly tokens: ServiceTokens
  /** All that the installation knows, unless given. Only their pure half is used: nothing here can call a platform. */
  readonly destinations?: readonly Destination[]
}

const NAME = 'audiences'
const SWEEP_MS = 3_600_000 // answers are kept 24 hours, plans 30 days; an hour more or less does not matter
const NOWHERE = 'http://127.0.0.1:9' // the discard port: a call from here would be a fault

const known = ({ META_API_VERSION: apiVersion }: Config): Destination[] => [
  createMetaDestination({ baseUrl: NOWHERE, ...(apiVersion && { apiVersion }) }) as Destination,
]

export async function start(config: Config, { log, transport, tokens, destinations = known(config) }: Parts): Promise<Running & { url: string }> {
  const db = openDatabase({ url: config.DATABASE_URL, name: NAME })
  const behaviorExport = serviceClient({ name: 'behavior-export', url: config.BEHAVIOR_EXPORT_URL, tokens, log })
  const connections = serviceClient({ name: 'connections', url: config.CONNECTIONS_URL, tokens, log })
  const parts = { db, peers: createPeers({ behaviorExport, connections }), destinations: byId(withMinimums(destinations, config.MINIMUM_SIZES ?? {})), log }

  const subscription = await transport.subscribe(db, consumers, { log })
  const sizes = startLoop({ name: 'size checks', log, everyMs: config.SIZE_CHECK_MS, work: () => checkSizes(parts) })
  const erasures = startLoop({
    name: 'erasures',
    log,
    everyMs: config.ERASURE_CHECK_MS,
    work: erasureWatch({ ...parts, prove: (tx, subject) => finalProof(tx, tokens, subject, new Date()) }),
  })
  const sweep = startLoop({
    name: 'sweep',
    log,
    everyMs: SWEEP_MS,
    async work() {
      await sweepPlans(db)
      await sweepIdempotency(db)
      return false
    },
  })
  const app = await buildApp({
    name: NAME,
    log,
    tokens,
    ready: [() => subscription.healthy(), () => sizes.healthy(), () => erasures.healthy(), ...versionChecks(parts.destinations)],
  })
  for (const routes of [
    catalogueRoutes,
    audienceRoutes,
    planRoutes,
    runRoutes,
    insightRoutes,
    customerRoutes,
    lookalikeRoutes,
    normaliserRoutes,
    platformRoutes,
  ])
    routes(app, parts)
  proofRoutes(app, parts, tokens)
  const url = await app.listen({ host: config.HOST, port: config.PORT })
  return {
    name: NAME,
    url,
    async stop() {
      await app.close()
      await Promise.all([subscription.stop(), sizes.stop(), erasures.stop(), sweep.stop()])
      await Promise.all([behaviorExport.close(), connections.close()])
      await db.close()
    },
  }
}
