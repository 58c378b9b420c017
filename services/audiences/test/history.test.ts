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
    data: [{ data: { status: 'completed', added: 2, removed: 1, error: null } }, { data: { status: 'completed', added: 4, removed: 0, mode: 'full' } }],
    nextCursor: null,
  })
  expect(rest.data.map(({ data }: { data: { size: number | null } }) => data.size !== undefined)).toEqual([true, true])
  const all = (await history('limit=200')).data.map(({ kind }: { kind: string }) => kind)
  expect(new Set(all)).toEqual(new Set(['sync', 'status', ...(all.includes('size') ? ['size'] : [])]))
  expect((await around.call('GET', `/v1/audiences/${around.audienceId}/history?kind=nonsense`)).status).toBe(400)
})
