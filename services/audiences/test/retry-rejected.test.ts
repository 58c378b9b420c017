/** Whoever a run's platform refused is tried again when somebody asks, once. */
import { publicId } from '@audience-sync/contracts/ids'
import { afterEach, expect, test } from '@jest/globals'
import { type Around, startAround } from './around-engine.ts'

let around: Around
afterEach(() => around.close())

const runIdOf = async (no: number): Promise<string> => publicId('run', (await around.world.run(no)).id as string)
const retry = (runId: string) => around.call('POST', `/v1/runs/${runId}/retry-rejected`)
const refusedOf = async (members: number[], rows: number): Promise<string> => {
  around = await startAround()
  for (const no of members) around.world.behavior.join(no)
  around.world.twin.fault({ kind: 'reject_rows', match: { path: '/users', method: 'POST' }, rows })
  return runIdOf(await around.world.sync())
}

test('asked twice, one run sends them once; whom a later call has taken is not sent again, whose call would change nothing (C20)', async () => {
  const refused = await refusedOf([1, 2, 3], 2)
  const first = await retry(refused)
  expect(first).toMatchObject({ status: 202, body: { trigger: 'retry' } })
  expect((await retry(refused)).body.id).toBe(first.body.id)
  await around.world.work()
  await around.world.settle()
  expect((await around.call('GET', `/v1/runs/${first.body.id}`)).body).toMatchObject({ status: 'completed', counts: { planned: 2, added: 2, applied: 2 } })

  expect(await retry(refused)).toMatchObject({ status: 409, body: { code: 'conflict' } })
  expect(await retry(first.body.id)).toMatchObject({ status: 409, body: { code: 'conflict' } })
  expect(around.world.uploads()).toHaveLength(2)
})

test('refused again, they can be asked for by either run', async () => {
  const refused = await refusedOf([1, 2, 3], 2)
  around.world.twin.fault({ kind: 'reject_rows', match: { path: '/users', method: 'POST' }, rows: 1 })
  const again = (await retry(refused)).body.id
  await around.world.work()
  await around.world.settle()
  expect((await around.call('GET', `/v1/runs/${again}`)).body.counts).toMatchObject({ planned: 2, added: 1, rejected: 1 })
  const last = await retry(refused)
  expect(last.status).toBe(202)
  expect((await retry(again)).body.id).toBe(last.body.id)
  await around.world.work()
  await around.world.settle()
  expect((await around.call('GET', `/v1/runs/${last.body.id}`)).body).toMatchObject({ status: 'completed', counts: { planned: 1, added: 1, applied: 1 } })
})
