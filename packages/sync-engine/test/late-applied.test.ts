/** What the platform takes in one order and applies in another: a call is applied ten minutes late, after those that were taken after it. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { calm } from './calm.ts'
import { die } from './death.ts'
import { emails, sha256 } from './people.ts'
import { makeWorld, type World } from './world.ts'

const LATE_MS = 600_000
const PHONE = '+14155550100'

let world: World
afterEach(() => world.close())
const start = async () => {
  world = await makeWorld({ brake: { sharePercent: 100, minimum: 1_000_000 } })
}
/** Calls of this kind, or so many of them, are applied late. */
const applyLate = (method: 'POST' | 'DELETE', times?: number) =>
  world.twin.fault({ kind: 'apply_late', match: { path: '/users', method }, delayMs: LATE_MS, ...(times !== undefined && { times }) })
/** What is not late is applied. */
const applySoon = async () => {
  world.twin.clock.advance(2_000)
  await world.settle()
}
const applyRest = async () => {
  world.twin.clock.advance(LATE_MS)
  await calm(world)
}

describe('C2: an identifier goes from one customer to another', () => {
  test('the addition is said again when the removal from the first is applied', async () => {
    await start()
    world.behavior.join(1, { email: 'p1@example.com', phone: PHONE })
    await world.sync()
    applyLate('DELETE')
    world.behavior.join(1, { email: 'p1@example.com' })
    world.behavior.join(2, { email: 'p2@example.com', phone: PHONE })
    await world.submit()
    await applySoon()
    await applyRest()
    expect(world.far()).toEqual(emails(1, 2))
    expect(world.far('PHONE')).toEqual([sha256(PHONE.slice(1))])
  })

  test('the same when it comes a run later', async () => {
    await start()
    world.behavior.join(1, { email: 'p1@example.com', phone: PHONE })
    await world.sync()
    applyLate('DELETE')
    world.behavior.leave(1)
    await world.submit()
    world.behavior.join(2, { email: 'p2@example.com', phone: PHONE })
    await world.submit()
    await applySoon()
    await applyRest()
    expect(world.far()).toEqual(emails(2))
    expect(world.far('PHONE')).toEqual([sha256(PHONE.slice(1))])
  })
})

describe('C4: of two additions the first is applied last', () => {
  test('also where the first was to be said again anyway, and the run between was refused', async () => {
    await start()
    world.behavior.join(1, { email: 'old@example.com', phone: '+14155550101' })
    await world.sync()
    applyLate('DELETE', 1)
    applyLate('POST', 1)
    world.behavior.change(1, { identifiers: { email: 'p1@example.com', phone: PHONE } })
    await world.submit()
    for (const method of ['DELETE', 'POST']) world.twin.fault({ kind: 'status', match: { path: '/users', method }, times: 1, status: 400, code: 100 })
    world.behavior.change(1, { identifiers: { email: 'p1@example.com' } })
    await world.submit()
    await world.submit()
    await applySoon()
    await applyRest()
    expect(world.far()).toEqual(emails(1))
    expect(world.far('PHONE')).toEqual([])
  })

  test('a removal between them is said again', async () => {
    await start()
    world.behavior.join(1)
    world.behavior.join(2)
    applyLate('POST', 1)
    await world.submit()
    world.behavior.join(1, { email: 'p1@example.com', phone: PHONE })
    await world.submit()
    await applySoon()
    world.behavior.leave(1)
    await world.submit()
    await applySoon()
    await applyRest()
    expect(world.far()).toEqual(emails(2))
  })
})

describe('C4: of two removals the second was never made', () => {
  test('whoever has come back meanwhile is added again when the first is applied', async () => {
    await start()
    world.behavior.join(1)
    world.behavior.join(2)
    await world.sync()
    applyLate('DELETE', 1)
    world.behavior.leave(1)
    await world.submit()
    world.behavior.join(1, { email: 'other@example.com' })
    await world.request()
    world.hooks.beforeTransaction = async () => {
      const stored = await world.database.admin(`SELECT FROM sync.batch WHERE state = 'sending' AND attempts = 0`)
      if (stored.length === 0) return
      delete world.hooks.beforeTransaction
      await die(world)
    }
    await world.workOnce()
    world.behavior.join(1)
    await world.submit()
    await applySoon()
    await applyRest()
    expect(world.far()).toEqual(emails(1, 2))
  })
})
