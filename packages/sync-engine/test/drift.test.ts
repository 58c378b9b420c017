/** The far side changes under us (SYNC.md C19): what is missing there, who answers, and what a new far audience may not forget. */
import { sha256 } from '@audience-sync/destination-kit/normalise/digest'
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestHeal } from '../src/requests.ts'
import { readAudience } from '../src/store/rows.ts'
import { requestFormerRemovals } from '../src/worker/former.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

let world: World
afterEach(() => world.close())

const email = (no: number) => sha256(`p${no}@example.com`)
const emails = (...nos: number[]) => nos.map(email).sort()

async function start(options: WorldOptions, ...people: number[]): Promise<void> {
  world = await makeWorld(options)
  for (const no of people) world.behavior.join(no)
}

const twin = (method: string, path: string, body?: unknown) =>
  fetch(`${world.twin.url}/_twin${path}`, { method, ...(body !== undefined && { body: JSON.stringify(body) }) })
const externalId = async () => (await world.audience()).external_id as string
const deleteThere = async () => twin('DELETE', `/audiences/${await externalId()}`)
const membersOf = (id: string) => (world.twin.audience(id)?.members ?? []).map((member) => (member as Record<string, string>).EMAIL ?? '').sort()
const living = () => world.twin.state().audiences.filter(({ deleted }) => !deleted)
const policy = (drift: object) => world.database.admin(`UPDATE sync.audience SET drift_policy = drift_policy || $1`, [JSON.stringify(drift)])
const heal = () => world.engine.db.tenant(world.tenantId, async (tx) => requestHeal(tx, await readAudience(tx, world.audienceNo), false))
/** As a run finds it, and the run. */
async function meetMissing(): Promise<number> {
  await deleteThere()
  world.behavior.join(99)
  const run = await world.request()
  await world.work()
  return run
}

describe('C19: an audience that was deleted there', () => {
  test('C19 is asked about: the run that meets it ends, the audience is held, and nothing is sent until somebody answers', async () => {
    await start({}, 1, 2)
    await world.sync()
    const run = await meetMissing()
    expect(await world.run(run)).toMatchObject({ status: 'failed', error: { code: 'audience_missing' } })
    expect(await world.audience()).toMatchObject({ status: 'held', status_reason: { code: 'audience_missing' }, missing: { proven: true } })
    const calls = world.twin.journal().length
    const later = await world.request()
    await world.work()
    expect(await world.run(later)).toMatchObject({ status: 'queued' })
    expect(world.twin.journal()).toHaveLength(calls)
    expect(living()).toEqual([])
  })

  test('C19 healed, everyone who belongs there is in a new one, and the generation was raised with the cursor in one step', async () => {
    await start({}, 1, 2, 3)
    await world.sync()
    const old = await externalId()
    await meetMissing()
    const { no } = await heal()
    await world.work()
    await world.settle()
    expect(await world.run(no)).toMatchObject({ trigger: 'heal', mode: 'full', status: 'completed', counts: { added: 4 } })
    expect(await world.audience()).toMatchObject({ status: 'active', generation: 2, missing: null, heal_requested_at: null, full_reason: null })
    expect(await externalId()).not.toBe(old)
    expect(world.far()).toEqual(emails(1, 2, 3, 99))
    expect(await world.database.admin('SELECT external_id, state FROM sync.far_audience')).toEqual([{ external_id: old, state: 'deleted' }])
  })

  test('C19 by policy it is made anew without asking, once a day at most', async () => {
    await start({}, 1)
    await policy({ missing: 'recreate' })
    await world.sync()
    const run = await meetMissing()
    await world.settle()
    expect(await world.run(run)).toMatchObject({ status: 'failed', error: { code: 'audience_missing' } })
    expect(await world.audience()).toMatchObject({ status: 'active', generation: 2 })
    expect(world.far()).toEqual(emails(1, 99))
    world.behavior.join(3)
    await meetMissing()
    expect(await world.audience()).toMatchObject({ status: 'held', generation: 2 })
  })

  test('C19 an adopted one is never made anew without asking; healed, the new one is ours', async () => {
    await start({}, 1)
    await policy({ missing: 'recreate' })
    await world.sync()
    await world.database.admin('UPDATE sync.audience SET adopted = true')
    await meetMissing()
    expect(await world.audience()).toMatchObject({ status: 'held', generation: 1 })
    await heal()
    await world.work()
    expect(await world.audience()).toMatchObject({ generation: 2, adopted: false })
    expect(living()).toHaveLength(1)
  })

  test('C19 an opt-out meanwhile is done at once where the deletion is proven, and nobody is called', async () => {
    await start({}, 1, 2)
    await world.sync()
    await meetMissing()
    const calls = world.twin.journal().length
    world.behavior.suppress(1)
    await world.suppressions()
    await world.work()
    expect(await world.database.admin(`SELECT status FROM sync.run WHERE trigger = 'privacy'`)).toEqual([{ status: 'completed' }])
    expect(await world.database.admin('SELECT customer_no FROM sync.ledger WHERE customer_no = 1')).toEqual([])
    expect(world.twin.journal()).toHaveLength(calls)
    expect(await world.audience()).toMatchObject({ status: 'held' })
  })

  test('C19 an opt-out that is the first to meet the deletion is done, and asks', async () => {
    await start({}, 1, 2)
    await world.sync()
    await deleteThere()
    world.behavior.suppress(1)
    await world.suppressions()
    await world.work()
    expect(await world.database.admin(`SELECT status FROM sync.run WHERE trigger = 'privacy'`)).toEqual([{ status: 'completed' }])
    expect(await world.audience()).toMatchObject({ status: 'held', status_reason: { code: 'audience_missing' } })
  })

  test('C19 whoever cancels the healing has the question back', async () => {
    await start({}, 1)
    await world.sync()
    await meetMissing()
    const { no } = await heal()
    await world.database.admin('UPDATE sync.run SET cancel_requested_at = now() WHERE no = $1', [no])
    await world.work()
    expect(await world.run(no)).toMatchObject({ status: 'cancelled' })
    expect(await world.audience()).toMatchObject({ status: 'held', generation: 1, heal_requested_at: null })
    expect(living()).toEqual([])
  })

  test.each([
    ['after the old one was left', 1],
    ['after the new one was made and before that was stored', 2],
    ['between the first batches', 3],
  ])('C19 a crash %s makes no second audience and forgets nobody', async (_, step) => {
    await start({ rowsPerCall: 1 }, 1, 2)
    await world.sync()
    await meetMissing()
    await heal()
    let fallen = false
    world.hooks.beforeTransaction = async () => {
      const { generation, external_id } = await world.audience()
      const reached = step === 1 ? generation === 2 : step === 2 ? living().length === 1 && external_id === null : false
      if (!reached || fallen) return
      fallen = true
      await loseLease()
    }
    world.hooks.beforePush = async () => {
      if (step !== 3 || fallen) return
      fallen = true
      await loseLease()
    }
    await world.work()
    await world.work()
    await world.settle()
    expect(fallen).toBe(true)
    expect(living()).toHaveLength(1)
    expect(world.far()).toEqual(emails(1, 2, 99))
    expect(await world.audience()).toMatchObject({ generation: 2, status: 'active' })
  })
})

