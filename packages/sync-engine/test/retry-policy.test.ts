/** An audience's retry policy is what its calls are tried again by. */
import { afterEach, expect, test } from '@jest/globals'
import { makeWorld, type World } from './world.ts'

let world: World
afterEach(() => world.close())

const choose = (policy: object) => world.database.admin('UPDATE sync.audience SET retry_policy = $2 WHERE no = $1', [world.audienceNo, JSON.stringify(policy)])

test('a call is sent as often as the audience allows, then the run ends and the next one begins with it', async () => {
  world = await makeWorld()
  world.behavior.join(1)
  await choose({ attempts: 2, windowHours: 24 })
  world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 3 })
  const first = await world.request()
  await world.work()
  expect(await world.run(first)).toMatchObject({ status: 'failed', counts: { unknown: 1 } })
  expect(world.uploads()).toHaveLength(2)
})

test('the pause between attempts is the audience’s own: longer than patience, the run waits', async () => {
  world = await makeWorld()
  world.behavior.join(1)
  await choose({ attempts: 8, windowHours: 24, backoffSeconds: 60 })
  world.twin.fault({ kind: 'apply_then_reset', match: { path: '/users', method: 'POST' }, times: 1 })
  const run = await world.request()
  await world.work()
  expect(await world.run(run)).toMatchObject({ status: 'waiting' })
  await world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'waiting'`)
  await world.work()
  await world.settle()
  expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { accepted: 1 } })
})
