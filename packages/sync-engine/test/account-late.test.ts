/** An opt-out's call for the whole account is applied in every audience of it, and late: what the model of the pure parts found there (pure/model.test.ts). */
import { afterEach, describe, expect, test } from '@jest/globals'
import { housekeep } from '../src/housekeeping.ts'
import { Behavior } from './behavior.ts'
import { calm } from './calm.ts'
import { emails, sha256 } from './people.ts'
import { makeWorld, type World } from './world.ts'

const LATE_MS = 600_000
const PHONE = '+14155550100'

let world: World
afterEach(() => world.close())

/** Two audiences of one account, each with a behavior of its own; only the first one's is the engine's suppression log. */
async function start() {
  world = await makeWorld({ businessId: '2000000000000001', brake: { sharePercent: 100, minimum: 1_000_000 }, settings: { fullRefresh: 'add_and_remove' } })
  const behavior = new Behavior(world.tenantId)
  return { behavior, audience: await world.addAudience({ frequency: 'manual' }, behavior) }
}
const run = async (...audiences: number[]) => {
  for (const audience of audiences) await world.request('incremental', audience)
  await world.work()
}
const optOut = async (no: number) => {
  world.behavior.suppress(no)
  await world.suppressions()
  await world.work()
}
const applyLate = (method: 'POST' | 'DELETE', path: string, times = 1) =>
  world.twin.fault({ kind: 'apply_late', match: { path, method }, delayMs: LATE_MS, times })
/** What is not late is applied, in each audience. */
const applySoon = async () => {
  world.twin.clock.advance(2_000)
  await settleAll()
}
const settleAll = async () => {
  for (let i = 0; i < 3; i += 1) await world.settle()
}
const applyRest = async () => {
  world.twin.clock.advance(LATE_MS)
  await settleAll()
  await calm(world)
  await settleAll()
}

describe('C2, C4: who is added to another audience while an opt-out is still being applied to the account', () => {
  test.each([
    ['is added again', ''],
    [
      'and the caller’s audience shows it applied already, is added again',
      `UPDATE sync.batch SET state = 'applied', applied_at = now() WHERE manner = 'account'`,
    ],
  ])('and is the same person, who has consented again, %s', async (_what, meanwhile) => {
    const { behavior, audience } = await start()
    world.behavior.join(1)
    world.behavior.join(2)
    behavior.join(2)
    await run(world.audienceNo, audience)
    await applySoon()
    applyLate('DELETE', '/usersofanyaudience')
    await optOut(1)
    if (meanwhile) await world.database.admin(meanwhile)
    // A log that both read.
    behavior.suppressed.push(...world.behavior.suppressed)
    behavior.join(1)
    await run(audience)
    await applySoon()
    await applyRest()
    expect(world.far()).toEqual(emails(1, 2, 2))
  })

  test('and carries an identifier that the person had, is added again', async () => {
    const { behavior, audience } = await start()
    world.behavior.join(1, { email: 'p1@example.com', phone: PHONE })
    world.behavior.join(2)
    behavior.join(2)
    await run(world.audienceNo, audience)
    await applySoon()
    applyLate('DELETE', '/usersofanyaudience')
    await optOut(1)
    // Tags of somebody whom no ledger holds here, and which are needed still.
    await housekeep(world.engine)
    behavior.join(3, { email: 'p3@example.com', phone: PHONE })
    await run(audience)
    await applySoon()
    await applyRest()
    expect(world.far()).toEqual(emails(2, 2, 3))
    expect(world.far('PHONE')).toEqual([sha256(PHONE.slice(1))])
  })

  test('and carries an identifier that only another audience had of the person, and comes to this one, is added again', async () => {
    const { behavior, audience } = await start()
    for (const no of [1, 2]) world.behavior.join(no)
    behavior.join(1, { email: 'p1@example.com', phone: PHONE })
    await run(world.audienceNo, audience)
    await applySoon()
    applyLate('DELETE', '/usersofanyaudience')
    behavior.suppress(1)
    await optOut(1)
    world.behavior.join(3, { email: 'p3@example.com', phone: PHONE })
    await run(world.audienceNo)
    await applySoon()
    await applyRest()
    expect(world.far()).toEqual(emails(2, 3))
  })
})

test('C16, R7: an earlier addition that was sent twice is remembered, though another audience tells the account: the person is removed again', async () => {
  const { behavior, audience } = await start()
  for (const one of [world.behavior, behavior]) for (const no of [1, 2]) one.join(no)
  await run(world.audienceNo)
  world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 1 })
  await run(audience)
  await world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'waiting'`)
  await world.work()
  await applySoon()
  behavior.join(1, { email: 'p1@example.com', phone: PHONE })
  await run(audience)
  await applySoon()
  behavior.suppress(1)
  await optOut(1)
  await applySoon()
  expect(await world.database.admin('SELECT customer_no, times FROM sync.say_again WHERE audience_no = $1', [audience])).toEqual([{ customer_no: 1, times: 2 }])
})

test('C4, R7: what was applied in an audience only after another one had told the account may have come last there: the person is removed again', async () => {
  const { behavior, audience } = await start()
  for (const one of [world.behavior, behavior]) for (const no of [1, 2]) one.join(no)
  await run(world.audienceNo, audience)
  behavior.suppress(1)
  world.behavior.suppress(1)
  await world.suppressions()
  await world.database.admin(`UPDATE sync.run SET not_before = now() + interval '1 hour' WHERE audience_no = $1 AND trigger = 'privacy'`, [audience])
  await world.work()
  await applySoon()
  await world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE audience_no = $1`, [audience])
  await world.work()
  expect(
    await world.database.admin('SELECT shared_call IS NOT NULL AS shared FROM sync.batch WHERE audience_no = $1 AND operation = $2', [audience, 'remove']),
  ).toContainEqual({ shared: true })
  expect(await world.database.admin('SELECT customer_no FROM sync.say_again WHERE audience_no = $1', [audience])).toEqual([{ customer_no: 1 }])
  await applySoon()
  await calm(world)
  await settleAll()
  expect(world.far()).toEqual(emails(2, 2))
})
