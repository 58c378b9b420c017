/**
 * A service with consumers as a process of its own: its configuration read, its parts made, started, and stopped in the
 * reverse order. Each such service's `main.ts` is this one call.
 */
import { baseConfig, consumerConfig, loadConfig } from '@audience-sync/service/config'
import { type KafkaSecurityEnv, kafkaSecurity } from '@audience-sync/service/kafka-security'
import { createLogger, type Logger } from '@audience-sync/service/log'
import { type Running, runMain } from '@audience-sync/service/run'
import { createServiceTokens, type ServiceTokens } from '@audience-sync/service/tokens'
import { z } from 'zod'
import { embeddedTransport } from './embedded/transport.ts'
import { kafkaTransport } from './kafka/transport.ts'
import type { Transport } from './transport.ts'

const schema = z.object({ ...baseConfig, ...consumerConfig })
type Config = z.output<typeof schema>

export interface ConsumerParts {
  readonly log: Logger
  readonly transport: Transport
  readonly tokens: ServiceTokens
}

type BusConfig = Pick<Config, 'BUS' | 'KAFKA_BROKERS' | 'DATABASE_URL' | 'DEAD_LETTER_KEY'> & Partial<Pick<Config, 'KAFKA_SESSION_MS'>> & KafkaSecurityEnv

/** The transport that the configuration names. @throws ConfigError where it says half of how to log in to Kafka */
export function configuredTransport(config: BusConfig, name: string, log: Logger): Transport {
  const deadLetterKey = Buffer.from(config.DEAD_LETTER_KEY, 'base64url')
  const { KAFKA_BROKERS: brokers = [], KAFKA_SESSION_MS: sessionTimeoutMs } = config
  if (config.BUS === 'kafka')
    return kafkaTransport({ brokers, security: kafkaSecurity(config), clientId: name, log, deadLetterKey, ...(sessionTimeoutMs && { sessionTimeoutMs }) })
  return embeddedTransport({ url: config.DATABASE_URL, log, deadLetterKey })
}

export interface ConsumerService<C extends Config> {
  readonly name: string
  /** Holds `baseConfig` and `consumerConfig`. */
  readonly configSchema: z.ZodObject & z.ZodType<C>
  readonly start: (config: C, parts: ConsumerParts) => Promise<Running>
}

export const runConsumerService = <C extends Config>({ name, configSchema, start }: ConsumerService<C>): Promise<void> =>
  runMain(async (env) => {
    const config = loadConfig(configSchema, env) as C
    const log = createLogger({ name, level: config.LOG_LEVEL })
    const tokens = createServiceTokens({ name, privateJwk: config.SERVICE_KEY, jwks: config.SERVICE_JWKS })
    const transport = configuredTransport(config, name, log)
    const running = await start(config, { log, transport, tokens })
    return {
      name,
      async stop() {
        await running.stop()
        await transport.close()
      },
    }
  })
