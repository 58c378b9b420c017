/** behavior-export as a process of its own. */
import { embeddedTransport } from '@audience-sync/events/embedded/transport'
import { kafkaTransport } from '@audience-sync/events/kafka/transport'
import { loadConfig } from '@audience-sync/service/config'
import { createLogger } from '@audience-sync/service/log'
import { runMain } from '@audience-sync/service/run'
import { createServiceTokens } from '@audience-sync/service/tokens'
import { configSchema } from './config.ts'
import { start } from './start.ts'

const NAME = 'behavior-export'

await runMain(async (env) => {
  const config = loadConfig(configSchema, env)
  const log = createLogger({ name: NAME, level: config.LOG_LEVEL })
  const tokens = createServiceTokens({ name: NAME, privateJwk: config.SERVICE_KEY, jwks: config.SERVICE_JWKS })
  const deadLetterKey = Buffer.from(config.DEAD_LETTER_KEY, 'base64url')
  const transport =
    config.BUS === 'kafka'
      ? kafkaTransport({ brokers: config.KAFKA_BROKERS ?? [], clientId: NAME, log, deadLetterKey })
      : embeddedTransport({ url: config.DATABASE_URL, log, deadLetterKey })
  const running = await start(config, { log, transport, tokens })
  return {
    name: NAME,
    async stop() {
      await running.stop()
      await transport.close()
    },
  }
})
