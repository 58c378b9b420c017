/**
 * «Tell the customer»: what happened goes to the endpoints that a tenant named, signed, again and again until it is taken.
 *
 * One event's life: `intake` makes of it a body and a delivery per endpoint → a `worker` leases the endpoint (`claim`), signs
 * (`sign`) and sends (`post`, guarded by `address`) → `outcome` records the attempt: delivered, or tried again by `schedule`, or
 * failed, or the endpoint disabled → the API shows it, `replay` sends it anew → forgotten after 30 days.
 */
import { openDatabase } from '@audience-sync/db/database'
import type { Transport } from '@audience-sync/events/transport'
import { buildApp } from '@audience-sync/service/app'
import { baseConfig, consumerConfig, zInteger, zPort, zSwitch } from '@audience-sync/service/config'
import { sweepIdempotency } from '@audience-sync/service/idempotency'
import type { Logger } from '@audience-sync/service/log'
import { startLoop } from '@audience-sync/service/loop'
import type { Running } from '@audience-sync/service/run'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import { createDekStore } from '@audience-sync/vault/dek-store'
import { parseKeks } from '@audience-sync/vault/keks'
import { z } from 'zod'
import { forget } from './housekeeping.ts'
import { consumers } from './intake.ts'
import { createPoster, type Resolve } from './post.ts'
import { reseal } from './reseal.ts'
import { deliveryRoutes } from './routes/deliveries.ts'
import { endpointRoutes } from './routes/endpoints.ts'
import { eventRoutes } from './routes/events.ts'
import { createSecrets } from './secrets.ts'
import { createWorker } from './worker.ts'

export const configSchema = z.object({
  ...baseConfig,
  ...consumerConfig,
  PORT: zPort(8085),
  WEBHOOKS_KEK: z.string().describe('key-encryption keys, the current first: kek_<name>:<32 bytes in base64url>,…'),
  MAX_ENDPOINTS: zInteger({ min: 1, max: 1_000, fallback: 20 }).describe('webhook endpoints a tenant may have'),
  ENDPOINTS_ON_LOOPBACK: zSwitch(false).describe('sandbox: endpoints may also be on this machine, without TLS'),
  POLL_MS: zInteger({ min: 10, max: 60_000, fallback: 200 }).describe('how often due deliveries are looked for, in milliseconds'),
})
export type Config = Pick<
  z.output<typeof configSchema>,
  'DATABASE_URL' | 'HOST' | 'PORT' | 'WEBHOOKS_KEK' | 'MAX_ENDPOINTS' | 'ENDPOINTS_ON_LOOPBACK' | 'POLL_MS'
>

export interface Parts {
  readonly log: Logger
  readonly transport: Transport
  readonly tokens: ServiceTokens
  /** Names to addresses; the system's unless given. */
  readonly resolve?: Resolve
}

const NAME = 'webhooks'
const HOUSEKEEPING_MS = 3_600_000 // what is kept for days need not go to the minute

export async function start(config: Config, { log, transport, tokens, resolve }: Parts): Promise<Running & { url: string }> {
  const keks = parseKeks(config.WEBHOOKS_KEK) // first: without a key nothing else is worth starting
  const db = openDatabase({ url: config.DATABASE_URL, name: NAME })
  const deks = createDekStore({ db, keks })
  const secrets = createSecrets(deks)
  const poster = createPoster({ rules: { loopback: config.ENDPOINTS_ON_LOOPBACK }, ...(resolve && { resolve }) })
  const worker = createWorker({ db, secrets, poster, log })

  const subscription = await transport.subscribe(db, consumers, { log })
  const sending = startLoop({ name: 'sending', log, everyMs: config.POLL_MS, work: () => worker.round() })
  const housekeeping = startLoop({
    name: 'housekeeping',
    log,
    everyMs: HOUSEKEEPING_MS,
    async work() {
      await forget(db)
      await sweepIdempotency(db)
      await deks.rewrapAll()
      await reseal(db, deks, secrets)
      return false
    },
  })
  const app = await buildApp({ name: NAME, log, tokens, ready: [() => subscription.healthy(), () => sending.healthy()] })
  for (const routes of [endpointRoutes, deliveryRoutes, eventRoutes]) routes(app, { db, secrets, poster, maxEndpoints: config.MAX_ENDPOINTS })
  const url = await app.listen({ host: config.HOST, port: config.PORT })
  return {
    name: NAME,
    url,
    async stop() {
      await app.close()
      await Promise.all([subscription.stop(), sending.stop(), housekeeping.stop()])
      await worker.stop()
      await db.close()
    },
  }
}
