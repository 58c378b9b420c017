/** P16 on the real SQL: Postgres's now() is replaced, in the test's database, by a clock that the test moves. */
import { newUuid } from '@audience-sync/contracts/ids'
import { nextSlot, Schedule } from '@audience-sync/contracts/schedule'
import type { Database } from '@audience-sync/db/database'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { fireDue } from '../src/fire.ts'

const LONG_MS = 120_000 // three thousand transactions
const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = Date.UTC(2026, 0, 1)
const END = START + 400 * DAY
const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata']
let database: TestDatabase
let schedulers: Database[]

beforeAll(async () => {
  database = await testDatabase()
  await database.admin('CREATE TABLE scheduler.fake_clock (at timestamptz NOT NULL)')
  await database.admin('INSERT INTO scheduler.fake_clock VALUES (now())')
  await database.admin('CREATE FUNCTION scheduler.now() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT at FROM scheduler.fake_clock $$')
  await database.admin('GRANT SELECT ON scheduler.fake_clock TO scheduler')
  const name = new URL(database.adminUrl).pathname.slice(1)
  // Named explicitly, pg_catalog no longer comes first.
  await database.admin(`ALTER ROLE scheduler IN DATABASE ${name} SET search_path = scheduler, pg_catalog`)
  schedulers = [database.as('scheduler', 1), database.as('scheduler', 1), database.as('scheduler', 1)]
})
afterAll(() => database.drop())

/** A small generator with a seed, so that a failure can be seen again. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

test(
  'P16: 3 schedulers, 400 days, 5 zones, clock jumps of 2 hours either way: every daily slot exactly once',
  async () => {
    const tenantId = newUuid()
    const audiences = zones.map((timeZone, index) => ({
      id: newUuid(),
      schedule: Schedule.parse({ frequency: 'daily', at: index % 2 ? '02:30' : '00:00', timeZone }),
    }))
    for (const { id, schedule } of audiences) {
      await database.admin(
        `INSERT INTO scheduler.schedule (audience_id, tenant_id, destination, schedule, active, version, next_at) VALUES ($1, $2, 'meta', $3, true, 1, $4)`,
        [id, tenantId, schedule, nextSlot(schedule, new Date(START))],
      )
    }
    const next = random(16)
    for (let real = START; real < END; real += (10 + next() * 6) * HOUR) {
      const jump = [-2, 0, 0, 2][Math.floor(next() * 4)] ?? 0
      await database.admin('UPDATE scheduler.fake_clock SET at = $1', [new Date(real + jump * HOUR)])
      await Promise.all(schedulers.map(fireDue))
    }
    await database.admin('UPDATE scheduler.fake_clock SET at = $1', [new Date(END)])
    await fireDue(schedulers[0] as Database)

    const fired = await database.admin<{ key: string }>('SELECT key FROM scheduler.outbox')
    for (const { id, schedule } of audiences) {
      let wanted = 0
      for (let at = nextSlot(schedule, new Date(START)) as Date; at.getTime() <= END; at = nextSlot(schedule, at) as Date) wanted += 1
      expect([schedule.timeZone, fired.filter(({ key }) => key === id).length]).toEqual([schedule.timeZone, wanted])
    }
  },
  LONG_MS,
)
