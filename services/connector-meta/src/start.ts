/** «Tell the far side»: the engine's workers with Meta as their destination. */
import type { Destination } from '@audience-sync/destination-kit/contract'
import { createMetaDestination } from '@audience-sync/destination-meta/destination'
import { currentVersion, zApiVersion } from '@audience-sync/destination-meta/versions'
import type { consumerConfig } from '@audience-sync/service/config'
import { type ConnectorServiceParts, connectorConfig, startConnectorService } from '@audience-sync/sync-engine/service'
import { z } from 'zod'

export const NAME = 'connector-meta'

export const configSchema = z.object({
  ...connectorConfig,
  META_GRAPH_URL: z.url().default('https://graph.facebook.com').describe('Meta’s Graph API'),
  META_API_VERSION: zApiVersion.default(currentVersion).describe('version of the Marketing API'),
})
export type Config = z.output<typeof configSchema>

export const start = (
  config: Omit<Config, 'LOG_LEVEL' | 'BUS' | 'KAFKA_BROKERS' | 'SERVICE_KEY' | 'SERVICE_JWKS' | keyof typeof consumerConfig>,
  parts: Omit<ConnectorServiceParts, 'destination'>,
) => {
  const onAlarm = (alarm: object) => parts.log.error(alarm, 'somebody should look at Meta’s API')
  const destination = createMetaDestination({ baseUrl: config.META_GRAPH_URL, apiVersion: config.META_API_VERSION, onAlarm }) as Destination
  return startConnectorService(config, { ...parts, destination })
}
