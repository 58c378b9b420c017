/** What an audience's transformations do to a run, and that no change of a person goes unseen because of them (C9). */
import type { Transformation } from '@audience-sync/contracts/transformations'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { sha256 } from './people.ts'
import { makeWorld, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await makeWorld()
})
afterEach(() => world.close())

/** As a user who saves them: the next run is full. */
const transformations = (...rules: Transformation[]) =>
  world.database.admin(`UPDATE sync.audience SET transformations = $2, config_version = config_version + 1, full_reason = 'config_changed' WHERE no = $1`, [
    world.audienceNo,
    JSON.stringify(rules),
  ])

test('whom a rule leaves out is kept back with that reason, and taken away when they were there', async () => {
  world.behavior.join(1, { email: 'p1@example.com', country: 'US' })
  world.behavior.join(2, { email: 'p2@example.com', country: 'FR' })
  world.behavior.join(3, { email: 'p3@example.com', country: 'FR' })
  await transformations({ type: 'dropPerson', when: { field: 'country', equals: ['us'] } })
  const first = await world.sync()
  expect(await world.run(first)).toMatchObject({ counts: { planned: 2, added: 2, suppressed: 1 }, suppressed_by: { dropped_by_rule: 1 } })
  // The country is not sent, and its change is seen all the same: one moves in, one moves out.
  world.behavior.change(1, { identifiers: { email: 'p1@example.com', country: 'FR' } })
  world.behavior.change(2, { identifiers: { email: 'p2@example.com', country: 'US' } })
  const second = await world.sync()
  expect(await world.run(second)).toMatchObject({ mode: 'incremental', counts: { planned: 2, added: 1, removed: 1 } })
  expect(world.far()).toEqual([sha256('p1@example.com'), sha256('p3@example.com')].sort())
})

test('a default country makes people sendable whose number ingest could not read, and follows the number', async () => {
  world.behavior.join(1, { phone: '030 1234567' })
  const without = await world.sync()
  expect(await world.run(without)).toMatchObject({ counts: { planned: 0, suppressed: 1 } })
  await transformations({ type: 'defaultCountry', country: 'DE' })
  const mended = await world.sync()
  expect(await world.run(mended)).toMatchObject({ mode: 'full', counts: { planned: 1, added: 1 } })
  expect(world.far('PHONE')).toEqual([sha256('49301234567')])
  world.behavior.change(1, { identifiers: { phone: '030 7654321' } })
  await world.sync()
  expect(world.far('PHONE')).toEqual([sha256('49307654321')])
})

test('other transformations make everyone be said anew, and what they no longer produce is taken away', async () => {
  world.behavior.join(1, { email: 'a@example.com', emails: ['b@example.com', 'c@example.com'] })
  await world.sync()
  expect(world.far()).toHaveLength(3)
  await transformations({ type: 'chooseIdentifier', order: ['emails', 'email'], take: 1 })
  const run = await world.sync()
  expect(await world.run(run)).toMatchObject({ mode: 'full', counts: { planned: 1, replaced: 1 }, config: { transformations: [{ type: 'chooseIdentifier' }] } })
  expect(world.far()).toEqual([sha256('b@example.com')])
})
