/** The rules of SYNC.md, each under its number. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestCancel, requestPause } from '../src/requests.ts'
import { emails, sha256 } from './people.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

let world: World
afterEach(() => world.close())
const start = async (options?: WorldOptions, ...members: number[]) => {
  world = await makeWorld(options)
  for (const no of members) world.behavior.join(no)
}
const cancel = (no: number) => world.engine.db.tenant(world.tenantId, (tx) => requestCancel(tx, no))
const sum = ({ accepted = 0, rejected = 0, failed = 0, cancelled = 0, unknown = 0, waiting = 0 }: Record<string, number>) =>
  accepted + rejected + failed + cancelled + unknown + waiting

describe('what was read and not done', () => {
  test('C3: changes behind the cursor of a cancelled run are said by the next one', async () => {
    await start({ rowsPerCall: 2 }, 1, 2, 3, 4, 5, 6)
    const first = await world.request()
    world.hooks.afterPush = async () => cancel(first)
    await world.work()
    const { status, counts } = await world.run(first)
    expect(status).toBe('cancelled')
    expect(counts.accepted).toBe(2)
    expect(sum(counts)).toBe(counts.planned)
    world.hooks.afterPush = async () => {}
    await world.sync()
    expect(world.far()).toEqual(emails(1, 2, 3, 4, 5, 6))
  })

  test.each(['is cancelled', 'pauses'])('C24: who waited for the quota when a run %s counts as cancelled, and is said by the next one', async (how) => {
    await start({}, 1, 2, 3)
    await world.sync()
    const joins = how === 'is cancelled'
    for (const no of joins ? [4, 5] : [1, 2]) joins ? world.behavior.join(no) : world.behavior.leave(no)
    world.twin.fault({ kind: 'throttle', delayMs: 60_000, match: { path: '/users' }, times: 1 })
    const no = await world.request()
    await world.work()
    expect(await world.run(no)).toMatchObject({ status: 'waiting', counts: { planned: 2, waiting: 2 } })
    if (joins) await cancel(no)
    else await world.engine.db.tenant(world.tenantId, (tx) => requestPause(tx, world.audienceNo, { code: 'audience_paused' }))
    await world.work()
    expect(await world.run(no)).toMatchObject({ status: 'cancelled', counts: { planned: 2, cancelled: 2, waiting: 0 } })
    await world.database.admin('UPDATE sync.audience SET paused_at = NULL; UPDATE sync.quota SET blocked_until = NULL')
    const next = await world.sync()
    expect((await world.run(next)).counts).toMatchObject(joins ? { planned: 2, added: 2 } : { planned: 2, removed: 2 })
    expect(world.far()).toEqual(joins ? emails(1, 2, 3, 4, 5) : emails(3))
  })

  test('C3: a person whom the platform refused is said again by a later run, until it takes them', async () => {
    await start({}, 1, 2, 3)
    world.twin.fault({ kind: 'reject_rows', match: { path: '/users' }, rows: 1, times: 1 })
    const first = await world.sync()
    expect(await world.run(first)).toMatchObject({ status: 'completed_with_rejections', counts: { planned: 3, accepted: 2, rejected: 1 } })
    const second = await world.sync()
    expect(await world.run(second)).toMatchObject({ status: 'completed', counts: { planned: 1, accepted: 1 } })
    expect(world.far()).toEqual(emails(1, 2, 3))
  })

  test('C24: whoever was refused by name and never taken counts as added when they are taken, however often they were refused', async () => {
    await start({}, 1, 2, 3)
    world.twin.fault({ kind: 'reject_rows', match: { path: '/users' }, rows: 1, times: 2 })
    await world.sync()
    expect(await world.run(await world.sync())).toMatchObject({ counts: { planned: 1, accepted: 0, rejected: 1 } })
    expect(await world.run(await world.sync())).toMatchObject({ counts: { planned: 1, accepted: 1, added: 1, replaced: 0 } })
    expect(world.far()).toEqual(emails(1, 2, 3))
  })

  test('C24 C1: whoever was taken before and refused in a change counts as replaced, and so does whose refused call had been sent twice', async () => {
    await start({}, 1)
    await world.sync()
    world.behavior.change(1, { identifiers: { email: 'second@example.com' } })
    world.twin.fault({ kind: 'reject_rows', match: { path: '/users', method: 'POST' }, rows: 1, times: 1 })
    await world.sync()
    expect(await world.run(await world.sync())).toMatchObject({ counts: { planned: 1, added: 0, replaced: 1 } })

    world.behavior.join(2)
    world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 1 })
    world.twin.fault({ kind: 'reject_rows', match: { path: '/users', method: 'POST' }, rows: 1, times: 1 })
    expect(await world.run(await world.sync())).toMatchObject({ counts: { planned: 1, rejected: 1 } })
    const { counts } = await world.run(await world.sync())
    expect(counts).toMatchObject({ planned: 1, added: 0, replaced: 1 })
  })

  test('C5: a run whose cause is still behind the horizon queues another', async () => {
    await start({}, 1)
    await world.sync()
    world.behavior.xmin = world.behavior.xid
    world.behavior.join(2)
    const early = await world.sync()
    expect((await world.run(early)).counts.planned).toBe(0)
    world.behavior.xmin = undefined
    await world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'queued'`)
    await world.work()
    await world.settle()
    expect(world.far()).toEqual(emails(1, 2))
  })

  test('C8: another history, or one that no longer reaches back, makes the next run full', async () => {
    await start({}, 1, 2)
    await world.sync()
    world.behavior.epoch = 'e2'
    world.behavior.people.delete(2)
    world.behavior.log.length = 0
    const healed = await world.sync()
    expect(await world.run(healed)).toMatchObject({ mode: 'full', counts: { removed: 1, unchanged: 1 } })
    expect(world.far()).toEqual(emails(1))
  })

  test('C9: the ledger keeps the fingerprint of what was fetched, not of what was planned', async () => {
    await start({}, 1)
    world.behavior.beforeFetch = () => world.behavior.change(1, { identifiers: { email: 'second@example.com' } })
    await world.sync()
    world.behavior.beforeFetch = undefined
    expect(world.far()).toEqual([sha256('second@example.com')])
    world.behavior.change(1, { identifiers: { email: 'p1@example.com' } })
    await world.sync()
    expect(world.far()).toEqual(emails(1))
  })

  test('C9: a new choice of identifiers makes the next run full and says everyone anew', async () => {
    await start({ identifiers: ['email'] })
    world.behavior.join(1, { email: 'p1@example.com', phone: '+14155550100' })
    await world.sync()
    expect(world.far('PHONE')).toEqual([])
    await world.database.admin(`UPDATE sync.audience SET identifiers = '{email,phone}', config_version = config_version + 1, full_reason = 'config_changed'`)
    const run = await world.sync()
    expect(await world.run(run)).toMatchObject({ mode: 'full', counts: { replaced: 1 } })
    expect(world.far('PHONE')).toEqual([sha256('14155550100')])
  })
})

describe('who may not be there', () => {
  test('C10: whoever opts out between fetch and commit is taken out before the batch is sent', async () => {
    await start({}, 1, 2)
    world.behavior.onFetch = async () => {
      world.behavior.onFetch = undefined
      world.behavior.suppress(1)
      await world.suppressions()
    }
    const run = await world.sync()
    expect(world.uploads().map(({ body }) => body.includes(emails(1)[0] ?? ''))).toEqual([false])
    expect(world.far()).toEqual(emails(2))
    const { counts } = await world.run(run)
    expect(counts).toMatchObject({ planned: 1, accepted: 1, suppressed: 1 })
  })

  test('C10: the suppression log is read by cursor: nothing is lost while the connector is away', async () => {
    await start({}, 1, 2, 3)
    await world.sync()
    for (const no of [1, 3]) world.behavior.suppress(no)
    await world.suppressions()
    await world.work()
    await world.settle()
    expect(world.far()).toEqual(emails(2))
    const [privacy] = await world.database.admin(`SELECT status FROM sync.run WHERE trigger = 'privacy'`)
    expect(privacy).toEqual({ status: 'completed' })
  })

  test('C10: a later consent counts: the person is sent again', async () => {
    await start({}, 1)
    await world.sync()
    world.behavior.suppress(1)
    await world.suppressions()
    await world.work()
    world.behavior.change(1, { allowed: 7 })
    await world.sync()
    expect(world.far()).toEqual(emails(1))
  })

  test('C12: an opted-out person is removed at once, though their addition is still unknown, and is not sent again', async () => {
    // The next try is a minute away, so that the opt-out comes in between.
    await start({ options: { backoffMs: 60_000 } }, 1, 2)
    world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 1 })
    await world.request()
    await world.work()
    const [unknown] = await world.database.admin(`SELECT state FROM sync.batch`)
    expect(unknown).toEqual({ state: 'unknown' })
    world.behavior.suppress(1)
    await world.suppressions()
    await world.work()
    await world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'waiting'`)
    await world.work()
    await world.settle()
    expect(world.far()).toEqual(emails(2))
    const methods = world.uploads().map(({ method }) => method)
    expect(methods.slice(0, 2)).toEqual(['POST', 'DELETE'])
    expect(
      world
        .uploads()
        .slice(1)
        .every(({ method, body }) => method === 'DELETE' || !body.includes(emails(1)[0] ?? '')),
    ).toBe(true)
  })

  test('C12: removals for privacy pass a pause', async () => {
    await start({}, 1, 2)
    await world.sync()
    await world.database.admin(`UPDATE sync.audience SET paused_at = now(), status = 'paused'`)
    world.behavior.suppress(2)
    await world.suppressions()
    await world.work()
    await world.settle()
    expect(world.far()).toEqual(emails(1))
  })

  test('C13: an objection to the CRM says nothing about ads', async () => {
    await start({}, 1)
    await world.sync()
    world.behavior.suppress(1, ['crm'])
    await world.suppressions()
    await world.sync()
    expect(world.far()).toEqual(emails(1))
  })

  test('C14: below the minimum only additions are withheld', async () => {
    await start({ minimumSize: 4, brake: { sharePercent: 100, minimum: 100 } }, 1, 2, 3, 4)
    await world.sync()
    for (const no of [1, 2, 3]) world.behavior.leave(no)
    world.behavior.join(5)
    await world.sync()
    expect(world.far()).toEqual(emails(4))
    expect(await world.audience()).toMatchObject({ too_small: true, status: 'paused', status_reason: { code: 'audience_too_small' } })
    for (const no of [6, 7]) world.behavior.join(no)
    await world.sync()
    expect(world.far()).toEqual(emails(4, 5, 6, 7))
    const crossings = await world.database.admin(
      `SELECT data ->> 'direction' AS direction FROM sync.history WHERE kind = 'size' AND data ? 'direction' ORDER BY no`,
    )
    expect(crossings.map(({ direction }) => direction)).toEqual(['below', 'above'])
  })
})

describe('who decides', () => {
  test('C15: a cancel during a call lets the call record its outcome, and the run ends cancelled', async () => {
    await start({ rowsPerCall: 1 }, 1, 2)
    const run = await world.request()
    world.hooks.beforePush = async () => cancel(run)
    await world.work()
    const { status, counts } = await world.run(run)
    expect(status).toBe('cancelled')
    expect(counts).toMatchObject({ accepted: 1, planned: 1 })
    const states = await world.database.admin(`SELECT DISTINCT state FROM sync.batch WHERE state IN ('sending', 'planned')`)
    expect(states).toEqual([])
  })

  test('C15: a cancel during the only call ends it cancelled, too, with what was taken, which is applied later', async () => {
    await start({}, 1, 2)
    const run = await world.request()
    world.hooks.beforePush = async () => cancel(run)
    await world.work()
    expect(await world.run(run)).toMatchObject({ status: 'cancelled', counts: { planned: 2, accepted: 2, applied: 0 } })
    expect(await world.audience()).toMatchObject({ status: 'pending' })
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'cancelled', counts: { planned: 2, accepted: 2, applied: 2 } })
    expect(await world.audience()).toMatchObject({ status: 'active' })
    expect((await world.run(await world.sync())).counts).toMatchObject({ planned: 0 })
    expect(world.far()).toEqual(emails(1, 2))
  })

  test('C15: a worker that lost its lease in a call writes nothing; its successor sends the same bytes', async () => {
    await start({}, 1, 2, 3)
    const run = await world.request()
    world.hooks.afterPush = async () => {
      world.hooks.afterPush = async () => {}
      await world.database.admin(`UPDATE sync.audience SET lease_epoch = lease_epoch + 1, lease_owner = 'another', lease_until = now() - interval '1 second'`)
    }
    await world.work()
    await world.work()
    await world.settle()
    const [first, second, ...more] = world.uploads()
    expect(more).toEqual([])
    expect(second?.body).toBe(first?.body)
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 3, accepted: 3, applied: 3 } })
    expect(world.far()).toEqual(emails(1, 2, 3))
  })

  test('C15: pausing ends the live run, and nothing is claimed while paused', async () => {
    await start({ rowsPerCall: 1 }, 1, 2, 3)
    const run = await world.request()
    world.hooks.afterPush = () => world.database.admin(`UPDATE sync.audience SET paused_at = coalesce(paused_at, now())`)
    await world.work()
    expect(await world.run(run)).toMatchObject({ status: 'cancelled', counts: { accepted: 1 } })
    const next = await world.request()
    await world.work()
    expect((await world.run(next)).status).toBe('cancelled')
    expect(world.uploads()).toHaveLength(1)
  })
})

describe('the far side', () => {
  test('C20: what the platform never confirms is slow after two days and unconfirmed after seven, and nothing else waits for it', async () => {
    await start({}, 1, 2)
    await world.sync()
    world.behavior.leave(1)
    // The person is gone already: the removal has no effect, and the platform's clock of changes never moves.
    const [audience] = world.twin.state().audiences
    await fetch(`${world.twin.url}/_twin/audiences/${audience?.id}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ operationStatus: 414 }),
    })
    const run = await world.request()
    await world.work()
    await world.settle()
    expect((await world.run(run)).status).toBe('applying')
    await world.database.admin(`UPDATE sync.batch SET accepted_at = accepted_at - interval '49 hours' WHERE state = 'accepted'`)
    await world.settle()
    expect(await world.audience()).toMatchObject({ status: 'pending', status_reason: { code: 'platform_slow' } })
    await world.database.admin(`UPDATE sync.batch SET accepted_at = accepted_at - interval '6 days' WHERE state = 'accepted'`)
    await world.settle()
    expect((await world.run(run)).status).toBe('completed')
    expect(await world.database.admin(`SELECT confirmed FROM sync.batch WHERE operation = 'remove'`)).toEqual([{ confirmed: false }])
  })
})

describe('counts', () => {
  test('C24: suppressed at the fetch leaves planned and enters suppressed', async () => {
    await start({}, 1, 2)
    world.behavior.beforeFetch = () => {
      world.behavior.beforeFetch = undefined
      world.behavior.suppress(2)
    }
    const run = await world.sync()
    expect((await world.run(run)).counts).toMatchObject({ planned: 1, accepted: 1, suppressed: 1 })
  })

  test('C24: a cancelled run ends with sync.cancelled, and its sums hold', async () => {
    await start({ rowsPerCall: 2 }, 1, 2, 3, 4, 5)
    const run = await world.request()
    world.hooks.afterPush = async () => cancel(run)
    await world.work()
    const { counts } = await world.run(run)
    expect(sum(counts)).toBe(counts.planned)
    const topics = await world.database.admin('SELECT topic FROM sync.outbox')
    expect(topics.map(({ topic }) => topic)).toContain('sync.cancelled')
    expect(topics.map(({ topic }) => topic)).not.toContain('sync.completed')
  })
})
