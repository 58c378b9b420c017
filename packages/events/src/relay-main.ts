/** The relay as a process of its own: `node src/relay-main.ts`. One is enough, two stand by for each other. */
import { pino } from 'pino'
import { embeddedTransport } from './embedded/transport.ts'
import { startRelay } from './relay.ts'

const { RELAY_DATABASE_URL: url = '', RELAY_SCHEMAS = '', LOG_LEVEL = 'info' } = process.env
const log = pino({ name: 'relay', level: LOG_LEVEL })
const transport = embeddedTransport({ url, log })
const relay = await startRelay({ url, schemas: RELAY_SCHEMAS.split(','), transport, log })
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, async () => {
    await relay.stop()
    await transport.close()
  })
