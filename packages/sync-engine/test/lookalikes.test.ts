/** Similar audiences, against the strict twin: made once, of a seed that is ready. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestPause, requestResume } from '../src/requests.ts'
import type { LookalikeRow } from '../src/store/lookalikes.ts'
import { asTenant, CREATE, change, creates, farIds, giveUp, look, MADE, PEOPLE, read, start, wish, world } from './lookalike-world.ts'

afterEach(() => world.close())

describe('a lookalike waits for its seed', () => {
  test('until the seed is exported and everything is applied, and says for what', async () => {
    await start()
    const row = await wish()
    await world.work()
    expect(await read(row)).toMatchObject({ status: 'pending', status_reason: { code: 'seed_not_exported' } })
    await world.request()
    await world.work()
    await look()
    expect(await read(row)).toMatchObject({ status: 'pending', status_reason: { code: 'seed_not_ready' } })
    expect(creates()).toHaveLength(0)
    // Its seed being applied wakes it: nobody makes it due.
    await world.settle()
    await world.work()
    expect(await read(row)).toMatchObject({ status: MADE, external_id: expect.any(String), attempts: 1 })
    await look()
    expect(creates()).toHaveLength(1)
  })

  test('with too few people nothing is asked of the platform; a later crowd is enough', async () => {
    await start({}, 60)
    await world.sync()
    const row = await wish()
    const calls = world.twin.journal().length
    await world.work()
    expect(await read(row)).toMatchObject({ status: 'pending', status_reason: { code: 'seed_too_small', detail: expect.stringContaining('60') } })
    expect(world.twin.journal()).toHaveLength(calls)
    for (let no = 61; no <= PEOPLE; no += 1) world.behavior.join(no)
    await world.sync()
    await world.work()
    expect(await read(row)).toMatchObject({ status: MADE })
  })

  test('while the seed is paused, and where the platform itself says that it is too small or flagged', async () => {
    await start()
    await world.sync()
    await asTenant((tx, { no }) => requestPause(tx, no, { code: 'audience_paused' }))
    const row = await wish()
    await world.work()
    expect(await read(row)).toMatchObject({ status: 'pending', status_reason: { code: 'seed_paused' } })
    const { external_id: seed } = await world.audience()
    await asTenant((tx, seedRow) => requestResume(tx, seedRow))
    for (const [changes, code] of [
      [{ deliveryStatus: 300 }, 'seed_too_small'],
      [{ deliveryStatus: null, flagged: true }, 'seed_flagged'],
    ] as const) {
      await change(seed, changes)
      await look()
      expect(await read(row)).toMatchObject({ status: 'pending', status_reason: { code } })
    }
    expect(creates()).toHaveLength(0)
    await change(seed, { flagged: false })
    await look()
    expect(creates()).toHaveLength(1)
  })
})

describe('a lookalike is made once', () => {
  test('F32: the answer of the create is lost: it is found by our marker, and not made twice', async () => {
    await start({ options: { backoffMs: 60_000 } })
    await world.sync()
    const row = await wish()
    world.twin.fault({ kind: 'apply_then_reset', match: { path: CREATE, method: 'POST' }, times: 1 })
    await world.work()
    expect(await read(row)).toMatchObject({ status: 'creating', external_id: null, attempts: 1 })
    await look()
    expect(await read(row)).toMatchObject({ status: MADE, external_id: expect.any(String), adopted: false })
    expect(creates()).toHaveLength(1)
    expect(farIds()).toHaveLength(2)
  })

  test('a worker dies between the create and its record: the successor finds it', async () => {
    await start()
    await world.sync()
    const row = await wish()
    world.hooks.beforeTransaction = async () => {
      if (creates().length > 0) throw new Error('killed')
    }
    await world.workOnce().catch(() => {})
    world.hooks.beforeTransaction = async () => {}
    expect(await read(row)).toMatchObject({ status: 'creating', external_id: null, attempts: 1 })
    await world.database.admin('UPDATE sync.audience SET lease_until = NULL, lease_owner = NULL')
    await look()
    expect(await read(row)).toMatchObject({ status: MADE, external_id: expect.any(String), adopted: false })
    expect(creates()).toHaveLength(1)
  })

  test('one that somebody made at the platform is adopted, and stays there when it is given up', async () => {
    await start()
    await world.sync()
    const { external_id: seed } = await world.audience()
    const token = await world.engine.grants.get(world.tenantId, 'acc_1')
    const made = await fetch(`${world.twin.url}/v26.0/act_${token.accountExternalId}/customaudiences`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token.accessToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        name: 'By hand',
        subtype: 'LOOKALIKE',
        origin_audience_id: seed,
        lookalike_spec: JSON.stringify({ type: 'similarity', country: 'US' }),
      }),
    })
    const { id } = (await made.json()) as { id: string }
    const row = await wish()
    await world.work()
    expect(await read(row)).toMatchObject({ external_id: id, adopted: true, status: MADE })
    await giveUp(row)
    await world.work()
    expect(await read(row)).toMatchObject({ deleted_at: expect.any(Date) })
    expect(farIds()).toContain(id)
  })

  test('one of our own that the platform takes for the same is not taken over', async () => {
    await start()
    await world.sync()
    const first = await wish()
    await world.work()
    const second = await wish({ allowInternationalSeeds: true })
    await world.work()
    expect(await read(second)).toMatchObject({ status: 'error', external_id: null, status_reason: { code: 'lookalike_duplicate' } })
    expect(await read(first)).toMatchObject({ status: MADE })
  })
})

test('R7: an opt-out that comes in between goes before the lookalikes that are left', async () => {
  await start()
  await world.sync()
  const rows = [await wish(), await wish({ countries: ['FR'] })]
  let seen = false
  world.hooks.beforeTransaction = async () => {
    if (seen || creates().length === 0) return
    seen = true
    world.behavior.suppress(1)
    await world.suppressions()
  }
  await world.work()
  const order = world.twin
    .journal()
    .map(({ method, path, body }) => (JSON.stringify(body).includes('LOOKALIKE') ? 'lookalike' : method === 'DELETE' && /users/.test(path) ? 'removal' : ''))
    .filter(Boolean)
  expect(order.slice(0, 2)).toEqual(['lookalike', 'removal'])
  expect((await read(rows[1] as LookalikeRow)).attempts).toBe(0) // a removal is under way: the seed is not ready for the second
})

test('an account that is full: refused with the platform’s words, and made once there is room', async () => {
  await start()
  await world.sync()
  const row = await wish()
  const { account_external_id: account } = await world.audience()
  const limit = (lookalikeLimit: number) =>
    fetch(`${world.twin.url}/_twin/accounts/${account}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ lookalikeLimit }),
    })
  await limit(0)
  await world.work()
  expect(await read(row)).toMatchObject({ status: 'error', status_reason: { code: 'lookalike_refused', platform: { code: expect.any(String) } } })
  await limit(10)
  await look()
  expect(await read(row)).toMatchObject({ status: MADE, attempts: 2 })
})
