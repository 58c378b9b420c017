/** What becomes of similar audiences, against the strict twin: how they are shown, given up, and gone before their seed. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestDelete, requestHeal } from '../src/requests.ts'
import { readAudience } from '../src/store/rows.ts'
import { asTenant, CREATE, change, farIds, giveUp, look, read, start, wish, world } from './lookalike-world.ts'

afterEach(() => world.close())

describe('what becomes of it', () => {
  const made = async () => {
    await start()
    await world.sync()
    const row = await wish()
    await world.work()
    return { row, id: (await read(row)).external_id }
  }

  test.each([
    [{ operationStatus: 200, deliveryStatus: 200 }, 'active', null],
    [{ operationStatus: 441, deliveryStatus: 300 }, 'creating', 'lookalike_building'],
    [{ operationStatus: 433, deliveryStatus: 200 }, 'error', 'lookalike_failed'],
    [{ operationStatus: 450, deliveryStatus: 200 }, 'error', 'lookalike_inactive'],
    [{ flagged: true }, 'error', 'audience_flagged'],
  ] as const)('%j is shown as %s, %s', async (changes, status, code) => {
    const { row, id } = await made()
    await change(id, changes)
    await look()
    const now = await read(row)
    expect([now.status, now.status_reason?.code ?? null]).toEqual([status, code])
  })

  test('every change is a line of the seed’s history; the same again is none', async () => {
    const { row, id } = await made()
    for (const operationStatus of [441, 450, 200]) {
      await change(id, { operationStatus, deliveryStatus: 200 })
      for (let i = 0; i < 2; i += 1) await look()
    }
    await giveUp(row)
    await world.work()
    const lines = await world.database.admin<{ data: { from: string; to: string; code: string } }>(
      `SELECT data FROM sync.history WHERE kind = 'lookalike' ORDER BY no`,
    )
    const all = lines.map(({ data: { from, to, code } }) => [from, to, code])
    expect(all.slice(0, 2)).toEqual([
      [null, 'pending', null],
      ['pending', 'creating', null],
    ])
    expect(all.slice(all.findIndex(([, , code]) => code === 'lookalike_inactive'))).toEqual([
      ['creating', 'error', 'lookalike_inactive'],
      ['error', 'active', null],
      ['active', 'deleting', null],
      ['deleting', 'deleted', null],
    ])
    expect(farIds()).not.toContain(id)
  })

  test('C19: of a seed that was made anew since, it says so and what to do, and one made afterwards does not', async () => {
    const { row, id } = await made()
    await change(id, { operationStatus: 200, deliveryStatus: 200 })
    const { external_id: old } = await world.audience()
    await fetch(`${world.twin.url}/_twin/audiences/${old}`, { method: 'DELETE' })
    await world.request()
    await world.work()
    await world.engine.db.tenant(world.tenantId, async (tx) => requestHeal(tx, await readAudience(tx, world.audienceNo), false))
    await world.work()
    expect(await world.audience()).toMatchObject({ generation: 2, external_id: expect.not.stringMatching(`^${old}$`) })
    expect(await read(row)).toMatchObject({ status: 'active', external_id: id, status_reason: { code: 'lookalike_of_former_seed' } })
    const other = await wish({ type: 'reach' }, 'More like them')
    await world.settle()
    await look()
    const { external_id: farId } = await read(other)
    await change(farId, { operationStatus: 200, deliveryStatus: 200 })
    await look()
    expect(await read(other)).toMatchObject({ status: 'active', status_reason: null })
    expect(await read(row)).toMatchObject({ status_reason: { code: 'lookalike_of_former_seed' } })
  })

  test('deleted there by somebody, it says so', async () => {
    const { row, id } = await made()
    await fetch(`${world.twin.url}/_twin/audiences/${id}`, { method: 'DELETE' })
    await look()
    expect(await read(row)).toMatchObject({ status: 'error', status_reason: { code: 'lookalike_missing' } })
    await giveUp(row)
    await world.work()
    expect(await read(row)).toMatchObject({ deleted_at: expect.any(Date) })
  })

  test('given up while the answer of its create is lost, it is found and deleted', async () => {
    await start({ options: { backoffMs: 60_000 } })
    await world.sync()
    const row = await wish()
    world.twin.fault({ kind: 'apply_then_reset', match: { path: CREATE, method: 'POST' }, times: 1 })
    await world.work()
    expect(farIds()).toHaveLength(2)
    await giveUp(row)
    await world.work()
    expect(farIds()).toHaveLength(1)
    expect(await read(row)).toMatchObject({ deleted_at: expect.any(Date) })
  })

  test('a throttled look is a wait, which costs it nothing of its state', async () => {
    const { row, id } = await made()
    await change(id, { operationStatus: 200, deliveryStatus: 200 })
    await look()
    world.twin.fault({ kind: 'throttle', delayMs: 60_000, match: { path: String(id), method: 'GET' }, times: 1 })
    await look()
    expect(await read(row)).toMatchObject({ status: 'active', status_reason: { code: 'platform_throttled' } })
  })
})

describe('the seed is deleted after its lookalikes', () => {
  test('given up with it, they go first', async () => {
    await start()
    await world.sync()
    const rows = [await wish(), await wish({ countries: ['FR'] })]
    await world.work()
    expect(farIds()).toHaveLength(3)
    for (const row of rows) await giveUp(row)
    await asTenant((tx, { no }) => requestDelete(tx, no, false))
    await world.work()
    expect(farIds()).toEqual([])
    expect(await world.audience()).toMatchObject({ deleted_at: expect.any(Date) })
  })

  test('one that could not be deleted yet keeps its seed: the platform is not asked for what it refuses', async () => {
    await start()
    await world.sync()
    const row = await wish()
    await world.work()
    const { external_id: id } = await read(row)
    world.twin.fault({ kind: 'throttle', delayMs: 60_000, match: { path: String(id), method: 'DELETE' }, times: 1 })
    await giveUp(row)
    await asTenant((tx, { no }) => requestDelete(tx, no, false))
    await world.work()
    expect(await world.audience()).toMatchObject({ status: 'deleting', deleted_at: null })
    expect(world.twin.journal().filter(({ response }) => JSON.stringify(response).includes('2656'))).toEqual([])
  })

  test('lookalikes that others made stop the deletion with the platform’s own words; to keep everything there is a way out', async () => {
    await start()
    await world.sync()
    const { external_id: seed } = await world.audience()
    world.twin.fault({ kind: 'status', match: { path: String(seed), method: 'DELETE' }, times: 1, status: 400, code: 2656 })
    await asTenant((tx, { no }) => requestDelete(tx, no, false))
    await world.work()
    expect(await world.audience()).toMatchObject({
      status: 'deleting',
      status_reason: { code: 'lookalikes_exist', platform: { code: '2656' } },
      deleted_at: null,
    })
    await asTenant((tx, { no }) => requestDelete(tx, no, true))
    await world.work()
    expect(await world.audience()).toMatchObject({ deleted_at: expect.any(Date) })
    expect(farIds()).toEqual([seed])
  })

  test('kept there with its seed, it is only forgotten here', async () => {
    await start()
    await world.sync()
    const row = await wish()
    await world.work()
    await asTenant((tx, { no }) => requestDelete(tx, no, true))
    await world.work()
    expect(await read(row)).toMatchObject({ deleted_at: expect.any(Date) })
    expect(farIds()).toHaveLength(2)
  })
})
