/**
 * The same path for a platform of another kind: it answers at once, and its replacement is "take them all, then remove whoever was not
 * among them" (SYNC.md C22). Nothing of it is asked about afterwards.
 */
import type { Destination, KeySet } from '@audience-sync/destination-kit/contract'
import { afterEach, describe, expect, test } from '@jest/globals'
import { answersSide } from './destinations/answers.ts'
import { type SidedWorld, worldAround } from './world.ts'

let world: SidedWorld
afterEach(() => world.close())

/** The made-up platform that answers, with a replacement of its own; what it was told of one, in order. */
function replacing() {
  const side = answersSide()
  const { destination } = side
  const said: { seq: number; last: boolean }[] = []
  let taken: string[] = []
  const replaceable: Destination = {
    ...destination,
    replaceList: {
      windowMs: 60 * 60_000,
      peopleAtMost: 1_000,
      worthFrom: { people: 1, share: 0.3 },
      wish: () => 'auto',
      refusal: () => null,
      encode: (batch) => ({ ...destination.encode(batch), headers: { place: JSON.stringify(batch.session) } }),
      look: async () => ({ state: 'ready', detail: '', at: new Date() }),
    },
    removeEverywhere: {
      refusal: () => null,
      encode: ({ rows }) => ({ method: 'POST', path: '/lists/list-1/remove', headers: {}, body: Buffer.from(JSON.stringify(rows)) }),
    },
    async push(ctx, request) {
      const accepted = await destination.push(ctx, request)
      const { place } = request.headers
      if (place === undefined) return accepted
      const { seq, last } = JSON.parse(place) as { seq: number; last: boolean }
      said.push({ seq, last })
      if (seq === 1) taken = []
      taken.push(...(JSON.parse(request.body.toString()) as KeySet[]).map(([email = '']) => email))
      const others = side.members().filter((email) => !taken.includes(email))
      if (last && others.length > 0)
        await destination.push(ctx, { ...request, path: '/lists/list-1/remove', body: Buffer.from(JSON.stringify(others.map((email) => [email, '']))) })
      return accepted
    },
  }
  return { side: { ...side, destination: replaceable }, said }
}

describe('a replacement at a platform that is done when it answers', () => {
  test('C22: ends with the desired people, applied at once, whoever is not among them forgotten, and the counts are of those who changed', async () => {
    const { side, said } = replacing()
    world = await worldAround(side, { brake: { sharePercent: 100, minimum: 100 }, rowsPerCall: 2 })
    for (let no = 1; no <= 6; no += 1) world.behavior.join(no)
    await world.sync()
    for (const no of [1, 2]) world.behavior.leave(no)
    world.behavior.join(7)
    const run = await world.request('full')
    await world.work()
    expect(said).toEqual([
      { seq: 1, last: false },
      { seq: 2, last: false },
      { seq: 3, last: true },
    ])
    expect(side.members()).toEqual([3, 4, 5, 6, 7].map((no) => `p${no}@example.com`))
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { planned: 3, added: 1, removed: 2, applied: 3, unchanged: 4 } })
    expect(await world.database.admin('SELECT customer_no::int AS no FROM sync.ledger ORDER BY 1')).toEqual([3, 4, 5, 6, 7].map((no) => ({ no })))
    expect(await world.audience()).toMatchObject({ replacing: null, status: 'active' })
  })

  test('a small difference is added and removed', async () => {
    const { side, said } = replacing()
    world = await worldAround(side, { brake: { sharePercent: 100, minimum: 100 }, rowsPerCall: 2 })
    for (let no = 1; no <= 6; no += 1) world.behavior.join(no)
    await world.sync()
    world.behavior.leave(1)
    await world.sync('full')
    expect(said).toEqual([])
    expect(side.members()).toHaveLength(5)
  })
})
