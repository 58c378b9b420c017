/** A process that the contract's tests let die: a relay, or a consumer that writes effects. */
import { openDatabase } from '@audience-sync/db/database'
import { pino } from 'pino'
import { embeddedTransport } from '../src/embedded/transport.ts'
import { kafkaTransport } from '../src/kafka/transport.ts'
import { startRelay } from '../src/relay.ts'
import { effectConsumer } from './effects.ts'

const { CHILD_BUS, CHILD_BROKERS = '', CHILD_PREFIX = '', CHILD_SERVICE_URL = '', CHILD_RELAY_URL = '', TEST_LOG = 'silent' } = process.env
const log = pino({ level: TEST_LOG })
const what = process.argv[2]
const deadLetterKey = Buffer.alloc(32, 1)
const url = what === 'relay' ? CHILD_RELAY_URL : CHILD_SERVICE_URL
const transport =
  CHILD_BUS === 'kafka'
    ? kafkaTransport({ brokers: CHILD_BROKERS.split(','), clientId: `child ${what}`, log, prefix: CHILD_PREFIX, deadLetterKey, sessionTimeoutMs: 1_500 })
    : embeddedTransport({ url, log, deadLetterKey })

if (what === 'relay') await startRelay({ url, schemas: ['behavior_export', 'sync'], transport, log })
else await transport.subscribe(openDatabase({ url, name: 'child' }), [effectConsumer({ messages: 10 })], { log })
