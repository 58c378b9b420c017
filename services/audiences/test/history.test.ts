/** The sync log: when, how many came and went, how large the audience is there now, what went wrong. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Around, startAround } from './around-engine.ts'

let around: Around
beforeAll(async () => {
  around = await startAround()
})
afterAll(() => around.close())

const history = async (query: string) => (await around.call('GET', `/v1/audiences/${around.audienceId}/history?${query}`)).body

test('each sync is a line, newest first, in pages; sizes and statuses are beside them', async () => {
  const { world } = around
  for (let no = 1; no <= 4; no += 1) world.behavior.join(no)
  await world.sync()
  world.behavior.leave(1)
  world.behavior.join(5)
  world.behavior.join(6)
  await world.sync()
  const broken = () => {
    throw new Error('a fault of ours')
  }
  Object.assign(world.engine, { feed: broken })
  await world.sync()

  const first = await history('kind=sync&limit=1')
  expect(first.data).toMatchObject([
    { kind: 'sync', data: { status: 'failed', added: 0, error: { code: 'internal', title: expect.any(String), solution: expect.any(String) } } },
  ])
  const rest = await history(`kind=sync&limit=2&cursor=${first.nextCursor}`)
  expect(rest).toMatchObject({
    data: [
      { data: { status: 'completed', added: 2, removed: 1, apiCalls: 2, startedAt: expect.any(String), error: null, destination: { state: 'too_small' } } },
      {
        data: {
          status: 'completed',
          added: 4,
          removed: 0,
          mode: 'full',
          destination: { state: 'too_small', detail: expect.any(String), asOf: expect.any(String) },
        },
      },
    ],
    nextCursor: null,
  })
  expect(rest.data.map(({ data }: { data: { size: number | null } }) => data.size !== undefined)).toEqual([true, true])
  const all = (await history('limit=200')).data.map(({ kind }: { kind: string }) => kind)
  expect(new Set(all)).toEqual(new Set(['sync', 'status', 'destination', ...(all.includes('size') ? ['size'] : [])]))
  const states = (await history('kind=destination')).data
  expect(states).toMatchObject([{ data: { from: null, to: 'too_small' } }]) // a line for each change, not for each look
  expect((await around.call('GET', `/v1/audiences/${around.audienceId}/history?kind=nonsense`)).status).toBe(400)
})

test('what was unknown when a run failed is in its line as soon as it is known', async () => {
  const { world } = around
  Object.assign(world.engine, { feed: () => world.behavior.feed() })
  world.behavior.join(50)
  world.behavior.join(51)
  world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 8 })
  await world.submit()
  const line = async (index: number) => (await history('kind=sync&limit=2')).data[index].data
  expect(await line(0)).toMatchObject({ status: 'failed', added: 0, error: { code: 'destination_unavailable' } })
  await world.sync()
  expect(await line(1)).toMatchObject({ status: 'failed', added: 2 })
  expect(await line(0)).toMatchObject({ status: 'completed', added: 0 })
})

test('the platform’s size and our match rate are in the line that led to them, and how the platform shows the audience beside it', async () => {
  const { world } = around
  await world.database.admin('UPDATE sync.audience SET size_eligible = 4000')
  for (let no = 100; no < 3_100; no += 1) world.behavior.join(no)
  Object.assign(world.engine, { feed: () => world.behavior.feed() })
  await world.sync()
  const [{ data }] = (await history('kind=sync&limit=1')).data
  expect(data).toMatchObject({ size: expect.any(Number), error: null })
  expect(data.matchRate).toBe(Math.min(1, Math.round((data.size / 4000) * 100) / 100))
  const shown = (await around.call('GET', `/v1/audiences/${around.audienceId}`)).body
  expect(shown).toMatchObject({ destinationState: { state: 'ready', asOf: expect.any(String) }, matchRate: data.matchRate, size: { destination: data.size } })
  expect((await history('kind=destination')).data[0]).toMatchObject({ data: { from: 'too_small', to: 'ready' } })
})
