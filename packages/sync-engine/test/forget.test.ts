/** Whoever was removed is forgotten when nothing of it can come any more, and no sooner (C12). */
import { afterEach, expect, test } from '@jest/globals'
import { housekeep } from '../src/housekeeping.ts'
import { forgetRemoved } from '../src/store/forget.ts'
import { neverMind } from '../src/store/say-again.ts'
import { makeWorld, type World } from './world.ts'

let world: World
afterEach(() => world.close())

/** Somebody whose second removal is applied, and whose first is as said here. */
async function removedTwice(first: string): Promise<number[]> {
  world = await makeWorld({ brake: { sharePercent: 100, minimum: 100 } })
  world.behavior.join(1)
  world.behavior.join(2)
  await world.sync()
  world.behavior.leave(1)
  await world.submit()
  world.behavior.suppress(1)
  await world.suppressions()
  await world.work()
  const removals = await world.database.admin<{ no: number }>(`SELECT no FROM sync.batch WHERE operation = 'remove' ORDER BY no`)
  expect(removals).toHaveLength(2)
  await world.database.admin(`UPDATE sync.batch SET state = 'applied', applied_at = now(); UPDATE sync.batch SET ${first} WHERE no = ${removals[0]?.no}`)
  return removals.map(({ no }) => Number(no))
}
const forget = (...batches: (number | undefined)[]) => world.engine.db.tenant(world.tenantId, (tx) => forgetRemoved(tx, world.audienceNo, batches.map(Number)))
const remembered = async () => (await world.database.admin('SELECT FROM sync.ledger WHERE customer_no = 1')).length === 1

test('C2, C4: while an earlier removal is still to be applied, they are remembered; with that they are forgotten', async () => {
  const [first, second] = await removedTwice(`state = 'accepted', applied_at = NULL`)
  await forget(second)
  expect(await remembered()).toBe(true)
  await world.database.admin(`UPDATE sync.batch SET state = 'applied', applied_at = now() WHERE no = $1`, [first])
  await forget(first)
  expect(await remembered()).toBe(false)
})

test('C16: while an earlier removal may land once more, they are remembered; a day later they are forgotten', async () => {
  const [, second] = await removedTwice('attempts = 2')
  await forget(second)
  expect(await remembered()).toBe(true)
  await world.database.admin(`UPDATE sync.batch SET sent_at = sent_at - interval '25 hours', accepted_at = accepted_at - interval '25 hours'`)
  await housekeep(world.engine)
  expect(await remembered()).toBe(false)
})

test.each([
  ['also where the person has changed before the repetition: the run that says the change needs it', true, 1],
  ['and a row without it is dropped: the feed has the change', false, 0],
])('C4: what is remembered of an earlier addition stays, %s', async (_what, both, left) => {
  world = await makeWorld({})
  world.behavior.join(1)
  await world.sync()
  await world.database.admin(
    `INSERT INTO sync.say_again (audience_no, tenant_no, destination_no, customer_no, due_at, times, after_batch, both_halves)
     SELECT audience_no, tenant_no, destination_no, customer_no, now(), 1, add_batch, $1 FROM sync.ledger`,
    [both],
  )
  const [row] = await world.database.admin<{ after: string }>('SELECT after_batch AS after FROM sync.say_again')
  await world.engine.db.tenant(world.tenantId, (tx) => neverMind(tx, world.audienceNo, [{ customerNo: 1, afterBatch: Number(row?.after) }]))
  expect(await world.database.admin('SELECT FROM sync.say_again')).toHaveLength(left)
})
