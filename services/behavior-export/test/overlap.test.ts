/** GET /v1/behaviors/overlap: who is in both is counted once, and of very many a part, which is said. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { readOverlap } from '../src/overlap.ts'
import { type Fixture, fixture } from './fixture.ts'
import { type Service, startService } from './service.ts'

const AT = '2026-11-01T10:00:00Z'
const unknown = 'beh_01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'
let s: Service
beforeAll(async () => {
  s = await startService()
})
afterAll(() => s.stop())

async function behavior(key: string, members: readonly string[], left: readonly string[] = []): Promise<string> {
  const { id } = (await s.call('POST', '/v1/behaviors', { key, name: key })).body
  const changes = [
    ...members.map((customerId) => ({ customerId, member: true, occurredAt: AT })),
    ...left.map((customerId) => ({ customerId, member: false, occurredAt: AT })),
  ]
  expect((await s.call('POST', `/v1/behaviors/${id}/members`, { changes })).status).toBe(200)
  return id
}

test('each two of them once, in the order asked, with the share of either; whoever has left is in neither', async () => {
  const comfort = await behavior('comfort', ['a', 'b', 'c', 'd'])
  const price = await behavior('price', ['c', 'd', 'e'], ['a'])
  const empty = await behavior('empty', [])
  const { status, body } = await s.call('GET', `/v1/behaviors/overlap?ids=${price},${comfort},${empty}`)
  expect(status).toBe(200)
  expect(body).toEqual({
    behaviors: [
      { behaviorId: price, key: 'price', name: 'price', members: 3 },
      { behaviorId: comfort, key: 'comfort', name: 'comfort', members: 4 },
      { behaviorId: empty, key: 'empty', name: 'empty', members: 0 },
    ],
    pairs: [
      { behaviorIds: [price, comfort], common: 2, shareOfFirst: 0.6667, shareOfSecond: 0.5 },
      { behaviorIds: [price, empty], common: 0, shareOfFirst: 0, shareOfSecond: 0 },
      { behaviorIds: [comfort, empty], common: 0, shareOfFirst: 0, shareOfSecond: 0 },
    ],
    sampledShare: null,
  })
  // Another tenant does not learn that the behaviors exist.
  const foreign = await s.call('GET', `/v1/behaviors/overlap?ids=${price},${comfort}`, undefined, { tenantId: await s.newTenant() })
  expect(foreign).toMatchObject({ status: 422, body: { code: 'behavior_unknown' } })
  expect(await s.call('GET', `/v1/behaviors/overlap?ids=${price},${unknown}`)).toMatchObject({
    status: 422,
    body: { code: 'behavior_unknown', detail: expect.stringContaining(unknown) },
  })
  const malformed = ['', `?ids=${price}`, `?ids=${price},${price}`, `?ids=${price},`, `?ids=${Array.from({ length: 11 }, (_, n) => `b${n}`).join()}`]
  for (const query of malformed)
    expect(await s.call('GET', `/v1/behaviors/overlap${query}`)).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  expect((await s.call('GET', `/v1/behaviors/overlap?ids=${price},${comfort}`, undefined, { scopes: ['audiences:read'] })).status).toBe(403)
})

test('of more than may be read a part is counted, spread over all, and the figures are scaled up', async () => {
  const f: Fixture = await fixture({ database: s.database })
  const [even, third] = [f.behavior, await f.behaviorOf('third')]
  const people = Array.from({ length: 12_000 }, (_, n) => n)
  const joins = (of: number) => people.filter((n) => n % of === 0).map((n): [string, boolean] => [`p_${n}`, true])
  await f.inTenant(f.members(people.map((n) => [`p_${n}`, n % 2 === 0]))) // everyone was there once: numbers in their order
  await f.inTenant(f.members(joins(3), third.no))
  const exact = await f.inTenant((tx) => readOverlap(tx, [even, third]))
  expect(exact.behaviors.map(({ members }) => members)).toEqual([6_000, 4_000])
  expect(exact.pairs).toMatchObject([{ common: 2_000, shareOfFirst: 0.3333, shareOfSecond: 0.5 }])
  // 4,800 numbers of 12,000 may be read: twelve in each of 200 blocks, for two behaviors.
  const { behaviors, pairs, sampledShare } = await f.inTenant((tx) => readOverlap(tx, [even, third], 4_800))
  expect(sampledShare).toBeCloseTo(0.2, 2)
  const near = (value: number | undefined, of: number) => expect(Math.abs((value ?? 0) - of) / of).toBeLessThan(0.1)
  near(behaviors[0]?.members, 6_000)
  near(behaviors[1]?.members, 4_000)
  near(pairs[0]?.common, 2_000)
})
