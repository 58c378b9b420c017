import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { housekeep } from '../src/housekeeping.ts'
import { makeWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await makeWorld()
})
afterAll(() => world.close())

test('calls older than 90 days are forgotten, and tags that nobody in the ledger holds', async () => {
  for (const no of [1, 2]) world.behavior.join(no)
  await world.sync()
  await world.database.admin(`UPDATE sync.call SET started_at = now() - interval '91 days' WHERE no = (SELECT min(no) FROM sync.call)`)
  await world.database.admin('DELETE FROM sync.ledger WHERE customer_no = 1')
  const [before] = await world.database.admin<{ n: number }>('SELECT count(*)::int AS n FROM sync.call')
  expect(await housekeep(world.engine)).toBe(false)
  const [after] = await world.database.admin<{ n: number }>('SELECT count(*)::int AS n FROM sync.call')
  expect(after?.n).toBe((before?.n ?? 0) - 1)
  expect(await world.database.admin('SELECT DISTINCT customer_no FROM sync.ledger_tag')).toEqual([{ customer_no: 2 }])
})

test('the history of the last 400 days is kept', async () => {
  const history = () => world.database.admin<{ n: number }>('SELECT count(*)::int AS n FROM sync.history')
  const [before] = await history()
  await world.database.admin(
    `UPDATE sync.history SET at = CASE WHEN no = (SELECT min(no) FROM sync.history) THEN now() - interval '401 days' ELSE now() - interval '399 days' END`,
  )
  await housekeep(world.engine)
  expect(await history()).toEqual([{ n: (before?.n ?? 0) - 1 }])
})
