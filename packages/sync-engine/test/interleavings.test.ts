/**
 * Interleavings that are not drawn but made: two transactions that overlook each other, a worker that dies between two of its own, an
 * answer that comes while somebody wishes something else. Each once lost somebody, or kept somebody who had to go.
 */
import { AppError } from '@audience-sync/errors/app-error'
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestCancel } from '../src/requests.ts'
import { readSuppressions } from '../src/suppressions.ts'
import type { Engine } from '../src/worker/engine.ts'
import { calm } from './calm.ts'
import { die } from './death.ts'
import { emails } from './people.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

/** Transactions before the end of a run that are of interest: its last looks, and its end. */
const LAST = 4

let world: World
afterEach(() => world.close())
const start = async (options?: WorldOptions, ...members: number[]) => {
  world = await makeWorld({ brake: { sharePercent: 100, minimum: 1_000_000 }, ...options })
  for (const no of members) world.behavior.join(no)
}
/** Whatever waits for a time is due, and nothing of the platform is in the way. */
const recover = async () => {
  await fetch(`${world.twin.url}/_twin/faults`, { method: 'DELETE' })
  await world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status IN ('queued', 'waiting'); UPDATE sync.quota SET blocked_until = NULL`)
  await world.work()
}

describe('C10: the reader of the suppression log and a worker', () => {
  /** Whose n-th transaction without a tenant waits before it commits, until `go`. */
  const pausing = (n: number) => {
    const reached = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    let left = n
    const { db } = world.engine
    const engine: Engine = {
      ...world.engine,
      db: {
        ...db,
        tx: (fn) =>
          db.tx(async (tx) => {
            const result = await fn(tx)
            left -= 1
            if (left === 0) {
              reached.resolve()
              await go.promise
            }
            return result
          }),
      },
    }
    return { engine, reached: reached.promise, go: go.resolve }
  }

  test.each([1, 2])('each sees the other, whichever of the reader’s transactions is still open (%i)', async (n) => {
    await start({}, 1, 2)
    const { engine, reached, go } = pausing(n)
    let reading: Promise<unknown> = Promise.resolve()
    world.behavior.onFetch = async () => {
      world.behavior.onFetch = undefined
      world.behavior.suppress(1)
      reading = readSuppressions(engine)
      await Promise.race([reached, reading])
    }
    world.hooks.afterPush = async () => {
      go()
      await reading
    }
    await world.submit()
    await calm(world)
    expect(world.far()).toEqual(emails(2))
  })
})

test('C10: whoever was taken out of a batch, and consents again before their removal, is sent', async () => {
  await start({}, 1, 2)
  const { db } = world.engine
  const go = Promise.withResolvers<void>()
  const buried = Promise.withResolvers<void>()
  let transactions = 0
  // The tombstone is there before the batch is sent; the ledger is looked at afterwards.
  const engine: Engine = {
    ...world.engine,
    db: {
      ...db,
      tx: async (fn) => {
        transactions += 1
        if (transactions === 2) {
          buried.resolve()
          await go.promise
        }
        return db.tx(fn)
      },
    },
  }
  let reading: Promise<unknown> = Promise.resolve()
  world.behavior.onFetch = async () => {
    world.behavior.onFetch = undefined
    world.behavior.suppress(1)
    reading = readSuppressions(engine)
    await buried.promise
  }
  world.hooks.afterPush = async () => {
    delete world.hooks.afterPush
    go.resolve()
    await reading
    world.behavior.change(1, { allowed: 7 })
  }
  await world.submit()
  await world.sync()
  await calm(world)
  expect(world.far()).toEqual(emails(1, 2))
})

test('C3: what was left to do of somebody outlasts an objection that was taken back', async () => {
  await start({}, 1, 2)
  world.twin.fault({ kind: 'reject_rows', match: { path: '/users' }, rows: 1, times: 1 })
  await world.sync()
  expect(world.far()).toHaveLength(1)
  world.behavior.suppress(1)
  await world.suppressions()
  world.behavior.change(1, { allowed: 7 })
  await world.work()
  await world.sync()
  expect(world.far()).toEqual(emails(1, 2))
})

test('C11: whoever opts out while a call is tried again is not in the next try', async () => {
  await start({}, 1, 2)
  world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 1 })
  world.hooks.beforePush = async () => {
    delete world.hooks.beforePush
    world.behavior.suppress(1)
    await world.suppressions()
  }
  await world.submit()
  await calm(world)
  const [first, ...others] = world.uploads().filter(({ method }) => method === 'POST')
  expect(first?.body).toContain(emails(1)[0])
  for (const { body } of others) expect(body).not.toContain(emails(1)[0])
  await world.sync()
  expect(world.far()).toEqual(emails(2))
})

test.each(['leaves', 'opts out'])(
  'C12: of a call that a dead worker made nobody is forgotten, though the next try of it is refused at the door (one %s)',
  async (how) => {
    await start({}, 1, 2)
    world.hooks.afterPush = async () => {
      delete world.hooks.afterPush
      await die(world)
    }
    await world.request()
    await world.workOnce()
    world.twin.fault({ kind: 'throttle', delayMs: 60_000, match: { path: '/users' }, times: 1 })
    await world.work()
    if (how === 'leaves') world.behavior.leave(1)
    else world.behavior.suppress(1)
    await world.suppressions()
    await recover()
    await world.sync()
    await calm(world)
    expect(world.far()).toEqual(emails(2))
  },
)

test('R7: whoever opts out as a privacy run ends is removed, though its worker dies at that moment', async () => {
  await start()
  let most = 0
  let person = 0
  /** Answers how many transactions it had; the second person opts out before the n-th, after which the worker dies. */
  const privacyRun = async (n: number) => {
    person += 2
    const [first, second] = [person - 1, person]
    world.behavior.join(first)
    world.behavior.join(second)
    await world.sync()
    world.behavior.suppress(first)
    await world.suppressions()
    let transactions = 0
    world.hooks.beforeTransaction = async () => {
      transactions += 1
      if (transactions === n + 1) await die(world)
      if (transactions !== n) return
      world.behavior.suppress(second)
      await world.suppressions()
    }
    await world.workOnce()
    delete world.hooks.beforeTransaction
    return transactions
  }
  most = await privacyRun(Number.POSITIVE_INFINITY)
  for (let n = most - LAST; n <= most; n += 1) {
    await privacyRun(n)
    await recover()
    await calm(world)
    expect({ n, far: world.far().length }).toEqual({ n, far: 1 })
  }
}, 120_000)

test('C15: a wish that comes while the platform refuses a call is not lost in the wait that follows', async () => {
  await start({}, 1)
  const run = await world.request()
  world.twin.fault({ kind: 'throttle', delayMs: 60_000, match: { path: '/users' }, times: 1 })
  world.hooks.beforePush = async () => {
    await world.engine.db.tenant(world.tenantId, (tx) => requestCancel(tx, run))
  }
  await world.work()
  expect(await world.run(run)).toMatchObject({ status: 'cancelled' })
})

test('C15: a connection that is mended between its refusal and the wait for it is not waited for', async () => {
  await start({}, 1)
  const { grants } = world.engine
  const { get } = grants
  let refused = false
  Object.assign(grants, {
    get: async (...of: Parameters<typeof get>) => {
      if (refused) return get(...of)
      refused = true
      throw new AppError('connection_expired', 'The platform no longer takes the token.')
    },
  })
  const run = await world.submit()
  await world.settle()
  expect(await world.run(run)).toMatchObject({ status: 'completed' })
  expect(world.far()).toEqual(emails(1))
})

test('C5: a run that was wished for while a plan was queued follows it, though the plan is cancelled', async () => {
  await start({}, 1)
  const planned = await world.request('incremental', world.audienceNo, 'plan')
  await world.database.admin('UPDATE sync.run SET bound = $2 WHERE no = $1', [planned, String(world.behavior.xid)])
  world.behavior.join(2)
  expect(await world.request('incremental', world.audienceNo, 'realtime')).toBe(planned)
  await world.engine.db.tenant(world.tenantId, (tx) => requestCancel(tx, planned))
  await world.work()
  await world.settle()
  expect(await world.run(planned)).toMatchObject({ status: 'cancelled' })
  expect(world.far()).toEqual(emails(1, 2))
})

test('a plan waits where an open transaction hides who changed after it', async () => {
  await start({}, 1, 2)
  await world.sync()
  world.behavior.join(3)
  const planned = await world.request('incremental', world.audienceNo, 'plan')
  await world.database.admin('UPDATE sync.run SET bound = $2 WHERE no = $1', [planned, String(world.behavior.xid)])
  world.behavior.xmin = world.behavior.xid
  world.behavior.leave(3) // committed, and behind the open transaction
  await world.work()
  expect(await world.run(planned)).toMatchObject({ status: 'waiting', counts: { planned: 0 } })
  world.behavior.xmin = undefined
  await recover()
  expect(await world.run(planned)).toMatchObject({ counts: { planned: 0 } })
  expect(world.far()).toEqual(emails(1, 2))
})

test('C8: after a restore in which positions begin anew, whoever has consented again is sent', async () => {
  await start({}, 1, 2, 3)
  world.behavior.xid = 5_000
  world.behavior.suppress(1)
  world.behavior.suppress(3)
  await world.suppressions()
  world.behavior.change(1, { allowed: 7 })
  // A dump without the last objection, read into a new cluster: its log is numbered anew, from the beginning of the new history.
  world.behavior.xid = 60
  world.behavior.epoch = 'e2'
  world.behavior.change(3, { allowed: 7 })
  const [kept] = world.behavior.suppressed
  world.behavior.suppressed.length = 0
  if (kept) world.behavior.suppressed.push({ ...kept, at: '60:1' })
  world.behavior.xid = 61
  await world.suppressions()
  await world.sync()
  expect(world.far()).toEqual(emails(1, 2)) // of the third only the tombstone remembers what was said
})

test('C1, R7: an opt-out taken back is read between a refused first half and the second: the old address is removed by the next run', async () => {
  await start({}, 2)
  world.behavior.join(1, { email: 'old@example.com' })
  await world.sync()
  world.behavior.suppress(1)
  world.behavior.change(1, { allowed: 7, identifiers: { email: 'p1@example.com' } })
  world.twin.fault({ kind: 'status', match: { path: '/users', method: 'DELETE' }, times: 1, status: 400, code: 100 })
  world.hooks.beforePush = async () => {
    delete world.hooks.beforePush
    await world.suppressions()
  }
  await world.submit()
  await recover()
  await world.submit()
  await calm(world)
  expect(world.far()).toEqual(emails(1, 2))
  expect(await world.database.admin('SELECT FROM sync.todo')).toEqual([])
})
