/** A plan promises what a run then does, and nothing else. */
import { createHash } from 'node:crypto'
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { afterEach, describe, expect, test } from '@jest/globals'
import { type Around, startAround } from './around-engine.ts'

let around: Around
afterEach(() => around.close())

const digestOf = (no: number) => createHash('sha256').update(`p${no}@example.com`).digest('hex')
const plan = () => around.call('POST', `/v1/audiences/${around.audienceId}/plan`)
const apply = (id: string) => around.call('POST', `/v1/plans/${id}/apply`)
const join = (from: number, to: number) => {
  for (let no = from; no <= to; no += 1) around.world.behavior.join(no)
}
const uploads = () => around.world.uploads().length
const countsOf = async (runId: string) => (await around.call('GET', `/v1/runs/${runId}`)).body.counts

describe('a plan', () => {
  test('says what would be done, sends nothing, and decrypts three people at most', async () => {
    around = await startAround()
    const { behavior } = around.world
    join(1, 5)
    behavior.join(6)
    behavior.suppress(6)
    behavior.join(7, {})
    const { status, body } = await plan()
    expect(status).toBe(201)
    expect(body).toMatchObject({
      audienceId: around.audienceId,
      mode: 'full',
      held: false,
      counts: { add: 5, remove: 0, replace: 0, unchanged: 0, suppressed: 2, waiting: 0 },
      suppressedBy: { consent_denied: 1, opted_out: 0, no_usable_identifier: 1, audience_too_small: 0 },
      identifiers: { email: { present: 3, usable: 2, unusable: { email_malformed: 1 } }, phone: { present: 3 } },
      apiCalls: 3,
      quota: { api_score: { cost: 7, fits: true }, custom_audience: { cost: 3 } },
      runId: null,
    })
    expect(body.expectedSeconds).toBeGreaterThan(0)
    expect(Date.parse(body.expiresAt) - Date.parse(body.createdAt)).toBe(3_600_000)
    expect(body.sampleRequests).toHaveLength(1)
    expect(body.sampleRequests[0].body.payload.data.map(([email]: string[]) => email)).toEqual([1, 2, 3].map((no) => digestOf(no).slice(0, 4).padEnd(64, '*')))
    expect(behavior.fetches).toBe(1)
    expect(around.world.twin.journal().filter(({ path }) => path.includes('customaudiences'))).toEqual([])
    expect((await around.call('GET', `/v1/plans/${body.id}`)).body).toEqual(body)
  })

  test('applied, is exactly the run that it promised, and is applied once', async () => {
    around = await startAround()
    join(1, 4)
    const { body: first } = await plan()
    const { status, body: run } = await apply(first.id)
    expect(status).toBe(202)
    expect(run).toMatchObject({ trigger: 'plan', status: 'queued' })
    await around.world.work()
    expect(await countsOf(run.id)).toMatchObject({ added: 4, removed: 0, replaced: 0 })
    expect((await around.call('GET', `/v1/runs/${run.id}`)).body.apiCalls).toBe(first.apiCalls)
    expect(await apply(first.id)).toMatchObject({ status: 202, body: { id: run.id } })
    expect((await around.call('GET', `/v1/plans/${first.id}`)).body.runId).toBe(run.id)
    await around.world.settle()

    around.world.behavior.leave(1)
    around.world.behavior.change(2, { identifiers: { email: 'new@example.com' } })
    join(5, 6)
    around.world.behavior.change(3, { customerId: 'c_3' }) // a change that says nothing new
    const { body: second } = await plan()
    expect(second).toMatchObject({ mode: 'incremental', counts: { add: 2, remove: 1, replace: 1, unchanged: 1 } })
    const { body: next } = await apply(second.id)
    await around.world.work()
    expect(await countsOf(next.id)).toMatchObject({ added: 2, removed: 1, replaced: 1 })
  })

  test('is stale when somebody came, left or changed, with both figures; a change that says nothing new leaves it good', async () => {
    around = await startAround()
    join(1, 3)
    const { body } = await plan()
    join(4, 4)
    expect(await apply(body.id)).toMatchObject({ status: 409, body: { code: 'plan_stale', planned: { add: 3 }, now: { add: 4 } } })
    around.world.behavior.leave(4)
    around.world.behavior.change(2, { identifiers: { email: 'other@example.com' } })
    expect(await apply(body.id)).toMatchObject({ status: 409, body: { code: 'plan_stale', planned: { add: 3 }, now: { add: 3 } } })
    around.world.behavior.change(2, { identifiers: { email: 'p2@example.com' } })
    expect(uploads()).toBe(0)
    expect((await apply(body.id)).status).toBe(202)
  })

  test('leaves to the next run whoever changed after it was compared', async () => {
    around = await startAround()
    join(1, 3)
    await around.world.sync()
    join(4, 5)
    const { body } = await plan()
    const { body: run } = await apply(body.id)
    join(6, 6)
    await around.world.work()
    expect(await countsOf(run.id)).toMatchObject({ added: 2 })
    expect(await countsOf(publicId('run', (await around.world.run(await around.world.sync())).id as string))).toMatchObject({ added: 1 })
  })

  test('leaves them to the next run even where everyone is looked at, and a refresh that comes meanwhile is a run of its own', async () => {
    around = await startAround()
    join(1, 3)
    const { body } = await plan()
    expect(body.mode).toBe('full')
    const { body: run } = await apply(body.id)
    join(4, 4)
    around.world.behavior.leave(2)
    expect((await around.call('POST', `/v1/audiences/${around.audienceId}/refresh`)).body.id).toBe(run.id)
    await around.world.workOnce()
    expect(await countsOf(run.id)).toMatchObject({ added: 2, removed: 0 })
    await around.world.work()
    await around.world.settle()
    const { data } = (await around.call('GET', `/v1/audiences/${around.audienceId}/runs`)).body
    expect(data).toMatchObject([
      { trigger: 'api', counts: { added: 1 } },
      { id: run.id, trigger: 'plan' },
    ])
    expect(around.world.far()).toEqual([1, 3, 4].map(digestOf).sort())
  })

  test('counts whoever was refused and never taken as the run does: added', async () => {
    around = await startAround()
    join(1, 3)
    around.world.twin.fault({ kind: 'reject_rows', match: { path: '/users' }, rows: 1, times: 1 })
    await around.world.sync()
    const { body } = await plan()
    expect(body.counts).toMatchObject({ add: 1, replace: 0, remove: 0 })
    const { body: run } = await apply(body.id)
    await around.world.work()
    expect(await countsOf(run.id)).toMatchObject({ added: 1, replaced: 0 })
  })

  test('is stale when a run is open or came in between, or when a choice has changed', async () => {
    around = await startAround()
    join(1, 3)
    const { body } = await plan()
    await around.world.request()
    expect(await apply(body.id)).toMatchObject({ status: 409, body: { code: 'plan_stale' } })
    await around.world.work()
    await around.world.settle()
    expect(await apply(body.id)).toMatchObject({ status: 409, body: { code: 'plan_stale', now: { add: 0 } } })
    const { body: again } = await plan()
    await around.call('PATCH', `/v1/audiences/${around.audienceId}`, { identifiers: ['email'] })
    expect(await apply(again.id)).toMatchObject({ status: 409, body: { code: 'plan_stale' } })
  })

  test('expires, and is nobody else’s', async () => {
    around = await startAround()
    const { body } = await plan()
    await around.world.database.admin('UPDATE sync.plan SET expires_at = now()')
    expect(await apply(body.id)).toMatchObject({ status: 410, body: { code: 'plan_expired' } })
    await around.world.database.admin('UPDATE sync.plan SET tenant_id = $1', [newUuid()])
    expect((await around.call('GET', `/v1/plans/${body.id}`)).status).toBe(404)
    expect((await apply(body.id)).status).toBe(404)
  })

  test('of an audience that is paused, or too small to be made, is refused', async () => {
    around = await startAround()
    await around.call('POST', `/v1/audiences/${around.audienceId}/pause`, { reason: 'holiday' })
    expect(await plan()).toMatchObject({ status: 409, body: { code: 'audience_paused' } })
    await around.world.database.admin('UPDATE sync.audience SET paused_at = NULL, too_small = true')
    expect(await plan()).toMatchObject({ status: 409, body: { code: 'audience_too_small' } })
  })

  test('C14: below the minimum removals are planned and made, additions withheld and counted', async () => {
    around = await startAround({ minimumSize: 4 })
    join(1, 4)
    await around.world.sync()
    for (const no of [1, 2]) around.world.behavior.leave(no)
    join(5, 5)
    const { body: before } = await plan() // nobody has noticed yet that it is too small
    const asPlanned = { counts: { add: 0, remove: 2, suppressed: 1 }, suppressedBy: { audience_too_small: 1 }, held: false }
    expect(before).toMatchObject(asPlanned)
    await around.world.database.admin('UPDATE sync.audience SET too_small = true')
    expect((await plan()).body).toMatchObject(asPlanned)
    const { status, body: run } = await apply(before.id)
    expect(status).toBe(202)
    await around.world.work()
    expect((await around.call('GET', `/v1/runs/${run.id}`)).body).toMatchObject({
      counts: { removed: 2, added: 0, suppressed: 1 },
      suppressedBy: { audience_too_small: 1 },
    })
    expect((await around.call('POST', `/v1/audiences/${around.audienceId}/refresh`)).status).toBe(202)
  })

  test('says that the brake would hold it; the run that applies it is held, and goes on when approved', async () => {
    around = await startAround({ brake: { sharePercent: 30, minimum: 1 } })
    join(1, 6)
    await around.world.sync()
    for (const no of [1, 2, 3]) around.world.behavior.leave(no)
    const { body } = await plan()
    expect(body).toMatchObject({ held: true, hold: { removals: 3, size: 6, sharePercent: 30 }, counts: { remove: 3 } })
    expect(body.hold.sample).toBeUndefined()
    const { body: run } = await apply(body.id)
    await around.world.work()
    expect((await around.call('GET', `/v1/runs/${run.id}`)).body.status).toBe('held')
    expect(await plan()).toMatchObject({ status: 409, body: { code: 'audience_held' } })
    await around.call('POST', `/v1/audiences/${around.audienceId}/approve`)
    await around.world.work()
    expect(await countsOf(run.id)).toMatchObject({ removed: 3 })
  })
})
