/** behavior-export as a process of its own. */
import { runConsumerService } from '@audience-sync/events/run-consumer'
import { configSchema } from './config.ts'
import { start } from './start.ts'

await runConsumerService({ name: 'behavior-export', configSchema, start })
