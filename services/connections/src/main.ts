/** Connections as a process of its own. It has no consumers: what it says goes through the outbox. */
import { loadConfig } from '@audience-sync/service/config'
import { createLogger } from '@audience-sync/service/log'
import { runMain } from '@audience-sync/service/run'
import { createServiceTokens } from '@audience-sync/service/tokens'
import { configSchema } from './config.ts'
import { start } from './start.ts'

const NAME = 'connections'

await runMain(async (env) => {
  const config = loadConfig(configSchema, env)
  const log = createLogger({ name: NAME, level: config.LOG_LEVEL })
  const tokens = createServiceTokens({ name: NAME, privateJwk: config.SERVICE_KEY, jwks: config.SERVICE_JWKS })
  return start(config, { log, tokens })
})
