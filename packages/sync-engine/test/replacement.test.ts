/** The whole list anew (SYNC.md C21): the real adapter against the strict twin, which refuses whatever breaks the platform's rules. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { settleOne } from '../src/settle.ts'
import { requestRepeats } from '../src/worker/repeat.ts'
import { die, workAndDieAt } from './death.ts'
import { APP } from './destinations/meta.ts'
import { sha256 } from './people.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

const MINUTE = 60_000

let world: World
afterEach(() => world.close())

const SETTINGS = { settings: { fullRefresh: 'replace' }, brake: { sharePercent: 100, minimum: 100 }, businessId: '2000000000000001', rowsPerCall: 2 }

/** People 1 … n are there, and nothing is open. */
async function start(people = 6, options: WorldOptions = {}): Promise<void> {
  world = await makeWorld({ ...SETTINGS, ...options })
  for (let no = 1; no <= people; no += 1) world.behavior.join(no)
  await world.sync()
}

/** A token that outlives the replacement. */
async function speakForever(): Promise<void> {
  const redirectUri = 'http://127.0.0.1:8080/v1/oauth/meta/callback'
  const dialog = new URL(`${world.twin.url}/v26.0/dialog/oauth`)
  const of = { client_id: APP.appId, redirect_uri: redirectUri }
  dialog.search = new URLSearchParams({
    ...of,
    state: 's',
    response_type: 'code',
    config_id: '1000000000000100',
    override_default_response_type: 'true',
  }).toString()
  const code = new URL(world.twin.authorize(dialog.href)).searchParams.get('code') ?? ''
  const exchange = new URL(`${world.twin.url}/v26.0/oauth/access_token`)
  exchange.search = new URLSearchParams({ ...of, client_secret: APP.appSecret, code }).toString()
  const { access_token: accessToken } = (await (await fetch(exchange)).json()) as { access_token: string }
  const { get } = world.engine.grants
  world.engine.grants.get = async (tenantId, accountId) => ({ ...(await get(tenantId, accountId)), accessToken })
}

const calls = (part: string) => world.twin.journal().filter(({ method, path }) => method !== 'GET' && path.split('?')[0]?.endsWith(part))
const replaces = () => calls('/usersreplace')
const body = (call: { body: unknown }) =>
  (typeof call.body === 'string' ? JSON.parse(call.body) : call.body) as { session: { session_id: number; batch_seq: number; last_batch_flag: boolean } }
const seqs = () => replaces().map((call) => body(call).session.batch_seq)
const wanted = () =>
  [...world.behavior.people.values()]
    .filter(({ member, allowed }) => member && allowed & 1)
    .map(({ identifiers }) => sha256(identifiers.email ?? ''))
    .sort()
const ledger = async () => (await world.database.admin<{ no: number }>('SELECT customer_no AS no FROM sync.ledger ORDER BY 1')).map(({ no }) => Number(no))
const due = () =>
  world.database.admin(
    `UPDATE sync.run SET not_before = NULL WHERE status IN ('waiting', 'queued'); UPDATE sync.quota SET blocked_until = NULL, paced_until = NULL`,
  )
const members = () => [...world.behavior.people.values()].filter(({ member, allowed }) => member && allowed & 1).map(({ no }) => no)

async function expectInStep(): Promise<void> {
  expect(world.far()).toEqual(wanted())
  expect(await ledger()).toEqual(members())
  expect(await world.database.admin(`SELECT no, state FROM sync.batch WHERE state IN ('planned', 'sending', 'unknown', 'accepted')`)).toEqual([])
  expect(await world.database.admin('SELECT batch_no FROM sync.batch_payload')).toEqual([])
  expect(await world.database.admin('SELECT customer_no, reason FROM sync.todo')).toEqual([])
  expect(await world.audience()).toMatchObject({ replacing: null })
  for (const { no } of await world.database.admin<{ no: number }>('SELECT no FROM sync.run')) {
    const { planned = 0, accepted = 0, rejected = 0, failed = 0, cancelled = 0, unknown = 0, waiting = 0 } = (await world.run(no)).counts
    expect({ no, planned }).toEqual({ no, planned: accepted + rejected + failed + cancelled + unknown + waiting })
  }
}

