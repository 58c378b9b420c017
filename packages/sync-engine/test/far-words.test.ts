/** What the platform says beyond its answers reaches the run and the audience: sessions, remarks, size and delivery. */

import { afterEach, expect, test } from '@jest/globals'
import { platformWords } from '../src/platform-words.ts'
import { makeWorld, type World } from './world.ts'

let world: World
afterEach(() => world.close())

const words = (runNo: number) => world.engine.db.tenant(world.tenantId, async (tx) => (await platformWords(tx, [runNo])).get(runNo))
const history = async (kind: string) =>
  (await world.database.admin<{ data: Record<string, unknown> }>('SELECT data FROM sync.history WHERE kind = $1 ORDER BY no', [kind])).map(({ data }) => data)
const join = (count: number) => {
  for (let i = 1; i <= count; i += 1) world.behavior.join(i)
}

test('sessions are a hint in the receipts of their batches: how many came', async () => {
  world = await makeWorld({ rowsPerCall: 2 })
  join(5)
  const run = await world.sync()
  expect(await world.run(run)).toMatchObject({ status: 'completed' })
  // Matches lag behind: the platform may not have counted yet.
  expect(await words(run)).toMatchObject({ progress: { stages: [expect.any(String)], received: 5, invalid: 0 }, remarks: [] })
  const reads = world.twin.journal().filter(({ path }) => path.includes('/sessions'))
  expect(reads.length).toBeGreaterThan(0)
  expect(reads.length).toBeLessThanOrEqual(2) // three batches, one session
})

test('a session that cannot be read holds up nothing', async () => {
  world = await makeWorld()
  join(3)
  world.twin.fault({ kind: 'status', match: { path: '/sessions' }, times: 100, status: 500 })
  const run = await world.sync()
  expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { applied: 3 } })
  expect(await words(run)).toBeUndefined()
})

test('many invalid rows in the last session are a remark on the run, which is applied all the same', async () => {
  world = await makeWorld()
  join(3)
  const first = await world.request()
  await world.work()
  const id = world.twin.state().audiences[0]?.id ?? ''
  await fetch(`${world.twin.url}/_twin/audiences/${id}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ operationStatus: 412 }),
  })
  await world.settle()
  expect(await world.run(first)).toMatchObject({ status: 'completed' })
  expect((await words(first))?.remarks).toEqual([{ code: 'many_invalid_rows', detail: expect.stringMatching(/412/) }])
})

test('size with its bounds, and whether ads can use it, are told with each run that was applied, and only when they change', async () => {
  world = await makeWorld()
  join(3)
  await world.sync()
  expect(await world.audience()).toMatchObject({ size_destination: 1000, size_as_of: expect.any(Date) })
  expect(await history('size')).toEqual([{ destination: 1000, lower: 1000, upper: 1000 }])
  expect(await history('destination')).toEqual([{ from: null, to: 'too_small', detail: expect.stringMatching(/delivery 300/) }])
  world.behavior.join(4)
  await world.sync()
  expect(await history('destination')).toHaveLength(1)
})
