/** S-6, SYNC.md C15, C16: one writer per audience, on the database's clock; whoever was overtaken writes nothing any more. */
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { Engine } from '../src/worker/engine.ts'
import { claim, Fenced, type Lease } from '../src/worker/lease.ts'
import { makeWorld, type World } from './world.ts'

let world: World
const leases: Lease[] = []
beforeEach(async () => {
  world = await makeWorld()
})
afterEach(async () => {
  for (const lease of leases.splice(0)) await lease.release()
  await world.close()
})

const take = async (owner = 'one', options: Partial<Engine['options']> = {}) => {
  const { engine } = world
  const lease = await claim({ ...engine, owner, options: { ...engine.options, ...options } }, new AbortController().signal)
  if (lease) leases.push(lease)
  return lease
}
/** As if the holder had been stopped for longer than its lease. */
const expire = () => world.database.admin(`UPDATE sync.audience SET lease_until = now() - interval '1 second'`)

test('of 20 workers that claim at once, one gets the audience', async () => {
  await world.request()
  const got = await Promise.all(Array.from({ length: 20 }, (_, i) => take(`pod-${i}`)))
  expect(got.filter((lease) => lease !== undefined)).toHaveLength(1)
})

test('nothing is claimed where nothing is due', async () => {
  expect(await take()).toBeUndefined()
})

test('a lease that was given back is taken by the next', async () => {
  await world.request()
  const first = await take('one')
  expect(await take('two')).toBeUndefined()
  await first?.release()
  expect((await take('two'))?.epoch).toBe((first?.epoch ?? 0) + 1)
})

test('C16: a zombie that wakes after a takeover may neither call, nor write, nor give the lease back', async () => {
  await world.request()
  const zombie = await take('zombie')
  await expire()
  const successor = await take('successor')
  expect(successor).toBeDefined()
  await expect(zombie?.fenced(null, async () => 'written')).rejects.toThrow(Fenced)
  await expect(zombie?.extend()).rejects.toThrow(Fenced)
  expect(zombie?.signal.aborted).toBe(true)
  await zombie?.release()
  expect(await world.audience()).toMatchObject({ lease_owner: 'successor' })
  await expect(successor?.fenced(null, async () => 'written')).resolves.toBe('written')
})

test('C16: the same process that lost a lease and took it again is two writers: the first is fenced off', async () => {
  await world.request()
  const before = await take('same')
  await expire()
  const after = await take('same')
  await expect(before?.fenced(null, async () => {})).rejects.toThrow(Fenced)
  await expect(after?.fenced(null, async () => 'written')).resolves.toBe('written')
})

test('what a fenced-off transaction had begun to write is rolled back', async () => {
  await world.request()
  const lease = await take()
  await expect(
    lease?.fenced(null, async (tx) => {
      await tx.query(`UPDATE audience SET name = 'half'`)
      throw new Error('died')
    }),
  ).rejects.toThrow('died')
  expect(await world.audience()).toMatchObject({ name: 'Comfort Seekers' })
})

test('a lease is renewed while work goes on, for longer than it lasts', async () => {
  await world.request()
  await take('worker', { leaseMs: 2_000 }) // renewed at every third of it: a worker that stands still for longer loses it, as it should
  const [begun] = await world.database.admin<{ at: Date }>('SELECT lease_until AS at FROM sync.audience')
  // Beyond the end of the first lease, on the database's clock.
  await world.database.admin(`SELECT pg_sleep_until($1::timestamptz + interval '200 milliseconds')`, [begun?.at])
  expect(await take('another')).toBeUndefined()
})

test('the fence tells what is wished: of the audience, and of the run that is asked about', async () => {
  const run = await world.request()
  const lease = await take()
  const wishes = () => lease?.fenced(run, async (_, found) => found)
  expect(await wishes()).toEqual({ cancel: false, pause: false, remove: false, privacy: false })
  await world.database.admin(`UPDATE sync.run SET cancel_requested_at = now(); UPDATE sync.audience SET paused_at = now(), delete_requested_at = now()`)
  expect(await wishes()).toEqual({ cancel: true, pause: true, remove: true, privacy: false })
  expect(await lease?.fenced(null, async (_, { cancel }) => cancel)).toBe(false)
})
