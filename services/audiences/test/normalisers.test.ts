/** Reports of a normaliser in shadow: asked for and shown here, counted by a connector (played by the database's owner). */
import { newUuid } from '@audience-sync/contracts/ids'
import type { Destination } from '@audience-sync/destination-kit/contract'
import { withNormaliser } from '@audience-sync/destination-kit/normaliser'
import { requestMigrations } from '@audience-sync/sync-engine/worker/migrate'
import { reportNormaliser, tellInForce } from '@audience-sync/sync-engine/worker/normaliser-report'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startAround } from './around-engine.ts'
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

test('10 Versioned normalisers: what the report says in shadow is what the change of version then does, and back', async () => {
  const around = await startAround({ brake: { sharePercent: 100, minimum: 1_000 } })
  try {
    const { engine, behavior } = around.world
    const { prepare } = engine.destination
    const untagged: Destination['prepare'] = (person, config) =>
      prepare({ ...person, identifiers: { ...person.identifiers, email: person.identifiers.email?.replace(/\+[^@]*/, '') } }, config)
    const speakWith = async (version: number) => {
      Object.assign(engine, { destination: withNormaliser(engine.destination, version) })
      await tellInForce(engine)
      await requestMigrations(engine)
    }
    Object.assign(engine, { destination: { ...engine.destination, normalisers: [{ version: 2, prepare: untagged }] } })
    await speakWith(1)
    for (let no = 1; no <= 6; no += 1) behavior.join(no, { email: no <= 4 ? `p${no}+news@example.com` : `p${no}@example.com` })
    await around.world.sync()
    const there = around.world.far()

    const at = `/v1/audiences/${around.audienceId}/normaliser-report`
    expect(await around.call('POST', at, { sample: 'all' })).toMatchObject({ status: 202, body: { version: 2, status: 'queued' } })
    expect(await reportNormaliser(engine, new AbortController().signal)).toBe(true)
    const { body: report } = await around.call('GET', at)
    expect(report).toMatchObject({ status: 'done', inForce: 1, of: 6, checked: 6, changed: 4, byKey: { EMAIL: { other: 4, gained: 0, lost: 0 } } })
    expect(around.world.far()).toEqual(there)

    const lastRun = async () => (await around.call('GET', `/v1/audiences/${around.audienceId}/runs?limit=1`)).body.data[0]
    for (const version of [2, 1]) {
      await speakWith(version)
      await around.world.work()
      expect(await lastRun()).toMatchObject({ mode: 'full', counts: { replaced: report.changed, unchanged: 2, added: 0, removed: 0 } })
      for (let round = 0; round < 4; round += 1) {
        await around.world.settle()
        await around.world.work()
      }
      expect((await lastRun()).counts).toMatchObject({ planned: 0 })
      expect(around.world.far().filter((one) => there.includes(one))).toHaveLength(version === 2 ? 2 : 6)
      expect(around.world.far()).toHaveLength(6)
    }
  } finally {
    await around.close()
  }
})
