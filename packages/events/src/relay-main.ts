/**
 * The relay as a process of its own. One is enough; a second stands by. Environment: `DATABASE_URL` (role relay), `BUS`
 * (`kafka` or `embedded`), `KAFKA_BROKERS` (comma-separated, for kafka), how to log in there (`kafka-security.ts`), `RELAY_SCHEMAS` (comma-separated; all by default),
 * `HOST` and `PORT` for the probes, `LOG_LEVEL`.
 */
import { createServer } from 'node:http'
import { kafkaSecurity } from '@audience-sync/service/kafka-security'
import { createLogger } from '@audience-sync/service/log'
import { embeddedTransport } from './embedded/transport.ts'
import { kafkaTransport } from './kafka/transport.ts'
import { startRelay } from './relay.ts'

const SCHEMAS = 'gateway,connections,behavior_export,sync,scheduler,webhooks'

const { DATABASE_URL, BUS = 'kafka', KAFKA_BROKERS = '', RELAY_SCHEMAS = SCHEMAS, HOST = '127.0.0.1', PORT = '8090', LOG_LEVEL = 'info' } = process.env
const log = createLogger({ name: 'relay', level: LOG_LEVEL })
if (!DATABASE_URL) throw new Error('DATABASE_URL is not set: the connection string of the role relay.')
if (BUS !== 'embedded' && BUS !== 'kafka') throw new Error(`BUS is ${BUS}; it can be kafka or embedded.`)
if (BUS === 'kafka' && !KAFKA_BROKERS) throw new Error('KAFKA_BROKERS is not set: host:port, comma-separated.')

const transport =
  BUS === 'kafka'
    ? kafkaTransport({ brokers: KAFKA_BROKERS.split(','), security: kafkaSecurity(process.env), clientId: 'relay', log })
    : embeddedTransport({ url: DATABASE_URL, log })
const relay = await startRelay({ url: DATABASE_URL, schemas: RELAY_SCHEMAS.split(','), transport, log })

/** `/livez` depends on nothing; `/readyz` tells when sending fails (F6). */
const probes = createServer((request, response) => {
  const health = request.url === '/readyz' ? relay.healthy() : { ok: request.url === '/livez', detail: 'alive' }
  response.writeHead(health.ok ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify({ ok: health.ok })) // the detail can name addresses: it is in the log
}).listen(Number(PORT), HOST)

let stopping = false
const stop = async () => {
  if (stopping) return
  stopping = true
  probes.close()
  await relay.stop()
  await transport.close()
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)
