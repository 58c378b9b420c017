/** An audience that somebody else made: looked at before the first word, and kept in step by one of ours only (C19). */
import { afterEach, expect, test } from '@jest/globals'
import { makeWorld, type World } from './world.ts'

let world: World
afterEach(() => world.close())

/** A world with one member, whose audience is to adopt the one that it made before. */
async function adopting(settings: Record<string, unknown> = {}): Promise<string> {
  world = await makeWorld()
  world.behavior.join(1)
  await world.sync()
  const id = world.twin.state().audiences[0]?.id ?? ''
  await world.database.admin(
    `UPDATE sync.audience SET adopted = true, cursor_epoch = NULL, cursor = '0:0', full_reason = 'first_run', settings = $1::jsonb, description = ''`,
    [JSON.stringify(settings)],
  )
  world.behavior.join(2)
  return id
}
const attempt = async () => {
  const run = await world.request()
  await world.work()
  return world.run(run)
}

test('one that was made with other settings is refused before anything is sent, and taken when the setting is mended', async () => {
  await adopting({ valueBased: true })
  const sent = world.uploads().length
  expect(await attempt()).toMatchObject({ status: 'failed', error: { code: 'adopt_setting' } })
  expect(world.uploads()).toHaveLength(sent)
  await world.database.admin(`UPDATE sync.audience SET settings = '{}'`)
  expect(await attempt()).toMatchObject({ status: 'applying', counts: { accepted: 1 } })
})

test('C19: one that an audience of another tenant keeps in step already is refused', async () => {
  await adopting()
  const [columns] = await world.database.admin<{ names: string }>(`SELECT string_agg(quote_ident(column_name), ', ') AS names FROM information_schema.columns
    WHERE table_schema = 'sync' AND table_name = 'audience' AND column_name NOT IN ('no', 'id', 'tenant_id', 'account_id')`)
  await world.database.admin(
    `INSERT INTO sync.audience (id, tenant_id, account_id, ${columns?.names}) SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), ${columns?.names} FROM sync.audience`,
  )
  const sent = world.uploads().length
  expect(await attempt()).toMatchObject({ status: 'failed', error: { code: 'conflict' } })
  expect(world.uploads()).toHaveLength(sent)
})

test('what its maker wrote there is not wiped out by a description that nobody gave', async () => {
  const id = await adopting()
  await world.database.admin(`UPDATE sync.audience SET far_stale = true, name = 'Ours now'`)
  expect(await attempt()).toMatchObject({ status: 'applying' })
  const told = world.twin.journal().filter(({ method, path }) => method === 'POST' && path.split('?')[0]?.endsWith(`/${id}`))
  const body = told.at(-1)?.body
  expect(typeof body === 'string' ? JSON.parse(body) : body).toEqual({ name: 'Ours now', customer_file_source: 'USER_PROVIDED_ONLY' })
  expect(await world.audience()).toMatchObject({ far_stale: false })
})
