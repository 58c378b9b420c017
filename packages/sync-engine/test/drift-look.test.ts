/** The look at the far side (C19's other half): what somebody else changed there is found once, told once, and put right as its owner wants. */
import { topics } from '@audience-sync/contracts/events/topics'
import { publicId } from '@audience-sync/contracts/ids'
import { sha256 } from '@audience-sync/destination-kit/normalise/digest'
import { fromBinary } from '@bufbuild/protobuf'
import { afterEach, describe, expect, test } from '@jest/globals'
import { lookAtOne } from '../src/drift/look.ts'
import { housekeep } from '../src/housekeeping.ts'
import type { Drift } from '../src/pure/drift.ts'
import { requestCheck, requestDelete, requestHeal } from '../src/requests.ts'
import { readAudience } from '../src/store/rows.ts'
import { requestRepeats } from '../src/worker/repeat.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

let world: World
afterEach(() => world.close())

const signal = new AbortController().signal
const email = (no: number) => sha256(`p${no}@example.com`)

async function inStep(options: WorldOptions, ...people: number[]): Promise<void> {
  world = await makeWorld(options)
  for (const no of people) world.behavior.join(no)
  await world.sync()
}

const twin = (method: string, path: string, body?: unknown) =>
  fetch(`${world.twin.url}/_twin${path}`, { method, ...(body !== undefined && { body: JSON.stringify(body) }) })
const externalId = async () => (await world.audience()).external_id as string
const changeThere = async (change: object) => twin('PATCH', `/audiences/${await externalId()}`, change)
const policy = (drift: object) => world.database.admin('UPDATE sync.audience SET drift_policy = drift_policy || $1', [JSON.stringify(drift)])
const asked = () => world.engine.db.tenant(world.tenantId, (tx) => requestCheck(tx, world.audienceNo))
const drift = async () => (await world.audience()).drift as Drift
const codes = async () => (await drift()).findings.map(({ code }) => code)
async function look(): Promise<void> {
  await asked()
  expect(await lookAtOne(world.engine, signal)).toBe(true)
}
/** Changes of the status that were told, as `from to code`. */
const told = async () =>
  (
    await world.database.admin<{ data: { from: string; to: string; code: string | null } }>(`SELECT data FROM sync.history WHERE kind = 'status' ORDER BY no`)
  ).map(({ data: { from, to, code } }) => `${from} ${to} ${code}`)
const noted = async () =>
  (await world.database.admin<{ data: { code: string; over?: boolean } }>(`SELECT data FROM sync.history WHERE kind = 'drift' ORDER BY no`)).map(
    ({ data: { code, over } }) => `${code}${over ? ' over' : ''}`,
  )
const reads = () => world.twin.journal().filter(({ method }) => method === 'GET').length

