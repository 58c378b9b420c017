/** F7: the database goes away for a moment, before each transaction that a run has, one after the other. */
import { afterEach, expect, test } from '@jest/globals'
import { address } from './people.ts'
import { makeWorld, type World } from './world.ts'

const MOST = 40

let world: World
afterEach(() => world.close())

test('F7 a database that is away for a moment makes a run wait, never fail, and nobody is lost', async () => {
  world = await makeWorld({ rowsPerCall: 2, brake: { sharePercent: 100, minimum: 100 } })
  let interrupted = 0
  for (let n = 1; n <= MOST; n += 1) {
    // Somebody comes, somebody goes, somebody has another address.
    world.behavior.join(n, { email: address(n) })
    world.behavior.join(1_000, { email: address(1_000 + n) })
    if (n > 3) world.behavior.leave(n - 3)
    const run = await world.request()
    let left = n
    world.hooks.beforeTransaction = async () => {
      left -= 1
      if (left === 0) throw Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' })
    }
    await world.workOnce().catch((error: { code?: string }) => {
      if (error.code !== '57P01') throw error // before the run was looked at: the loop of the worker tries again
    })
    delete world.hooks.beforeTransaction
    if (left > 0) break
    interrupted += 1
    expect((await world.run(run)).status).not.toBe('failed')
    await world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'waiting'; UPDATE sync.audience SET lease_until = NULL`)
    await world.work()
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { failed: 0, unknown: 0, waiting: 0 } })
    expect(world.far()).toHaveLength(Math.min(n, 3) + 1)
  }
  expect(interrupted).toBeGreaterThan(10)
  expect(interrupted).toBeLessThan(MOST)
})
