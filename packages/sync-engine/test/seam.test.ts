/**
 * The seam (SYNC.md, DESIGN.md §2): what the engine promises, promised on three platforms that have little in common. A new destination
 * joins by adding its side to the list.
 */
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestCancel } from '../src/requests.ts'
import { answersSide } from './destinations/answers.ts'
import { metaSide } from './destinations/meta.ts'
import { settlesSide } from './destinations/settles.ts'
import type { Side } from './destinations/side.ts'
import { address, upTo } from './people.ts'
import { type SidedWorld, type WorldOptions, worldAround } from './world.ts'

const EVERY_PURPOSE = ['ads', 'ads_ldu', 'crm'] as const

const sides: Record<string, () => Promise<Side>> = { meta: metaSide, answers: async () => answersSide(), settles: async () => settlesSide() }

describe.each(Object.keys(sides))('on %s', (name) => {
  let side: Side
  let world: SidedWorld
  afterEach(() => world.close())
  const start = async (options?: WorldOptions, ...members: number[]) => {
    side = (await sides[name]?.()) as Side
    world = await worldAround(side, options)
    for (const no of members) world.behavior.join(no)
  }
  const there = (...nos: number[]) => nos.map((no) => side.emailKey(address(no))).sort()
  const wakeUp = () => world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'waiting'; UPDATE sync.quota SET blocked_until = NULL`)
  const sumsHold = async (no: number) => {
    const { counts } = await world.run(no)
    const { planned, accepted, rejected, failed, cancelled, unknown, waiting, added, removed, replaced, applied } = counts as Record<string, number>
    const of = (...numbers: (number | undefined)[]) => numbers.reduce<number>((sum, n) => sum + (n ?? 0), 0)
    expect(planned).toBe(of(accepted, rejected, failed, cancelled, unknown, waiting))
    expect(accepted).toBe(of(added, removed, replaced))
    expect(applied ?? 0).toBeLessThanOrEqual(accepted ?? 0)
  }

  test('the far side becomes the behavior: additions, removals, and replacements under the old keys', async () => {
    await start({}, ...upTo(5))
    const first = await world.sync()
    expect(await world.run(first)).toMatchObject({ status: 'completed', counts: { planned: 5, added: 5, applied: 5 } })
    expect(side.members()).toEqual(there(...upTo(5)))
    world.behavior.leave(1)
    world.behavior.join(6)
    world.behavior.change(2, { identifiers: { email: 'new@example.com' } })
    const second = await world.sync()
    expect(await world.run(second)).toMatchObject({ status: 'completed', counts: { planned: 3, added: 1, removed: 1, replaced: 1, applied: 3 } })
    expect(side.members()).toEqual([...there(3, 4, 5, 6), side.emailKey('new@example.com')].sort())
    await sumsHold(second)
    const again = await world.sync('full')
    expect(await world.run(again)).toMatchObject({ status: 'completed', counts: { planned: 0, unchanged: 5 } })
  })

  test('C12, R10: whoever is gone is forgotten by the ledger, and no payload is kept', async () => {
    await start({}, 1, 2, 3)
    await world.sync()
    world.behavior.leave(1)
    await world.sync()
    expect(await world.database.admin('SELECT count(*)::int AS ledger, (SELECT count(*)::int FROM sync.batch_payload) AS payloads FROM sync.ledger')).toEqual([
      { ledger: 2, payloads: 0 },
    ])
  })

  test('S-5: an answer that was lost is asked for with the same bytes, and nobody is there twice', async () => {
    await start({}, 1, 2, 3)
    side.loseAnswers(2)
    const run = await world.sync()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 3, accepted: 3, unknown: 0 } })
    expect(side.uploads()).toHaveLength(3)
    expect(new Set(side.uploads().map(({ body }) => body)).size).toBe(1)
    expect(side.members()).toEqual(there(1, 2, 3))
    expect(side.audiences()).toBe(1)
  })

  test('one bad row: it alone is refused, and tried again in a later run', async () => {
    await start({}, ...upTo(16))
    await world.sync()
    for (const no of upTo(16)) world.behavior.join(no + 16)
    side.refuse(address(20))
    const run = await world.sync()
    expect(await world.run(run)).toMatchObject({ status: 'completed_with_rejections', counts: { planned: 16, accepted: 15, rejected: 1 } })
    expect(side.members()).toEqual(there(...upTo(32).filter((no) => no !== 20)))
    await sumsHold(run)
    const later = await world.sync()
    expect((await world.run(later)).counts).toMatchObject({ planned: 1, rejected: 1 })
    expect(await world.database.admin('SELECT DISTINCT customer_no AS no, code FROM sync.rejection')).toEqual([{ no: 20, code: expect.any(String) }])
  })

  test('a used up quota lets the run wait, and costs nobody', async () => {
    await start({}, 1, 2)
    side.throttle()
    const run = await world.request()
    await world.work()
    expect(await world.run(run)).toMatchObject({ status: 'waiting', wait_reason: { code: 'platform_throttled' } })
    expect(await world.audience()).toMatchObject({ status: 'rate_limited' })
    await wakeUp()
    await world.work()
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 2, accepted: 2 } })
  })

  test('a token that was rotated meanwhile is asked for anew, and nobody is bothered', async () => {
    await start({ rowsPerCall: 1 }, 1, 2, 3)
    world.hooks.afterPush = async () => {
      world.hooks.afterPush = async () => {}
      side.rotateToken()
    }
    const run = await world.sync()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { accepted: 3 } })
    expect(world.reports).toEqual([])
    expect(side.members()).toEqual(there(1, 2, 3))
  })

  test('a token that is dead is reported once, and the run waits for a new connection', async () => {
    await start({}, 1)
    world.hooks.beforePush = async () => side.killToken()
    const run = await world.request()
    await world.work()
    expect(await world.run(run)).toMatchObject({ status: 'waiting', wait_reason: { code: 'connection_expired' } })
    expect(world.reports).toEqual(['token_dead'])
  })

  test('R7: an opt-out removes at once, whatever the schedule says', async () => {
    await start({}, 1, 2)
    await world.sync()
    world.behavior.suppress(1, [...EVERY_PURPOSE])
    await world.suppressions()
    await world.work()
    await world.settle()
    expect(side.members()).toEqual(there(2))
  })

  test('C3: a cancelled run loses nobody', async () => {
    await start({ rowsPerCall: 1 }, ...upTo(4))
    const run = await world.request()
    world.hooks.afterPush = () => world.engine.db.tenant(world.tenantId, (tx) => requestCancel(tx, run))
    await world.work()
    expect(await world.run(run)).toMatchObject({ status: 'cancelled' })
    await sumsHold(run)
    world.hooks.afterPush = async () => {}
    await world.sync()
    expect(side.members()).toEqual(there(...upTo(4)))
  })

  test('an audience that we made is deleted there, and the ledger forgets its people', async () => {
    await start({}, 1, 2)
    await world.sync()
    await world.database.admin(`UPDATE sync.audience SET delete_requested_at = now(), status = 'deleting'`)
    await world.work()
    expect(side.audiences()).toBe(0)
    expect(await world.database.admin('SELECT count(*)::int AS n FROM sync.ledger')).toEqual([{ n: 0 }])
  })

  test('25 people chosen at random in 25 runs with lost answers end exactly as the behavior says', async () => {
    await start({ rowsPerCall: 3, brake: { sharePercent: 100, minimum: 1000 } })
    let seed = 11
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31
      return seed % below
    }
    for (let round = 0; round < 25; round += 1) {
      for (let change = random(6); change >= 0; change -= 1) {
        const no = 1 + random(25)
        if (random(3) === 0) world.behavior.leave(no)
        else world.behavior.join(no, { email: `p${no}-${random(3)}@example.com` })
      }
      if (random(4) === 0) side.loseAnswers(1)
      await sumsHold(await world.sync())
    }
    const wanted = [...world.behavior.people.values()].filter(({ member }) => member).map(({ identifiers }) => side.emailKey(identifiers.email ?? ''))
    expect(side.members()).toEqual(wanted.sort())
  }, 180_000)
})
