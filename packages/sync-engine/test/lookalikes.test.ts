/** Similar audiences, against the strict twin: made once, of a seed that is ready, and gone before it. */
import type { LookalikeSpec } from '@audience-sync/destination-kit/lookalike-contract'
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestDelete, requestHeal, requestPause, requestResume } from '../src/requests.ts'
import { giveUpLookalike, type LookalikeRow, type lookalikesOf, wishLookalike } from '../src/store/lookalikes.ts'
import { readAudience } from '../src/store/rows.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

const US: LookalikeSpec = {
  type: 'similarity',
  ratio: null,
  startingRatio: null,
  countries: ['US'],
  countryGroups: [],
  excludedCountries: [],
  allowInternationalSeeds: false,
}
const PEOPLE = 150
const CREATE = '/customaudiences'
/** The twin builds one within a second or so. */
const MADE = expect.stringMatching(/^(creating|active)$/)

let world: World
afterEach(() => world.close())
const start = async (options: WorldOptions = {}, members = PEOPLE) => {
  // Looks are far apart: a test makes them due.
  world = await makeWorld({ ...options, options: { settleMs: 60_000, ...options.options } })
  for (let no = 1; no <= members; no += 1) world.behavior.join(no)
}

/** As `audiences` does. */
const asTenant = <T>(work: (tx: Parameters<typeof lookalikesOf>[0], seed: Awaited<ReturnType<typeof readAudience>>) => Promise<T>) =>
  world.database.as('audiences').tenant(world.tenantId, async (tx) => work(tx, await readAudience(tx, world.audienceNo)))
const wish = async (spec: Partial<LookalikeSpec> = {}, name = 'Like them'): Promise<LookalikeRow> => {
  const row = await asTenant((tx, seed) => wishLookalike(tx, seed, name, { ...US, ...spec }))
  if (!row) throw new Error('There is one like it.')
  return row
}
const giveUp = (row: LookalikeRow) => asTenant((tx, seed) => giveUpLookalike(tx, seed, row))
const read = async (row: LookalikeRow) => {
  const [now] = await world.database.admin('SELECT * FROM sync.lookalike WHERE no = $1', [row.no])
  return now as Record<string, unknown> & { status_reason: { code: string; detail?: string } | null }
}
const due = () => world.database.admin('UPDATE sync.lookalike SET due_at = now() WHERE deleted_at IS NULL')
/** Its next look, now. */
const look = async () => {
  await due()
  await world.work()
}
const creates = () => world.twin.journal().filter(({ method, body }) => method === 'POST' && JSON.stringify(body).includes('LOOKALIKE'))
const farIds = () =>
  world.twin
    .state()
    .audiences.filter(({ deleted }: { deleted: boolean }) => !deleted)
    .map(({ id }: { id: string }) => id)
const change = (id: unknown, changes: object) =>
  fetch(`${world.twin.url}/_twin/audiences/${id}`, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: JSON.stringify(changes) })

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
    world.twin.fault({ kind: 'throttle', match: { path: String(id), method: 'GET' }, times: 1 })
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
    world.twin.fault({ kind: 'throttle', match: { path: String(id), method: 'DELETE' }, times: 1 })
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
