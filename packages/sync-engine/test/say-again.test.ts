/** SYNC.md C4 and C16: a platform that applies accepted calls in any order, or a call twice, still ends with everybody's last word. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { housekeep } from '../src/housekeeping.ts'
import { requestPause } from '../src/requests.ts'
import { neverMind, saidAgain, sayAgainBy } from '../src/store/say-again.ts'
import { leaveSharersToSayAgain } from '../src/store/tags.ts'
import { requestRepeats } from '../src/worker/repeat.ts'
import { calm } from './calm.ts'
import { emails, sha256 } from './people.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

const LATE_MS = 600_000

let world: World
afterEach(() => world.close())
const start = async (options?: WorldOptions, ...members: number[]) => {
  world = await makeWorld({ brake: { sharePercent: 100, minimum: 1_000_000 }, ...options })
  for (const no of members) world.behavior.join(no)
}
const left = () => world.database.admin('SELECT customer_no, times FROM sync.say_again')

describe('C4: order is not kept', () => {
  test('a removal sent while the addition was still being worked on is said again when that is finished', async () => {
    await start({}, 1, 2)
    await world.submit()
    world.behavior.leave(1)
    const second = await world.submit()
    expect(await left()).toHaveLength(1)
    await calm(world)
    expect(world.uploads().map(({ method }) => method)).toEqual(['POST', 'DELETE', 'DELETE'])
    expect(await left()).toEqual([])
    expect((await world.run(second)).counts).toMatchObject({ planned: 1, removed: 1 })
    expect(world.far()).toEqual(emails(2))
    // Nobody saw what the repetition did: they are remembered for a day, and then forgotten.
    const ledger = () => world.database.admin(`SELECT customer_no FROM sync.ledger ORDER BY 1`)
    await housekeep(world.engine)
    expect(await ledger()).toEqual([{ customer_no: 1 }, { customer_no: 2 }])
    await world.database.admin(`UPDATE sync.batch SET accepted_at = accepted_at - interval '25 hours' WHERE repeat`)
    await housekeep(world.engine)
    expect(await ledger()).toEqual([{ customer_no: 2 }])
  })

  test('an address that changed while the old one was still being worked on: its removal is said again as well, and the addition after it', async () => {
    await start({}, 1)
    world.twin.fault({ kind: 'apply_late', match: { path: '/users', method: 'POST' }, delayMs: LATE_MS })
    await world.submit()
    world.behavior.change(1, { identifiers: { email: 'new@example.com' } })
    await world.submit()
    world.twin.clock.advance(2_000)
    await world.settle()
    expect(await requestRepeats(world.engine)).toBe(false) // the first call is not finished
    world.twin.clock.advance(LATE_MS)
    expect(world.far()).toEqual([...emails(1), sha256('new@example.com')].sort()) // the old address came last
    await calm(world)
    expect(world.uploads().map(({ method }) => method)).toEqual(['POST', 'DELETE', 'POST', 'DELETE', 'POST'])
    expect(world.far()).toEqual([sha256('new@example.com')])
    expect(await left()).toEqual([])
    expect(await world.database.admin('SELECT FROM sync.todo')).toEqual([])
  })

  test('a worker that dies between the two halves of such a repetition loses nobody', async () => {
    await start({}, 1)
    await world.submit()
    world.behavior.change(1, { identifiers: { email: 'new@example.com' } })
    await world.submit()
    world.twin.clock.advance(2_000)
    await world.settle()
    // The removal is taken, the addition meets a platform that is down for longer than a run has patience.
    world.twin.fault({ kind: 'status', status: 503, match: { path: '/users', method: 'POST' }, times: 50 })
    await requestRepeats(world.engine)
    await world.work()
    expect(world.uploads().map(({ method }) => method)).toEqual(
      ['POST', 'DELETE', 'POST', 'DELETE', ...Array(50).fill('POST')].slice(0, world.uploads().length),
    )
    expect(await left()).toHaveLength(1) // only the second half says them
    await fetch(`${world.twin.url}/_twin/faults`, { method: 'DELETE' })
    await world.database.admin(`UPDATE sync.run SET not_before = now() WHERE status IN ('queued', 'waiting')`)
    await world.sync()
    await calm(world)
    expect(world.far()).toEqual([sha256('new@example.com')])
    expect(await left()).toMatchObject([{ times: 2 }]) // nobody saw when the repeated removal was applied
    expect(await world.database.admin('SELECT FROM sync.todo')).toEqual([])
    const [row] = await world.database.admin<{ added: boolean }>('SELECT add_batch > remove_batch AS added FROM sync.ledger')
    expect(row).toEqual({ added: true })
  })

  test('whoever comes back within a day of a repeated removal is said again: nobody saw when that was applied', async () => {
    await start({}, 1, 2)
    await world.submit()
    world.behavior.leave(1)
    await world.submit()
    world.twin.clock.advance(2_000)
    await world.settle()
    world.twin.fault({ kind: 'apply_late', match: { path: '/users', method: 'DELETE' }, delayMs: LATE_MS })
    await requestRepeats(world.engine)
    await world.work()
    world.behavior.join(1)
    await world.submit()
    world.twin.clock.advance(2_000)
    expect(world.far()).toEqual(emails(1, 2))
    world.twin.clock.advance(LATE_MS)
    expect(world.far()).toEqual(emails(2)) // the repetition came last
    for (const times of [2, 1]) {
      expect(await left()).toMatchObject([{ customer_no: 1, times }])
      await world.database.admin('UPDATE sync.say_again SET due_at = now()')
      await calm(world)
    }
    expect(world.far()).toEqual(emails(1, 2))
    expect(await left()).toEqual([])
  })

  test('a replacement ends with its addition said again, not counted, and asked for permission anew', async () => {
    await start({}, 1)
    await world.sync()
    world.behavior.change(1, { identifiers: { email: 'new@example.com' } })
    await world.submit()
    const fetches = world.behavior.fetches
    await calm(world)
    expect(world.uploads().map(({ method }) => method)).toEqual(['POST', 'DELETE', 'POST', 'POST'])
    expect(world.behavior.fetches).toBe(fetches + 1)
    const [heal] = await world.database.admin<{ no: number }>(`SELECT no FROM sync.run WHERE trigger = 'heal'`)
    expect(await world.run(heal?.no ?? 0)).toMatchObject({ status: 'completed', counts: { planned: 0 } })
    expect(world.far()).toEqual([sha256('new@example.com')])
  })

  test('whoever objected meanwhile is not said again', async () => {
    await start({}, 1)
    await world.sync()
    world.behavior.change(1, { identifiers: { email: 'new@example.com' } })
    await world.submit()
    world.behavior.suppress(1)
    await calm(world)
    expect(world.uploads().filter(({ method }) => method === 'POST')).toHaveLength(2)
  })

  test('a newer word is not followed by an older one', async () => {
    await start({}, 1, 2)
    await world.submit()
    world.behavior.leave(1)
    await world.submit()
    world.behavior.join(1)
    await world.submit()
    await calm(world)
    expect(world.far()).toEqual(emails(1, 2))
    expect(world.uploads().at(-1)?.method).toBe('POST')
  })

  test.each([1, 2, 3])(
    'twenty runs against a platform that applies in any order end as the behavior says (seed %i)',
    async (seed) => {
      await start({ twin: { reorder: true, seed } })
      let state = seed * 7919
      const random = (below: number) => {
        state = (state * 1103515245 + 12345) % 2 ** 31
        return state % below
      }
      for (let round = 0; round < 20; round += 1) {
        for (let change = random(5); change >= 0; change -= 1) {
          const no = 1 + random(12)
          if (random(3) === 0) world.behavior.leave(no)
          else world.behavior.join(no, { email: `p${no}-${random(3)}@example.com` })
        }
        await world.submit()
        if (random(3) === 0) world.twin.clock.advance(2_000)
      }
      await calm(world)
      const wanted = [...world.behavior.people.values()].filter(({ member }) => member).map(({ identifiers }) => sha256(identifiers.email ?? ''))
      expect(world.far()).toEqual(wanted.sort())
    },
    60_000,
  )
})

test('C16: a removal after an addition whose outcome was unknown is said again after a quarter of an hour and after a day', async () => {
  await start({}, 1, 2)
  world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 1 })
  await world.sync()
  world.behavior.leave(1)
  await world.sync()
  expect(await left()).toMatchObject([{ times: 2 }])
  for (const times of [1, 0]) {
    await world.database.admin(`UPDATE sync.say_again SET due_at = now()`)
    await calm(world)
    expect(await left()).toHaveLength(times)
  }
  expect(world.uploads().filter(({ method }) => method === 'DELETE')).toHaveLength(3)
})

test('C16: the doubt is as old as the last try, not as the first', async () => {
  await start({}, 1, 2)
  world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 1 })
  world.hooks.beforePush = async () => {
    await world.database.admin(`UPDATE sync.batch SET sent_at = sent_at - interval '25 hours' WHERE attempts = 1`)
  }
  await world.sync()
  delete world.hooks.beforePush
  world.behavior.leave(1)
  await world.sync()
  expect(await left()).toMatchObject([{ customer_no: 1, times: 2 }])
})

describe('what keeps an audience from its runs', () => {
  const runs = () => world.database.admin<{ trigger: string; status: string }>('SELECT trigger, status FROM sync.run ORDER BY no')

  test('paused, nobody is said again but for a removal, and no run is made for the others', async () => {
    await start({}, 1)
    await world.sync()
    world.behavior.change(1, { identifiers: { email: 'new@example.com' } })
    await world.request()
    await world.work()
    await world.engine.db.tenant(world.tenantId, (tx) => requestPause(tx, world.audienceNo, null))
    world.twin.clock.advance(60_000)
    await world.settle()
    expect(await left()).toHaveLength(1)
    const before = await runs()
    expect(await requestRepeats(world.engine)).toBe(false)
    expect(await runs()).toEqual(before)
  })

  test('R7: held by the brake, a removal for privacy is said again when the addition before it is finished', async () => {
    await start({ brake: { sharePercent: 30, minimum: 2 } }, 1, 2, 3, 4)
    await world.sync()
    world.twin.fault({ kind: 'apply_late', match: { path: '/users', method: 'POST' }, delayMs: LATE_MS })
    world.behavior.join(5)
    await world.request()
    await world.work()
    world.behavior.suppress(5)
    await world.suppressions()
    await world.work()
    for (const no of [1, 2, 3]) world.behavior.leave(no)
    await world.request()
    await world.work()
    expect(await runs()).toContainEqual({ trigger: 'api', status: 'held' })
    world.twin.clock.advance(LATE_MS + 2_000)
    expect(world.far()).toContain(emails(5)[0]) // the addition came last
    await calm(world)
    expect(world.far()).toEqual(emails(1, 2, 3, 4))
    expect(await runs()).toContainEqual({ trigger: 'api', status: 'held' })
  })
})

test('C16: a removal whose outcome was unknown may land once more: whoever comes back within a day is said again', async () => {
  await start({}, 1, 2)
  await world.sync()
  world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'DELETE' }, times: 1 })
  world.behavior.leave(1)
  await world.sync()
  await calm(world)
  world.behavior.join(1)
  await world.sync()
  expect(await left()).toMatchObject([{ customer_no: 1, times: 2 }])
  expect(world.far()).toEqual(emails(1, 2))
})

test('C2: what another audience’s account-wide removal leaves while a repetition is under way is not taken for said', async () => {
  await start({}, 1, 2)
  await world.sync()
  const { db, destinationNo } = world.engine
  const [row] = await world.database.admin<{ tag: number; tenant_no: number }>('SELECT tag, tenant_no FROM sync.ledger_tag WHERE customer_no = 1')
  const scope = { audienceNo: world.audienceNo, tenantNo: row?.tenant_no ?? 0, destinationNo, generation: 1 }
  const elsewhere = () => db.tenant(world.tenantId, (tx) => leaveSharersToSayAgain(tx, scope, 500, [Number(row?.tag)], { goneEverywhere: [] }))
  await elsewhere()
  await db.tenant(world.tenantId, (tx) => sayAgainBy(tx, world.audienceNo, 501, [1]))
  await elsewhere()
  await db.tenant(world.tenantId, (tx) => saidAgain(tx, world.audienceNo, 501, [1]))
  expect(await world.database.admin('SELECT customer_no, times, after_batch FROM sync.say_again')).toEqual([{ customer_no: 1, times: 2, after_batch: 500 }])
  // And of what was read before it nothing is dropped after it.
  await db.tenant(world.tenantId, (tx) => neverMind(tx, world.audienceNo, [{ customerNo: 1, afterBatch: 501 }]))
  expect(await left()).toHaveLength(1)
})

describe('C2: two customers, one identifier', () => {
  test('whoever stays is said again behind the removal of an identifier that they share', async () => {
    await start()
    world.behavior.join(1, { email: 'p1@example.com', phone: '+14155550100' })
    world.behavior.join(2, { email: 'p2@example.com', phone: '+14155550100' })
    await world.sync()
    world.behavior.leave(1)
    await world.submit()
    await calm(world)
    expect(world.far()).toEqual(emails(2))
    expect(world.far('PHONE')).toEqual([sha256('14155550100')])
  })

  test('the same when the shared identifier goes with a removal for privacy', async () => {
    await start()
    world.behavior.join(1, { phone: '+14155550100' })
    world.behavior.join(2, { email: 'p2@example.com', phone: '+14155550100' })
    await world.sync()
    world.behavior.suppress(1)
    await world.suppressions()
    await world.work()
    await calm(world)
    expect(world.far()).toEqual(emails(2))
  })
})

test('C2, C4: two who share a phone, of whom both halves are said again on one day, are not said again for ever', async () => {
  const phone = '+14155550100'
  await start()
  for (const no of [1, 2]) world.behavior.join(no, { email: `old${no}@example.com`, phone })
  await world.sync()
  for (const no of [1, 2]) world.behavior.join(no, { email: `p${no}@example.com`, phone })
  await world.sync()
  // As after two doubtful additions (C16).
  await world.database.admin(
    `INSERT INTO sync.say_again (audience_no, tenant_no, destination_no, customer_no, due_at, times, after_batch, both_halves)
     SELECT audience_no, tenant_no, destination_no, customer_no, now(), 2, add_batch, true FROM sync.ledger
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET due_at = now(), times = 2, both_halves = true`,
  )
  for (let day = 0; day < 8 && (await left()).length > 0; day += 1) {
    await calm(world)
    await world.database.admin(`UPDATE sync.batch SET sent_at = sent_at - interval '1 day', accepted_at = accepted_at - interval '1 day'`)
    await world.database.admin(`UPDATE sync.say_again SET due_at = due_at - interval '1 day'`)
  }
  expect(await left()).toEqual([])
  expect(world.far()).toEqual(emails(1, 2))
})

test('C2, C16: a removal that was lost and then refused may have been taken: who shares an identifier with the person, who came back meanwhile, is said again', async () => {
  const phone = '+14155550100'
  await start({ options: { patienceMs: 0 } })
  for (const no of [1, 2]) world.behavior.join(no, { email: `p${no}@example.com`, phone })
  await world.sync()
  world.behavior.leave(1)
  world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'DELETE' }, times: 1 })
  world.twin.fault({ kind: 'status', code: 2650, subcode: 1870001, match: { path: '/users', method: 'DELETE' }, times: 1 })
  await world.submit()
  await world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'waiting'`)
  await world.work()
  expect(await world.database.admin(`SELECT state, attempts FROM sync.batch WHERE operation = 'remove'`)).toEqual([{ state: 'failed', attempts: 2 }])
  world.behavior.join(1, { email: 'p1@example.com', phone })
  await world.submit()
  await calm(world)
  expect(world.far()).toEqual(emails(1, 2))
})

test('C4: a repetition may land after the addition that came after it, and after the removal: the person is removed again', async () => {
  await start({}, 1, 2)
  await world.sync()
  // As after a removal of somebody who shares an address (C2).
  await world.database.admin(
    `INSERT INTO sync.say_again (audience_no, tenant_no, destination_no, customer_no, due_at, times, after_batch)
     SELECT audience_no, tenant_no, destination_no, customer_no, now(), 1, add_batch FROM sync.ledger WHERE customer_no = 1`,
  )
  world.twin.fault({ kind: 'apply_late', match: { path: '/users', method: 'POST' }, delayMs: LATE_MS, times: 1 })
  await requestRepeats(world.engine)
  await world.work()
  expect(await left()).toEqual([])
  world.behavior.join(1, { email: 'p1@example.com', phone: '+14155550100' })
  await world.submit()
  await world.database.admin(`UPDATE sync.batch SET state = 'applied', applied_at = now() WHERE state = 'accepted'`)
  world.behavior.leave(1)
  await world.submit()
  expect(await left()).toEqual([{ customer_no: 1, times: 2 }])
})