describe('the look', () => {
  test('comes by night, each audience at a time of its own, and is claimed by one pod', async () => {
    await inStep({}, 1)
    expect(await lookAtOne(world.engine, signal)).toBe(false)
    const [planned] = await world.database.admin<{ ahead: boolean; hour: number }>(
      `SELECT check_at > now() AND check_at <= now() + interval '1 day' AS ahead, extract(hour FROM check_at AT TIME ZONE 'UTC')::int AS hour FROM sync.audience`,
    )
    expect(planned?.ahead).toBe(true)
    expect(planned?.hour).toBeLessThan(6)
    await world.database.admin(`UPDATE sync.audience SET check_at = now() - interval '1 minute'`)
    const before = reads()
    const looks = await Promise.all([lookAtOne(world.engine, signal), lookAtOne(world.engine, signal)])
    expect(looks.filter(Boolean)).toHaveLength(1)
    expect(reads()).toBe(before + 1)
    expect(await drift()).toMatchObject({ findings: [], checkedAt: expect.any(String) })
    expect(await lookAtOne(world.engine, signal)).toBe(false)
  })

  test('gives way to a run of the account, unless somebody asked or it has waited for hours', async () => {
    await inStep({}, 1)
    await world.database.admin(`UPDATE sync.audience SET check_at = now() - interval '1 minute', lease_until = now() + interval '1 minute'`)
    expect(await lookAtOne(world.engine, signal)).toBe(false)
    await world.database.admin(`UPDATE sync.audience SET check_at = now() - interval '4 hours'`)
    expect(await lookAtOne(world.engine, signal)).toBe(true)
    await look()
  })

  test('finds a deleted audience without a run, and tells it once', async () => {
    await inStep({}, 1)
    await twin('DELETE', `/audiences/${await externalId()}`)
    await look()
    await look()
    expect(await world.audience()).toMatchObject({ status: 'held', missing: { code: 'audience_missing', proven: true } })
    expect((await told()).filter((one) => one.includes('held'))).toEqual(['active held audience_missing'])
    expect(await noted()).toEqual(['audience_missing'])
  })

  test('follows a deletion that comes while accepted calls are being applied; the connection is not blamed for it', async () => {
    await inStep({}, 1)
    world.behavior.join(2)
    await world.request()
    await world.work()
    await twin('DELETE', `/audiences/${await externalId()}`)
    await world.settle()
    expect(world.reports).toEqual([])
    expect(await lookAtOne(world.engine, signal)).toBe(true)
    expect(await world.audience()).toMatchObject({ status: 'held', missing: { code: 'audience_missing' } })
  })

  test('makes it anew where the policy says so', async () => {
    await inStep({}, 1, 2)
    await policy({ missing: 'recreate' })
    await twin('DELETE', `/audiences/${await externalId()}`)
    await look()
    await world.work()
    await world.settle()
    expect(world.far()).toEqual([email(1), email(2)].sort())
    expect(await world.audience()).toMatchObject({ status: 'active', generation: 2 })
  })

  test('C19: an account that is not shown proves nothing: it is asked about whatever the policy, looked at again within the hour, and over when access is back', async () => {
    await inStep({}, 1)
    await policy({ missing: 'recreate' })
    await twin('PATCH', `/accounts/${world.twin.state().accounts[0]?.id}`, { tasks: [] })
    await look()
    expect(await world.audience()).toMatchObject({ status: 'held', generation: 1, missing: { code: 'audience_not_shown', proven: false } })
    const [next] = await world.database.admin<{ soon: boolean }>(`SELECT check_at <= now() + interval '1 hour' AS soon FROM sync.audience`)
    expect(next).toEqual({ soon: true })
    await twin('PATCH', `/accounts/${world.twin.state().accounts[0]?.id}`, { tasks: ['MANAGE', 'ADVERTISE', 'ANALYZE'] })
    world.behavior.join(2)
    await look()
    await world.work()
    await world.settle()
    expect(await world.audience()).toMatchObject({ status: 'active', generation: 1, missing: null })
    expect(world.far()).toEqual([email(1), email(2)].sort())
    expect(await noted()).toEqual(['audience_not_shown', 'audience_not_shown over'])
  })

  test('a flagged audience is in error until it is not, through runs that say nothing; then what waited is said', async () => {
    await inStep({}, 1)
    await changeThere({ flagged: true })
    await look()
    await look()
    expect(await world.audience()).toMatchObject({ status: 'error', status_reason: { code: 'audience_flagged' } })
    await world.sync()
    expect(await world.audience()).toMatchObject({ status: 'error', status_reason: { code: 'audience_flagged' } })
    await changeThere({ flagged: false })
    world.behavior.join(2)
    await look()
    await world.work()
    await world.settle()
    expect(await world.audience()).toMatchObject({ status: 'active' })
    expect(world.far()).toEqual([email(1), email(2)].sort())
    expect(await noted()).toEqual(['audience_flagged', 'audience_flagged over'])
  })

  test('a name that somebody changed there is only shown, or put back, or taken over', async () => {
    await inStep({}, 1)
    const nameThere = () => world.twin.state().audiences[0]?.name
    await changeThere({ name: 'Theirs' })
    await look()
    expect(await drift()).toMatchObject({ findings: [{ code: 'audience_renamed', healing: 'none', detail: expect.stringContaining('Theirs') }] })
    expect(await world.audience()).toMatchObject({ status: 'active', name: 'Comfort Seekers' })
    await changeThere({ name: 'Comfort Seekers' })
    await look()
    await policy({ renamed: 'restore' })
    await changeThere({ name: 'Theirs again' })
    await look()
    await world.work()
    await look()
    expect([nameThere(), await codes()]).toEqual(['Comfort Seekers', []])
    await policy({ renamed: 'accept' })
    await changeThere({ name: 'Better' })
    await look()
    await look()
    expect([(await world.audience()).name, nameThere(), await codes()]).toEqual(['Better', 'Better', []])
  })

  test('an audience that is about to expire is shown with its date', async () => {
    await inStep({}, 1)
    const expiresAt = new Date(Date.now() + 10 * 86_400_000)
    shown({ expiresAt })
    await look()
    expect(await drift()).toMatchObject({ findings: [{ code: 'audience_expiring', detail: expect.stringContaining(expiresAt.toISOString().slice(0, 10)) }] })
  })

  test('an audience that has shrunk there by itself is said again to everyone, once, and its size is in the history', async () => {
    await inStep({}, 1, 2)
    await policy({ size: 'resync' })
    shown({ size: 9_000 })
    await world.database.admin(`UPDATE sync.audience SET size_destination = 9000, drift = '{"checkedAt":"x","findings":[],"sound":{"there":9000,"ledger":2}}'`)
    shown({ size: 3_000 })
    await look()
    expect(await drift()).toMatchObject({ findings: [{ code: 'audience_swollen' }, { code: 'audience_shrunk', healing: 'automatic' }].toReversed() })
    expect(await world.audience()).toMatchObject({ size_destination: 3_000 })
    const before = world.uploads().length
    expect(await requestRepeats(world.engine)).toBe(true)
    await world.work()
    expect(world.uploads().length).toBe(before + 1)
    await look()
    expect(await requestRepeats(world.engine)).toBe(false)
  })

  test('few matches are told once, when the platform has finished and the audience is no longer young', async () => {
    await inStep({}, 1, 2)
    const lows = async () =>
      (await world.database.admin<{ value: Buffer }>(`SELECT value FROM sync.outbox WHERE topic = 'audience.match_rate.low' ORDER BY id`)).map(({ value }) => {
        const { audienceId, matchRate, threshold } = fromBinary(topics.audienceMatchRateLow.schema, value)
        return [audienceId, matchRate, threshold]
      })
    await world.database.admin('UPDATE sync.audience SET size_eligible = 20000')
    shown({ size: 2_000 })
    await look()
    expect(await lows()).toEqual([]) // two days old it must be
    const grown = () => world.database.admin(`UPDATE sync.audience SET drift = jsonb_set(drift, '{match,since}', '"2026-01-01T00:00:00.000Z"')`)
    await grown()
    await world.database.admin(`UPDATE sync.audience SET status = 'pending'`)
    await look()
    expect(await lows()).toEqual([]) // more is on the way
    await world.database.admin(`UPDATE sync.audience SET status = 'active'`)
    shown({ size: 1_000 }) // the figure for every smaller one: no size
    await look()
    expect(await lows()).toEqual([])
    for (const size of [2_000, 3_000, 6_500]) {
      shown({ size })
      await look()
    }
    const { id } = await world.audience()
    expect(await lows()).toEqual([[publicId('audience', id as string), 0.1, 0.3]])
    for (const size of [8_000, 5_000]) {
      shown({ size })
      await look()
    }
    expect((await lows()).map(([, rate]) => rate)).toEqual([0.1, 0.25])
  })

  /** What the platform shows of it, beside what is there. */
  function shown(fields: object): void {
    const { destination } = world.engine
    const read = destination.readAudience
    Object.assign(destination, {
      readAudience: async (...args: Parameters<typeof read>) => {
        const far = await read(...args)
        return far && { ...far, ...fields }
      },
    })
  }
})

