/** What a hostile reading of the workers found, each once: SYNC.md C5, C9, C10, C13, C15, C24. */
import { until } from '@audience-sync/testing/until'
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestCancel, requestPause, requestPrivacyRun } from '../src/requests.ts'
import { settleOne } from '../src/settle.ts'
import { emails, sha256 } from './people.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

let world: World
afterEach(() => world.close())
const start = async (options?: WorldOptions, ...members: number[]) => {
  world = await makeWorld(options)
  for (const no of members) world.behavior.join(no)
}
const wakeUp = () => world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'waiting'; UPDATE sync.quota SET blocked_until = NULL`)

/** Another transaction waits for a lock of this one. */
const someoneWaits = () =>
  until('a lock is waited for', async () =>
    (await world.database.admin(`SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)).at(0),
  )

describe('a batch whose answer was lost', () => {
  test('C9: is sent again as it was, though another choice of identifiers was made meanwhile', async () => {
    await start({ identifiers: ['email'], options: { backoffMs: 60_000 } })
    world.behavior.join(1, { email: 'p1@example.com', phone: '+14155550100' })
    world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 1 })
    await world.submit()
    await world.database.admin(`UPDATE sync.audience SET identifiers = '{email,phone}', config_version = config_version + 1, full_reason = 'config_changed'`)
    await wakeUp()
    await world.work()
    await world.settle()
    const [first, again] = world.uploads()
    expect(again?.body).toBe(first?.body)
    await world.sync()
    expect(world.far('PHONE')).toEqual([sha256('14155550100')])
    expect(await world.database.admin(`SELECT status FROM sync.run WHERE status = 'failed'`)).toEqual([])
  })

  test('C24: and that may not be sent again because of an opt-out counts as unknown: the sums hold', async () => {
    await start({ options: { backoffMs: 60_000 } }, 1, 2)
    world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 1 })
    const run = await world.submit()
    world.behavior.suppress(1)
    await world.suppressions()
    await wakeUp()
    await world.work()
    const { counts } = await world.run(run)
    const { planned = 0, accepted = 0, rejected = 0, failed = 0, cancelled = 0, unknown = 0, waiting = 0 } = counts
    expect(unknown).toBe(2)
    expect(accepted + rejected + failed + cancelled + unknown + waiting).toBe(planned)
  })
})

describe('an opt-out', () => {
  test('C10: that was taken back before its reader came leaves the person where they are', async () => {
    await start({}, 1, 2)
    await world.sync()
    world.behavior.suppress(1)
    world.behavior.change(1, { allowed: 7 })
    await world.sync()
    await world.suppressions()
    await world.work()
    await world.settle()
    expect(world.far()).toEqual(emails(1, 2))
  })

  test('C13: from ads counts, though one from the CRM follows it in the same page of the log', async () => {
    await start({}, 1, 2)
    await world.sync()
    world.behavior.suppress(1, ['ads', 'ads_ldu'])
    world.behavior.suppress(1, ['crm'])
    world.behavior.change(1, { allowed: 0 })
    await world.suppressions()
    await world.work()
    await world.settle()
    expect(world.far()).toEqual(emails(2))
  })

  test('C13: from ads voids a fetch from before it, though one from the CRM was read after it', async () => {
    await start({}, 1, 2)
    world.behavior.onFetch = async () => {
      world.behavior.onFetch = undefined
      world.behavior.suppress(1)
      await world.suppressions()
      world.behavior.suppress(1, ['crm'])
      world.behavior.change(1, { allowed: 0 })
      await world.suppressions()
    }
    await world.sync()
    expect(world.uploads().some(({ body }) => body.includes(emails(1)[0] ?? ''))).toBe(false)
  })

  test('R7: that comes while a run for privacy is ending is in it, or gets one of its own', async () => {
    await start({}, 1, 2, 3)
    await world.sync()
    world.behavior.suppress(1)
    await world.suppressions()
    // After the removal of 1 was accepted, and before its run ends.
    world.hooks.afterPush = async () => {
      world.hooks.afterPush = async () => {}
      world.behavior.suppress(2)
      await world.suppressions()
    }
    await world.work()
    await world.settle()
    expect(world.far()).toEqual(emails(3))
  })

  test('R7: cannot fall between the last look of an ending run and its end', async () => {
    await start({}, 1)
    await world.sync()
    const [audience] = await world.database.admin<{ ref: never }>(
      `SELECT json_build_object('no', no, 'id', id, 'tenantId', tenant_id, 'destination', destination, 'destinationNo', destination_no) AS ref FROM sync.audience`,
    )
    const { ref } = audience ?? ({} as never)
    await world.engine.db.tenant(world.tenantId, (tx) => requestPrivacyRun(tx, ref))
    // The reader has found the run open and not committed yet: the run may not end before it has.
    const order: string[] = []
    const { ending } = await world.engine.db.tenant(world.tenantId, async (tx) => {
      await requestPrivacyRun(tx, ref)
      const ending = world.database.admin(`UPDATE sync.run SET status = 'completed' WHERE trigger = 'privacy'`).then(() => order.push('ended'))
      await someoneWaits()
      order.push('read')
      return { ending }
    })
    await ending
    expect(order).toEqual(['read', 'ended'])
  })
})