/** One of each: gone, changed, come; the rest stays. */
function change(): void {
  world.behavior.leave(1)
  world.behavior.join(2, { email: 'changed@example.com' })
  world.behavior.join(7)
}

describe('a replacement of the whole list', () => {
  test('C21: is one session, in order from 1, its last call marked, with no call beside it, and ends with what is desired', async () => {
    await start()
    change()
    const before = calls('/users').length
    const run = await world.sync('full')
    expect(seqs()).toEqual([1, 2, 3])
    expect(new Set(replaces().map((call) => body(call).session.session_id)).size).toBe(1)
    expect(replaces().map((call) => body(call).session.last_batch_flag)).toEqual([false, false, true])
    expect(calls('/users')).toHaveLength(before)
    await expectInStep()
    // Of everybody who was sent, those count who changed; the others are unchanged.
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 3, added: 1, replaced: 1, removed: 1, applied: 3, unchanged: 4 } })
    // The next run finds nothing to do, and the changed one is removed by what they have now.
    const next = await world.sync('full')
    expect(await world.run(next)).toMatchObject({ counts: { planned: 0, unchanged: 6 } })
    world.behavior.leave(2)
    await world.sync()
    await expectInStep()
  })

  test('C21: is not begun while something is unapplied: then people are added and removed', async () => {
    await start()
    change()
    await world.request()
    await world.work()
    world.behavior.leave(3)
    await world.request('full')
    await world.work()
    expect(replaces()).toHaveLength(0)
    await world.settle()
    expect(world.far()).toEqual(wanted())
  })

  test.each<[string, string]>([
    ['an adopted audience', 'UPDATE sync.audience SET adopted = true'],
    ['one whose settings say never', `UPDATE sync.audience SET settings = '{"fullRefresh":"add_and_remove"}'`],
    ['a small difference', `UPDATE sync.audience SET settings = '{}'`],
  ])('C21: is not made of %s', async (_what, sql) => {
    await start()
    await world.database.admin(sql)
    change()
    await world.sync('full')
    expect(replaces()).toHaveLength(0)
    expect(world.far()).toEqual(wanted())
  })

  test('C16, C21: is not begun within a day of an addition that was sent twice: its first sending may still land', async () => {
    await start()
    world.behavior.join(7)
    world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 1 })
    await world.sync()
    await due()
    await world.work()
    await world.settle()
    world.behavior.leave(7)
    await world.sync('full')
    expect(replaces()).toHaveLength(0)
    await world.database.admin(
      `UPDATE sync.batch SET sent_at = sent_at - interval '25 hours', accepted_at = accepted_at - interval '25 hours'; DELETE FROM sync.say_again`,
    )
    world.behavior.leave(6)
    await world.sync('full')
    await world.settle()
    expect(replaces().length).toBeGreaterThan(0)
    expect(world.far()).toEqual(wanted())
  })

  test('C21: of which nobody is left to be in the list was not said: the run removes one by one', async () => {
    await start(3)
    world.behavior.join(4)
    world.behavior.beforeFetch = () => {
      world.behavior.beforeFetch = undefined
      for (const no of [1, 2, 3, 4]) world.behavior.leave(no)
    }
    await world.sync('full')
    await due()
    await world.work()
    await world.settle()
    expect(replaces()).toHaveLength(0)
    await expectInStep()
    expect(world.far()).toEqual([])
  })

  test('C21: is not made where opt-outs could not go to the whole account', async () => {
    world = await makeWorld({ settings: SETTINGS.settings, brake: SETTINGS.brake, rowsPerCall: 2 })
    for (const no of [1, 2, 3]) world.behavior.join(no)
    await world.sync()
    world.behavior.leave(1)
    await world.sync('full')
    expect(replaces()).toHaveLength(0)
    expect(world.far()).toEqual(wanted())
  })

  test('R6, C17: its implicit removals are counted by the brake, before anything is sent and afterwards', async () => {
    await start(6, { brake: { sharePercent: 40, minimum: 1 } })
    for (const no of [1, 2, 3]) world.behavior.leave(no)
    const run = await world.request('full')
    await world.work()
    expect(await world.run(run)).toMatchObject({ status: 'held' })
    expect(replaces()).toHaveLength(0)
    for (const no of [1, 2]) world.behavior.join(no)
    await world.database.admin(`UPDATE sync.run SET cancel_requested_at = now(), not_before = NULL WHERE no = $1`, [run])
    await world.work()
    const next = await world.sync('full')
    expect(await world.run(next)).toMatchObject({ status: 'completed', counts: { removed: 1 } })
    expect(replaces().length).toBeGreaterThan(0)
    for (const no of [4, 5]) world.behavior.leave(no)
    const third = await world.request('full')
    await world.work()
    expect(await world.run(third)).toMatchObject({ status: 'held', hold: { before: 1, removals: 2 } })
  })

  test('C17: who would cross the brake at the fetch is kept as they were, and left to the next run', async () => {
    await start(6, { brake: { sharePercent: 20, minimum: 1 } })
    world.behavior.join(7)
    world.behavior.beforeFetch = () => {
      for (const no of [1, 2, 3]) world.behavior.change(no, { identifiers: {} })
    }
    const run = await world.sync('full')
    world.behavior.beforeFetch = undefined
    expect(seqs().length).toBeGreaterThan(0)
    // Nothing was to be removed, so nobody may be: the three stay.
    expect(await world.run(run)).toMatchObject({ counts: { added: 1, removed: 0 } })
    expect(world.far()).toHaveLength(7)
    await world.request()
    await world.work()
    expect(await world.audience()).toMatchObject({ status: 'held', status_reason: { code: 'audience_held' } })
  })

  test('R7, C21: an opt-out in the middle goes to the whole account at once, and again after the end', async () => {
    await start()
    change()
    let pushes = 0
    world.hooks.afterPush = async () => {
      pushes += 1
      if (pushes !== 1) return
      // Somebody who was sent already, and somebody who was not.
      world.behavior.suppress(2)
      world.behavior.suppress(6)
      await world.suppressions()
    }
    const before = calls('/users').length
    await world.request('full')
    await world.work()
    delete world.hooks.afterPush
    const optOuts = () => calls('/usersofanyaudience')
    // Two calls, because both of the first one's identifiers may be there.
    expect(optOuts()).toHaveLength(2)
    expect(optOuts()[1]?.seq).toBeLessThan(replaces()[1]?.seq ?? 0)
    expect(calls('/users')).toHaveLength(before)
    for (let i = 0; i < 3; i += 1) {
      await world.settle()
      await requestRepeats(world.engine)
      await world.work()
    }
    expect(optOuts().length).toBeGreaterThan(2)
    expect(world.far()).toEqual(wanted())
    expect(members()).not.toContain(2)
  })

  test('C4, C21: who consents again in the middle, after an opt-out in the middle, is said again: its removal may be applied after the new list', async () => {
    await start()
    change()
    world.hooks.afterPush = async () => {
      world.hooks.afterPush = async () => {
        delete world.hooks.afterPush
        world.behavior.change(6, { allowed: 7 })
      }
      await die(world)
    }
    await world.request('full')
    await world.workOnce()
    world.behavior.suppress(6)
    await world.suppressions()
    await world.work()
    expect(calls('/usersofanyaudience').length).toBeGreaterThan(0)
    expect(await world.database.admin('SELECT customer_no FROM sync.say_again WHERE customer_no = 6')).toHaveLength(1)
  })

  test('C15: a pause and a cancellation are heeded at its end, because half a list is a list cut short', async () => {
    await start()
    change()
    world.hooks.afterPush = async () => {
      delete world.hooks.afterPush
      await world.database.admin(`UPDATE sync.audience SET paused_at = now(); UPDATE sync.run SET cancel_requested_at = now() WHERE status = 'running'`)
    }
    const run = await world.request('full')
    await world.work()
    await world.settle()
    expect(seqs()).toEqual([1, 2, 3])
    expect(world.far()).toEqual(wanted())
    expect(await world.run(run)).toMatchObject({ status: 'cancelled', counts: { unknown: 0, failed: 0, cancelled: 0 } })
    await world.database.admin('UPDATE sync.audience SET paused_at = NULL')
    expect((await world.run(await world.sync())).counts).toMatchObject({ planned: 0 })
  })
})

