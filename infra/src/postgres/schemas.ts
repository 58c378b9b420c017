/** One schema per bounded context, and the folders whose migrations make it. The order is that of the migrations job. */
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const shared = ['packages/events', 'packages/service'] // outbox and inbox; idempotency keys

const contexts: Record<string, readonly string[]> = {
  bus: ['packages/events/src/embedded'],
  gateway: [...shared, 'gateway'],
  connections: [...shared, 'packages/vault', 'services/connections'],
  behavior_export: [...shared, 'packages/vault', 'services/behavior-export'],
  sync: [...shared, 'packages/vault', 'packages/sync-engine', 'services/audiences'],
  scheduler: [...shared, 'services/scheduler'],
  webhooks: [...shared, 'packages/vault', 'services/webhooks'],
}

export const schemas = Object.entries(contexts).map(([schema, owners]) => ({
  schema,
  folders: owners.map((owner) => `${root}${owner}/drizzle`),
}))
