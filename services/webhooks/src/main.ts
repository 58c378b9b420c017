/** Webhooks as a process of its own. */
import { runConsumerService } from '@audience-sync/events/run-consumer'
import { configSchema, start } from './start.ts'

await runConsumerService({ name: 'webhooks', configSchema, start })
