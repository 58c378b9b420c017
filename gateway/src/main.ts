/** The gateway as a process of its own. */
import { loadConfig } from '@audience-sync/service/config'
import { createLogger } from '@audience-sync/service/log'
import { runMain } from '@audience-sync/service/run'
import { createServiceTokens } from '@audience-sync/service/tokens'
import { gatewayConfig } from './config.ts'
import { start } from './start.ts'

await runMain(async (env) => {
  const config = loadConfig(gatewayConfig, env)
  const log = createLogger({ name: 'gateway', level: config.LOG_LEVEL })
  return start(config, { log, tokens: createServiceTokens({ name: 'gateway', privateJwk: config.SERVICE_KEY, jwks: config.SERVICE_JWKS }) })
})