describe('a wish to stop', () => {
  const unknownBatch = async () => {
    await start({ options: { backoffMs: 60_000 } }, 1)
    world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 5 })
    const run = await world.submit()
    return run
  }

  test('C15: does not shorten the pauses between the tries of a batch whose outcome is unknown', async () => {
    const run = await unknownBatch()
    await world.engine.db.tenant(world.tenantId, (tx) => requestCancel(tx, run))
    await world.work()
    await world.work()
    // One more for the wish itself; then it waits like any other.
    expect(world.uploads()).toHaveLength(2)
    expect(await world.run(run)).toMatchObject({ status: 'waiting' })
  })

  test('C15: of a pause, too', async () => {
    const run = await unknownBatch()
    await world.engine.db.tenant(world.tenantId, (tx) => requestPause(tx, world.audienceNo, null))
    await world.work()
    await world.work()
    expect(world.uploads()).toHaveLength(2)
    await world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'waiting'`)
    expect(await world.run(run)).toMatchObject({ status: 'waiting' })
  })
})

test('C5: somebody who joins between counting and acting of a first run is said, though nobody was counted', async () => {
  await start({})
  const feed = world.behavior.feed()
  let looks = 0
  const engine = world.engine as { feed: unknown }
  engine.feed = () => ({
    ...feed,
    members: (after: number) => {
      looks += 1
      if (looks === 2) world.behavior.join(1)
      return feed.members(after)
    },
  })
  const run = await world.sync()
  expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { accepted: 1 } })
  expect(world.far()).toEqual(emails(1))
})

test('what is accepted while the settler looks is looked at again', async () => {
  await start({}, 1)
  await world.sync()
  world.behavior.join(2)
  await world.submit()
  const worker = world.database.as('connector_meta')
  let transactions = 0
  let accepting: Promise<unknown> | undefined
  // The settler's last transaction; a worker's has begun before it and commits while it waits.
  world.hooks.beforeTransaction = async () => {
    transactions += 1
    if (transactions !== 3) return
    let begun = () => {}
    const started = new Promise<void>((resolve) => {
      begun = resolve
    })
    accepting = worker.tenant(world.tenantId, async (tx) => {
      await tx.query('SELECT FROM audience WHERE no = $1 FOR NO KEY UPDATE', [world.audienceNo])
      await tx.query(`UPDATE batch SET state = 'accepted' WHERE no = (SELECT min(no) FROM batch)`)
      begun()
      await someoneWaits()
    })
    await started
  }
  world.twin.clock.advance(5_000)
  await world.database.admin('UPDATE sync.audience SET settle_at = now()')
  await settleOne(world.engine, new AbortController().signal)
  await accepting
  expect((await world.audience()).settle_at).not.toBeNull()
})

test('a deleted audience keeps nothing that could be sent', async () => {
  await start({ options: { backoffMs: 60_000 } }, 1)
  world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 5 })
  await world.submit()
  await world.database.admin(`UPDATE sync.audience SET delete_requested_at = now(), status = 'deleting'; UPDATE sync.run SET not_before = NULL`)
  await world.work()
  expect((await world.audience()).deleted_at).not.toBeNull()
  expect(await world.database.admin('SELECT batch_no FROM sync.batch_payload')).toEqual([])
})

test('an adopted audience that is let go of stays at the platform, without our people', async () => {
  await start({}, 1, 2)
  await world.sync()
  await world.database.admin(`UPDATE sync.audience SET adopted = true, delete_requested_at = now(), status = 'deleting'`)
  await world.work()
  world.twin.clock.advance(5_000)
  expect(world.far()).toEqual([])
  expect(world.twin.state().audiences.map(({ deleted }) => deleted)).toEqual([false])
  expect((await world.audience()).deleted_at).not.toBeNull()
})
