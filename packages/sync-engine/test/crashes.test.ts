/**
 * A worker dies before its n-th transaction, for every n that a run has: between storing a batch and sending it, between
 * sending and recording, in the middle of a split, between the halves of a replacement. Whatever it left, the successor makes
 * the far side equal to the behavior, nobody is lost, and the counts add up at every look (S-4, S-5, SYNC.md C3, C15, C24).
 */
import type { Identifiers } from '@audience-sync/contracts/people'
import { afterEach, describe, expect, test } from '@jest/globals'
import { die, workAndDieAt } from './death.ts'
import { sha256 } from './people.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

const NO_BRAKE = { brake: { sharePercent: 100, minimum: 100 } }

let world: World
afterEach(() => world.close())

const start = async (options: WorldOptions = {}) => {
  world = await makeWorld({ rowsPerCall: 2, ...NO_BRAKE, ...options })
}

/** What waits for a time is due; what the platform works on is applied. */
async function recover(): Promise<void> {
  await world.work()
  for (let rounds = 0; rounds < 3; rounds += 1) {
    await world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'waiting'; UPDATE sync.quota SET blocked_until = NULL`)
    await world.work()
  }
  await world.settle()
}

const digests = (value: (identifiers: Identifiers) => string[]) =>
  [...world.behavior.people.values()]
    .filter(({ member, allowed }) => member && allowed & 1)
    .flatMap(({ identifiers }) => value(identifiers))
    .map(sha256)
    .sort()

function expectInStep(): void {
  expect([...new Set(world.far('EMAIL'))]).toEqual(digests(({ email, emails = [] }) => [...(email ? [email] : []), ...emails]))
  expect([...new Set(world.far('PHONE'))]).toEqual(digests(({ phone }) => (phone ? [phone.slice(1)] : [])))
}

async function expectSums(): Promise<void> {
  for (const { no } of await world.database.admin<{ no: number }>('SELECT no FROM sync.run ORDER BY no')) {
    const { counts } = await world.run(no)
    const { planned = 0, accepted = 0, rejected = 0, failed = 0, cancelled = 0, unknown = 0, waiting = 0 } = counts
    expect({ run: no, planned: accepted + rejected + failed + cancelled + unknown + waiting }).toEqual({ run: no, planned })
  }
}

/** No batch is open, nothing that may be sent again is kept. */
async function expectNothingOpen(): Promise<void> {
  expect(await world.database.admin(`SELECT no, state FROM sync.batch WHERE state IN ('planned', 'sending', 'unknown')`)).toEqual([])
  expect(await world.database.admin('SELECT batch_no FROM sync.batch_payload')).toEqual([])
  expect(await world.database.admin(`SELECT no, status FROM sync.run WHERE finished_at IS NULL AND status <> 'applying'`)).toEqual([])
}

/** One of each: a replacement that keeps its phone, one of two addresses, a leaver or joiner, a change of all, somebody steady. */
function changePeople(round: number): void {
  const { behavior } = world
  behavior.join(1, { email: `a${round}@example.com`, phone: '+14155550101' })
  behavior.join(2, { emails: [`b${round}@example.com`, `b${round + 1}@example.com`] })
  if (round % 2 === 0) behavior.join(3)
  else behavior.leave(3)
  behavior.join(4, { email: `d${round}@example.com` })
  behavior.join(5, { email: 'steady@example.com' })
}

const MOST = 80
/** One scenario dies at every transaction; the others, which take as long, at every third of them, or with FULL=1 at every one. */
const EVERY = process.env.FULL ? 1 : 3

/** Rounds until a run has fewer transactions than the round's number: then every one of them was died at. */
async function dieEverywhere(
  round: (n: number) => void | Promise<void>,
  after: (n: number) => void | Promise<void> = () => {},
  every = EVERY,
): Promise<number> {
  for (let n = 1; n <= MOST; n += every) {
    await round(n)
    await world.request()
    const died = await workAndDieAt(world, n)
    await after(n)
    await expectSums()
    await recover()
    try {
      expectInStep()
      await expectSums()
      await expectNothingOpen()
    } catch (error) {
      throw new Error(`after a death before transaction ${n}`, { cause: error })
    }
    if (!died) return n
  }
  throw new Error('A run of so few people has too many transactions.')
}

describe('a worker that dies before any of its transactions', () => {
  test('loses nobody, whatever it was about to write', async () => {
    await start()
    expect(await dieEverywhere(changePeople, () => {}, 1)).toBeGreaterThan(20)
  }, 300_000)

  test('loses nobody when the platform applies the removal half of a replacement before the successor comes', async () => {
    await start()
    await dieEverywhere(changePeople, () => world.settle())
  }, 300_000)

  test('loses nobody who leaves the behavior between the halves of their replacement', async () => {
    await start()
    await dieEverywhere(changePeople, async (n) => {
      await world.settle()
      world.behavior.leave(n % 2 === 0 ? 1 : 2)
      // The successor works on the same run first; what changed since is the next one's.
      await recover()
      await world.request()
    })
  }, 300_000)

  test('loses nobody in a split', async () => {
    await start({ rowsPerCall: 10 })
    const rounds = await dieEverywhere((n) => {
      changePeople(n)
      world.twin.fault({ kind: 'status', match: { path: '/users', method: 'POST' }, times: 1, status: 400, code: 100 })
    })
    expect(rounds).toBeGreaterThan(20)
  }, 300_000)

  test('loses nobody while an answer is lost', async () => {
    await start()
    await dieEverywhere((n) => {
      changePeople(n)
      world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users' }, times: 1 })
    })
  }, 300_000)
})

describe('a removal for privacy', () => {
  /** Everyone is there, the audience is paused: only privacy moves anything. */
  const everyoneThere = async (people: number) => {
    for (let no = 1; no <= people; no += 1) world.behavior.join(no)
    await world.request()
    await world.work()
    await world.settle()
    await world.database.admin(`UPDATE sync.audience SET paused_at = now(), status = 'paused'`)
  }

  test('R7: is done by the successor, whatever its worker was about to write when it died, though the audience is paused', async () => {
    await start()
    await everyoneThere(40)
    for (let n = 1; ; n += 1) {
      world.behavior.suppress(n)
      await world.suppressions()
      const died = await workAndDieAt(world, n)
      await recover()
      expect({ n, far: world.far() }).toEqual({ n, far: digests(({ email }) => [email ?? '']) })
      await expectNothingOpen()
      await expectSums()
      if (!died) break
    }
  }, 300_000)

  test.each(['throttle', 'apply_then_reset'] as const)('R7: is done after %s, though the audience is paused', async (kind) => {
    await start({ options: { patienceMs: 1, backoffMs: 60_000 } })
    await everyoneThere(2)
    world.behavior.suppress(1)
    await world.suppressions()
    world.twin.fault({ kind, delayMs: 60_000, match: { path: '/users', method: 'DELETE' }, times: 1 })
    await world.work()
    const [privacy] = await world.database.admin(`SELECT status FROM sync.run WHERE trigger = 'privacy'`)
    expect(privacy).toEqual({ status: 'waiting' })
    await recover()
    expect(world.far()).toEqual([sha256('p2@example.com')])
    await expectNothingOpen()
  })
})

describe('C3: rows of one person in two calls, which may not share one', () => {
  /** Somebody with two addresses, which go apart, and one more person. */
  async function startApart(): Promise<void> {
    await start()
    const { destination } = world.engine
    const second = sha256('b@example.com')
    Object.assign(world.engine, { destination: { ...destination, lane: (set: readonly string[]) => (set.includes(second) ? 'second' : '') } })
    world.behavior.join(1, { email: 'a@example.com', emails: ['b@example.com'] })
    world.behavior.join(2)
    await world.sync()
    expect(world.far()).toHaveLength(3)
  }

  test('of a replacement the first removal is refused and the second is not: the next run says the first again', async () => {
    await startApart()
    await world.database.admin('DELETE FROM sync.say_again') // a day later: that one address was added before the other is forgotten
    world.behavior.change(1, { identifiers: { email: 'c@example.com' } })
    world.twin.fault({ kind: 'status', match: { path: '/users', method: 'DELETE' }, times: 1, status: 400, code: 100 })
    await world.sync()
    await world.sync()
    expect(world.far()).toEqual(['c@example.com', 'p2@example.com'].map(sha256).sort())
    expect(await world.database.admin('SELECT FROM sync.todo')).toEqual([])
    await expectSums()
  })

  test('a worker that dies after the first of them has not said the person: the successor says the rest', async () => {
    await startApart()
    world.behavior.leave(1)
    await world.request()
    world.hooks.afterPush = async () => {
      delete world.hooks.afterPush
      await die(world)
    }
    await world.workOnce()
    await recover()
    expect(world.far()).toEqual([sha256('p2@example.com')])
    expect(await world.database.admin('SELECT FROM sync.todo')).toEqual([])
    await expectSums()
  })
})
