/** connector-meta as a process of its own. */
import { runConsumerService } from '@audience-sync/events/run-consumer'
import { configSchema, NAME, start } from './start.ts'

await runConsumerService({ name: NAME, configSchema, start })