/** As if another pod had taken over, and died. */
const loseLease = () => world.database.admin('UPDATE sync.audience SET lease_epoch = lease_epoch + 1, lease_owner = NULL, lease_until = NULL')

describe('C19: a former far audience that may still live', () => {
  /** Access to the account was lost, and came back after the new one was made. */
  async function regained(): Promise<{ old: string }> {
    await world.sync()
    const old = await externalId()
    await world.database.admin(`UPDATE sync.audience SET missing = '{"code":"audience_not_shown","proven":false}', external_id = external_id || '9'`)
    await heal()
    await world.work()
    await world.database.admin(`UPDATE sync.far_audience SET external_id = $1, state = 'present'`, [old])
    await world.settle()
    expect(await externalId()).not.toBe(old)
    return { old }
  }

  test('C19 an opt-out after the recreation goes to the new one and to the old one, twice there, and is then forgotten', async () => {
    await start({}, 1, 2)
    const { old } = await regained()
    expect(membersOf(old)).toEqual(emails(1, 2))
    world.behavior.suppress(1)
    await world.suppressions()
    await world.work()
    await world.settle()
    expect(membersOf(old)).toEqual([email(2)])
    expect(membersOf(await externalId())).toEqual([email(2)])
    expect(await world.database.admin('SELECT customer_no, times FROM sync.former_removal')).toEqual([{ customer_no: 1, times: 1 }])
    await world.database.admin('UPDATE sync.former_removal SET not_before = now()')
    expect(await requestFormerRemovals(world.engine)).toBe(true)
    await world.work()
    expect(await world.database.admin('SELECT FROM sync.former_removal')).toEqual([])
    expect(await world.database.admin('SELECT generation FROM sync.ledger WHERE customer_no = 1')).toEqual([])
    expect(world.uploads().filter(({ method }) => method === 'DELETE')).toHaveLength(3)
  })
})
