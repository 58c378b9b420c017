/**
 * behavior-export: who should be where, and who may not be anywhere. It knows people and no platform.
 *
 * One membership's life: a line of the bulk route or a message of `behavior.membership.changed` → checked → one statement
 * locks the customer, writes the membership and appends to the change log → `behavior.updated` wakes the other half → a
 * connector reads the change by its cursor → and asks for the identifiers of exactly that customer, which is when consent is
 * looked at again. Who may no longer be sent is told by the suppression log.
 */
import { openDatabase } from '@audience-sync/db/database'
import type { Transport } from '@audience-sync/events/transport'
import { startIdempotencySweep } from '@audience-sync/service/idempotency'
import type { Logger } from '@audience-sync/service/log'
import { startLoop } from '@audience-sync/service/loop'
import type { Running } from '@audience-sync/service/run'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import { createDekStore } from '@audience-sync/vault/dek-store'
import { behaviorExportApp } from './app.ts'
import { type Config, readKeks } from './config.ts'
import { consumers } from './events/consumers.ts'
import { useParked } from './events/parked.ts'
import { reassess } from './reassess.ts'

export interface Parts {
  readonly log: Logger
  readonly transport: Transport
  readonly tokens: ServiceTokens
  /** Milliseconds since 1970; the machine's clock unless a test gives another. */
  readonly now?: () => number
}

const CHORES_MS = 2_000 // an event that waits for its behavior is used soon after it appeared
const LOG_DAYS_MS = 3_600_000
const LOG_DAYS_AHEAD = 7 // writes go on for a week when nobody looks after the log

export async function start(config: Config, { log, transport, tokens, now = Date.now }: Parts): Promise<Running & { url: string }> {
  const keks = readKeks(config) // first: without a key nothing else is worth starting
  const deadLetterKey = Buffer.from(config.DEAD_LETTER_KEY, 'base64url')
  const db = openDatabase({ url: config.DATABASE_URL, name: 'behavior-export', max: config.DATABASE_CONNECTIONS })
  const vault = createDekStore({ db, keks })
  const keepLog = async () => {
    await db.tx((tx) => tx.query(`SELECT maintain_change_log(make_interval(days => $1), $2)`, [config.CHANGE_LOG_DAYS, LOG_DAYS_AHEAD]))
    return false
  }
  await db.tx((tx) => tx.query('SELECT renew_epoch()')) // a restored database begins a new history before anything is added to it (SYNC.md C8)
  await keepLog() // before the first write: a service that was down for long has no days to write to
  const logDays = startLoop({ name: 'days of the change log', log, everyMs: LOG_DAYS_MS, work: keepLog })
  const chores = startLoop({
    name: 'parked events and default countries',
    log,
    everyMs: CHORES_MS,
    work: async () => {
      const parked = await useParked({ db, vault, deadLetterKey, now })
      return (await reassess(db, vault)) || parked
    },
  })
  const sweep = startIdempotencySweep(db, log)
  const subscription = await transport.subscribe(db, consumers({ vault, now }), { log })
  const database = async () => ({ ok: (await db.pool.query('SELECT 1')).rowCount === 1, detail: 'database' })
  const app = await behaviorExportApp({
    db,
    vault,
    now,
    log,
    tokens,
    ready: [database, () => subscription.healthy(), () => chores.healthy(), () => logDays.healthy()],
  })
  const url = await app.listen({ host: config.HOST, port: config.PORT })
  return {
    name: 'behavior-export',
    url,
    async stop() {
      await app.close()
      await Promise.all([subscription.stop(), chores.stop(), logDays.stop(), sweep.stop()])
      await db.close()
    },
  }
}
