/** Reports of a normaliser in shadow: asked for and shown here, counted by a connector (played by the database's owner). */
import { newUuid } from '@audience-sync/contracts/ids'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const figures = (changed: number) => ({
  of: 20,
  checked: 10,
  changed,
  becomeUsable: 1,
  becomeUnusable: 2,
  byKey: { EMAIL: { other: changed, gained: 1, lost: 2 } },
  examples: [{ key: 'EMAIL', change: 'other', shape: { email: 'a+a@a.a' } }],
})
const counted = (changed: number) =>
  rig.database.admin(`UPDATE sync.normaliser_report SET status = 'done', in_force = 1, figures = $1, finished_at = now() WHERE status = 'queued'`, [
    JSON.stringify(figures(changed)),
  ])
const connectorStarts = (others: number[]) =>
  rig.database.admin(
    `INSERT INTO sync.normaliser_in_force (destination_no, version, others) SELECT no, 1, $1 FROM sync.destination WHERE id = 'meta'
     ON CONFLICT (destination_no) DO UPDATE SET others = excluded.others`,
    [others],
  )

test('a version in shadow is looked at per audience and over all of them; the same is not asked for twice', async () => {
  const [one, two] = [await rig.audience(), await rig.audience()]
  const at = (id: string) => `/v1/audiences/${id}/normaliser-report`
  expect((await rig.call('GET', at(one.id))).status).toBe(404)
  await connectorStarts([])
  expect(await rig.call('POST', at(one.id))).toMatchObject({ status: 409, body: { code: 'normaliser_unknown' } })
  await connectorStarts([2, 3])
  expect(await rig.call('POST', at(one.id), { version: 1 })).toMatchObject({ status: 409 })

  expect(await rig.call('POST', at(one.id))).toMatchObject({
    status: 202,
    body: { status: 'queued', version: 3, sample: 10_000, checked: 0, finishedAt: null },
  })
  await rig.call('POST', at(one.id), { version: 3, sample: 'all' })
  expect(await rig.database.admin('SELECT count(*)::int AS n FROM sync.normaliser_report')).toEqual([{ n: 1 }])
  await counted(4)
  expect((await rig.call('GET', at(one.id))).body).toMatchObject({ ...figures(4), audienceId: one.id, status: 'done', inForce: 1, error: null })
  expect((await rig.call('GET', `${at(one.id)}?version=2`)).status).toBe(404)
  expect((await rig.call('GET', at(one.id), undefined, { tenantId: newUuid() })).status).toBe(404)

  const all = '/v1/destinations/meta/normaliser-report'
  expect((await rig.call('GET', all)).body).toMatchObject({ version: 3, inForce: 1, versions: [1, 2, 3], audiences: 2, reported: 1, open: 0, changed: 4 })
  expect(await rig.call('POST', all, { sample: 'all' })).toMatchObject({ status: 202, body: { open: 2, reported: 0 } })
  await counted(5)
  expect((await rig.call('GET', all)).body).toMatchObject({
    reported: 2,
    of: 40,
    checked: 20,
    changed: 10,
    byKey: { EMAIL: { other: 10, gained: 2, lost: 4 } },
  })
  expect((await rig.call('GET', at(two.id))).body).toMatchObject({ sample: 'all', changed: 5 })
  expect(await rig.call('POST', all, {}, { scopes: ['audiences:read'] })).toMatchObject({ status: 403 })
})