describe('a replacement that meets trouble', () => {
  const lose = (times = 1) => world.twin.fault({ kind: 'apply_then_reset', match: { path: '/usersreplace' }, times })

  test('C21: the first call is never resent blindly: the status is read, and says that it has arrived', async () => {
    await start()
    change()
    lose()
    await world.request('full')
    await world.work()
    expect(seqs()).toEqual([1, 2, 3])
    await world.settle()
    await expectInStep()
  })

  test('C11, C21: nor given up for an opt-out meanwhile, where the status says that it has arrived', async () => {
    await start()
    change()
    lose()
    world.hooks.beforePush = async () => {
      delete world.hooks.beforePush
      world.behavior.suppress(2)
      await world.suppressions()
    }
    const run = await world.request('full')
    await world.work()
    expect(seqs()).toEqual([1, 2, 3])
    for (let i = 0; i < 3; i += 1) {
      await world.settle()
      await requestRepeats(world.engine)
      await world.work()
    }
    expect(await world.run(run)).toMatchObject({ status: 'completed' })
    expect(world.far()).toEqual(wanted())
    expect(members()).not.toContain(2)
  })

  test('C21: the first call is sent again where the platform has not seen it', async () => {
    await start()
    change()
    world.twin.fault({ kind: 'hang', match: { path: '/usersreplace' }, times: 1 })
    await world.request('full')
    await world.work()
    await due()
    await world.work()
    expect(seqs()).toEqual([1, 1, 2, 3])
    await world.settle()
    await expectInStep()
  }, 180_000)

  test('C21: the last call, made again, was taken when the platform says that it has finished', async () => {
    await start()
    change()
    let pushes = 0
    world.hooks.afterPush = async () => {
      pushes += 1
      if (pushes === 2) lose()
    }
    const run = await world.request('full')
    await world.work()
    expect(seqs()).toEqual([1, 2, 3, 3])
    await world.settle()
    await expectInStep()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 3, applied: 3 } })
  })

  test('C20, C21: a list of one call whose answer is lost is applied, and sent once', async () => {
    let ahead = 0
    await start(6, { rowsPerCall: 100, clock: { aheadMs: () => ahead, sleep: async () => {} } })
    change()
    lose()
    const run = await world.request('full')
    world.hooks.beforeTransaction = async () => {
      // The platform is done with it before anybody looks.
      if (replaces().length === 0) return
      world.twin.clock.advance(2_000)
      ahead += 2_000
    }
    await world.work()
    delete world.hooks.beforeTransaction
    await world.settle()
    expect(seqs()).toEqual([1])
    await expectInStep()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 3, applied: 3 } })
  })

  test('C21: later calls are sent again as they were', async () => {
    await start()
    change()
    world.hooks.afterPush = async () => {
      delete world.hooks.afterPush
      lose()
    }
    await world.request('full')
    await world.work()
    expect(seqs()).toEqual([1, 2, 2, 3])
    const [, second, again] = replaces()
    expect(JSON.stringify(second?.body)).toBe(JSON.stringify(again?.body))
    await world.settle()
    await expectInStep()
  })

  test('C21: past its ninety minutes everybody is unknown, and is added and removed when the platform has finished', async () => {
    let ahead = 0
    await start(6, { clock: { aheadMs: () => ahead, sleep: async () => {} } })
    await speakForever()
    change()
    world.hooks.afterPush = async () => {
      delete world.hooks.afterPush
      ahead = 91 * MINUTE
      world.twin.clock.advance(91 * MINUTE)
    }
    const run = await world.request('full')
    await world.work()
    expect(await world.database.admin('SELECT DISTINCT state FROM sync.batch WHERE run_no = $1 AND manner = $2', [run, 'replace'])).toEqual([
      { state: 'abandoned' },
    ])
    expect(seqs()).toEqual([1])
    for (let i = 0; i < 3; i += 1) {
      await due()
      await world.work()
      await world.settle()
    }
    expect(seqs()).toEqual([1])
    expect(world.far()).toEqual(wanted())
    expect(await ledger()).toEqual(members())
    expect((await world.run(run)).finished_at).not.toBeNull()
  }, 180_000)

  test('C21: one that the platform refuses before it begins leaves everybody as they were, and the same run adds and removes', async () => {
    await start()
    change()
    world.twin.fault({ kind: 'status', match: { path: '/usersreplace' }, times: 1, status: 400, code: 2650, subcode: 1870144 })
    const run = await world.sync('full')
    await world.settle()
    expect(seqs()).toEqual([1])
    expect(world.far()).toEqual(wanted())
    // Beside the three who changed, the one who stood unchanged in the refused call.
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 4, added: 1, removed: 1, replaced: 2, unknown: 0 } })
  })

  test('C21: one that the platform gives up makes everybody unknown, and they are said one by one', async () => {
    await start()
    change()
    const run = await world.request('full')
    await world.work()
    const [{ id } = { id: '' }] = world.twin.state().audiences
    await fetch(`${world.twin.url}/_twin/audiences/${id}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ operationStatus: 415 }),
    })
    await world.database.admin('UPDATE sync.audience SET settle_at = now()')
    await settleOne(world.engine, new AbortController().signal)
    expect(await world.run(run)).toMatchObject({ status: 'failed', error: { code: 'replacement_failed' } })
    expect(await world.database.admin(`SELECT DISTINCT reason FROM sync.todo`)).toEqual([{ reason: 'unknown' }])
    await fetch(`${world.twin.url}/_twin/audiences/${id}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ operationStatus: 200 }),
    })
    world.twin.clock.advance(10_000)
    for (let i = 0; i < 2; i += 1) {
      await due()
      await world.work()
      await world.settle()
    }
    expect(replaces()).toHaveLength(3)
    expect(world.far()).toEqual(wanted())
  })

  test('a refused removal is made good by a new list, with the next full run', async () => {
    await start(6, { settings: {} })
    world.twin.fault({ kind: 'too_small', match: { method: 'DELETE', path: '/users' }, times: 1 })
    world.behavior.leave(1)
    await world.sync()
    await world.settle()
    expect(await world.audience()).toMatchObject({ status: 'held', status_reason: { code: 'removal_refused' } })
    await due()
    await world.work()
    await world.settle()
    expect(replaces()).toHaveLength(3)
    await expectInStep()
    expect(await world.audience()).toMatchObject({ status: 'active' })
  })
})

describe('a worker that dies in a replacement', () => {
  test('S-4, S-5, C21: before any of its transactions, among them the one between the first call and its record, loses nobody', async () => {
    await start()
    for (let n = 1, died = true; died; n += 1) {
      world.behavior[n % 2 ? 'leave' : 'join'](1)
      world.behavior.join(2, { email: `changed${n}@example.com` })
      await world.request('full')
      died = await workAndDieAt(world, n)
      for (let i = 0; i < 4; i += 1) {
        await due()
        await world.work()
      }
      await world.settle()
      await due()
      await world.work()
      await world.settle()
      try {
        await expectInStep()
      } catch (error) {
        throw new Error(`after a death before transaction ${n}`, { cause: error })
      }
      if (n > 100) throw new Error('A replacement of so few people has too many transactions.')
    }
    expect(seqs().length).toBeGreaterThan(20)
  }, 300_000)
})