describe('C19: far audiences that were left', () => {
  /** Of no use there, and living: a new one was made beside it. */
  async function left(): Promise<string> {
    await inStep({}, 1, 2)
    const old = await externalId()
    await changeThere({ disabled: true })
    await world.database.admin(`UPDATE sync.audience SET missing = '{"code":"audience_disabled","proven":false}'`)
    const { destination } = world.engine
    const read = destination.readAudience
    Object.assign(destination, { readAudience: async (...args: Parameters<typeof read>) => ({ ...(await read(...args)), state: 'disabled' }) })
    await world.engine.db.tenant(world.tenantId, async (tx) => requestHeal(tx, await readAudience(tx, world.audienceNo), false))
    await world.work()
    await world.settle()
    Object.assign(destination, { readAudience: read })
    expect(await world.database.admin('SELECT state FROM sync.far_audience')).toEqual([{ state: 'present' }])
    expect(await externalId()).not.toBe(old)
    return old
  }
  const ledger = async () => (await world.database.admin<{ n: number }>('SELECT count(*)::int AS n FROM sync.ledger'))[0]?.n

  test('C19 a later look proves the deletion, and then the ledger forgets them', async () => {
    const old = await left()
    await look()
    expect(await world.database.admin('SELECT state FROM sync.far_audience')).toEqual([{ state: 'present' }])
    expect(await ledger()).toBe(4)
    await twin('DELETE', `/audiences/${old}`)
    await look()
    expect(await world.database.admin('SELECT state FROM sync.far_audience')).toEqual([{ state: 'deleted' }])
    await housekeep(world.engine)
    expect(await ledger()).toBe(2)
  })

  test('C19 one that somebody adopted since is theirs: it is not deleted with ours', async () => {
    const old = await left()
    await world.database.admin(
      `INSERT INTO sync.audience OVERRIDING USER VALUE SELECT (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid(), 'external_id', $1::text, 'account_id', gen_random_uuid(),
         'tenant_id', gen_random_uuid(), 'generation', 1, 'lease_until', null))).* FROM sync.audience a`,
      [old],
    )
    await world.engine.db.tenant(world.tenantId, (tx) => requestDelete(tx, world.audienceNo, false))
    await world.work()
    expect(world.twin.state().audiences.filter(({ deleted }) => !deleted)).toMatchObject([{ id: old }])
  })

  test('C19 an audience that is deleted here takes the ones it left with it', async () => {
    await left()
    await world.engine.db.tenant(world.tenantId, (tx) => requestDelete(tx, world.audienceNo, false))
    await world.work()
    expect(world.twin.state().audiences.filter(({ deleted }) => !deleted)).toEqual([])
    expect(await ledger()).toBe(0)
  })
})

test('a name that was changed here, and told there, between the look and its record is not taken for theirs', async () => {
  await inStep({}, 1)
  await policy({ renamed: 'accept' })
  await asked()
  const { destination } = world.engine
  const slow: typeof destination = {
    ...destination,
    async readAudience(...of) {
      const far = await destination.readAudience(...of)
      await world.database.admin(`UPDATE sync.audience SET name = 'Ours', far_stale = true`)
      await world.request()
      await world.work()
      return far
    },
  }
  expect(await lookAtOne({ ...world.engine, destination: slow }, signal)).toBe(true)
  expect(await world.audience()).toMatchObject({ name: 'Ours', far_stale: false })
  expect(await codes()).toEqual([])
})
