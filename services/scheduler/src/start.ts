/**
 * The scheduler says when: it knows each audience's schedule and asks for a sync when a slot comes. It knows nothing else.
 *
 * One schedule's life: audience.created or audience.changed → `learn` stores it with its next time → `fire`, each second, on
 * one of the schedulers → slot row, audience.sync.requested, next time → the audience is paused or deleted: no next time.
 * Real time is not its business: that goes by behavior.updated.
 */
import { openDatabase } from '@audience-sync/db/database'
import type { Transport } from '@audience-sync/events/transport'
import { buildApp } from '@audience-sync/service/app'
import { baseConfig, consumerConfig, zInteger, zPort } from '@audience-sync/service/config'
import type { Logger } from '@audience-sync/service/log'
import { startLoop } from '@audience-sync/service/loop'
import type { Running } from '@audience-sync/service/run'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import { z } from 'zod'
import { fireDue } from './fire.ts'
import { consumers } from './learn.ts'
import { scheduleRoutes } from './routes.ts'

export const configSchema = z.object({
  ...baseConfig,
  ...consumerConfig,
  PORT: zPort(8084),
  TICK_MS: zInteger({ min: 10, max: 60_000, fallback: 1_000 }).describe('how often due schedules are looked for, in milliseconds'),
})
export type Config = Pick<z.output<typeof configSchema>, 'DATABASE_URL' | 'HOST' | 'PORT' | 'TICK_MS'>

export interface Parts {
  readonly log: Logger
  readonly transport: Transport
  readonly tokens: ServiceTokens
}

export async function start(config: Config, { log, transport, tokens }: Parts): Promise<Running & { url: string }> {
  const db = openDatabase({ url: config.DATABASE_URL, name: 'scheduler' })
  const subscription = await transport.subscribe(db, consumers, { log })
  const clock = startLoop({ name: 'clock', log, everyMs: config.TICK_MS, work: () => fireDue(db) })
  const app = await buildApp({ name: 'scheduler', log, tokens, ready: [() => subscription.healthy(), () => clock.healthy()] })
  scheduleRoutes(app, db)
  const url = await app.listen({ host: config.HOST, port: config.PORT })
  return {
    name: 'scheduler',
    url,
    async stop() {
      await app.close()
      await Promise.all([clock.stop(), subscription.stop()])
      await db.close()
    },
  }
}
