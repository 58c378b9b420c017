/** The programs that read a configuration of their own, by their names in compose and k8s, with the schema they read it by. */
import { configSchema as audiences } from '@audience-sync/audiences/start'
import { configSchema as behaviorExport } from '@audience-sync/behavior-export/config'
import { configSchema as connections } from '@audience-sync/connections/config'
import { configSchema as connectorMeta } from '@audience-sync/connector-meta/start'
import { gatewayConfig as gateway } from '@audience-sync/gateway/config'
import { configSchema as scheduler } from '@audience-sync/scheduler/start'
import { configSchema as webhooks } from '@audience-sync/webhooks/start'
import type { z } from 'zod'

export const schemas: Readonly<Record<string, z.ZodObject>> = {
  gateway,
  connections,
  'behavior-export': behaviorExport,
  audiences,
  scheduler,
  webhooks,
  'connector-meta': connectorMeta,
}
