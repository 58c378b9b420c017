/**
 * A connector as a service: configuration, peers, probes. A destination's own service adds where its platform is and hands its
 * `Destination` over; everything else is here, so that connectors cannot differ in how they run.
 */
import { openDatabase } from '@audience-sync/db/database'
import type { Destination } from '@audience-sync/destination-kit/contract'
import { withNormaliser } from '@audience-sync/destination-kit/normaliser'
import type { Transport } from '@audience-sync/events/transport'
import { buildApp } from '@audience-sync/service/app'
import { serviceClient } from '@audience-sync/service/client'
import { baseConfig, consumerConfig, zPort } from '@audience-sync/service/config'
import type { Logger } from '@audience-sync/service/log'
import type { Running } from '@audience-sync/service/run'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import { parseKeks } from '@audience-sync/vault/keks'
import { z } from 'zod'
import { startConnector } from './connector.ts'
import { engineOptions, engineOptionsOf } from './options.ts'
import { startVersionWatch } from './version-watch.ts'

/** Spread it, and add the platform's address. Probes only: nobody calls a connector. */
export const connectorConfig = {
  ...baseConfig,
  ...consumerConfig,
  ...engineOptions,
  PORT: zPort(8091),
  SYNC_KEK: z.string().describe('key-encryption keys of the ledger, the current first: kek_<name>:<32 bytes in base64url>,…'),
  BEHAVIOR_EXPORT_URL: z.url().describe('where behavior-export listens'),
  CONNECTIONS_URL: z.url().describe('where connections listens'),
  // The same in all pods of a connector: while they differ, an audience may be moved to and fro.
  NORMALISER_VERSION: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, 'must be a whole number')
    .transform(Number)
    .optional()
    .describe(
      'version of the normaliser in force, of those that the destination has; without it the destination’s own choice. Another one than before makes every audience’s next run full',
    ),
}

export type ConnectorConfig = z.output<z.ZodObject<typeof connectorConfig>>

export interface ConnectorServiceParts {
  readonly log: Logger
  readonly transport: Transport
  readonly tokens: ServiceTokens
  readonly destination: Destination
}

/** Connections of the pool: each worker holds one for a moment only, but may have a page, a fence and a lease under way. */
const POOL_PER_WORKER = 3

export async function startConnectorService(
  config: Pick<ConnectorConfig, 'DATABASE_URL' | 'HOST' | 'PORT' | 'SYNC_KEK' | 'BEHAVIOR_EXPORT_URL' | 'CONNECTIONS_URL' | keyof typeof engineOptions> &
    Partial<Pick<ConnectorConfig, 'NORMALISER_VERSION'>>,
  { log, transport, tokens, destination }: ConnectorServiceParts,
): Promise<Running & { url: string }> {
  const keks = parseKeks(config.SYNC_KEK) // first: without a key nothing else is worth starting
  const { name } = tokens
  const options = engineOptionsOf(config)
  const db = openDatabase({ url: config.DATABASE_URL, name, max: options.workers * POOL_PER_WORKER + 6 })
  const behaviorExport = serviceClient({ name: 'behavior-export', url: config.BEHAVIOR_EXPORT_URL, tokens, log })
  const connections = serviceClient({ name: 'connections', url: config.CONNECTIONS_URL, tokens, log })
  const connector = await startConnector({
    destination: withNormaliser(destination, config.NORMALISER_VERSION),
    db,
    transport,
    keks,
    behaviorExport,
    connections,
    options,
    log,
  })
  const versions = startVersionWatch(destination.manifest, log)
  const app = await buildApp({ name, log, tokens, ready: [() => connector.healthy()] })
  const url = await app.listen({ host: config.HOST, port: config.PORT })
  return {
    name,
    url,
    async stop() {
      await app.close()
      await Promise.all([connector.stop(), versions?.stop()])
      await Promise.all([behaviorExport.close(), connections.close()])
      await db.close()
    },
  }
}
