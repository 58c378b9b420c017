/** Planned, accepted, applied or refused: of each person, and in sums that hold whenever somebody looks. */
import { FINISHED, ingest, type Json, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { addUp, eventually, filled } from './engine.ts'
import { customer, farRows, joins, leaves, people, person, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 20
const REFUSED = 12 // so many that Meta says 412, "many invalid entries", until the next upload
const NDJSON = 'application/x-ndjson'

export function engineTruth(stage: Stage): void {
  describe('1 Three-stage truth', () => {
    test('1 Three-stage truth: counts add up at every read while a run goes, and accepted is not yet applied', async () => {
      const { twin } = stage.system
      const { client, audienceId, behavior, externalId, uploads, look, explain } = await filled(stage, 'truth', SIZE)
      await ingest(client, [...people(0, 5, 1), ...people(SIZE, SIZE + 10)].map(customer))
      await members(client, behavior, [...people(SIZE, SIZE + 10).map(joins), ...people(5, 8).map(leaves)])
      for (const method of ['POST', 'DELETE']) await twin.fault({ match: { ...uploads, method }, kind: 'apply_late', times: 5 })

      const { id } = await refresh(client, audienceId)
      const seen: Json[] = []
      const applying = await eventually('everything is accepted', async () => {
        const run = await client.get(`/v1/runs/${id}`)
        seen.push(run)
        return run.status === 'applying' && run
      })
      for (const run of seen) addUp(run)
      expect(applying.counts).toMatchObject({ planned: 18, accepted: 18, added: 10, removed: 3, replaced: 5, waiting: 0 })
      expect(applying.counts.applied).toBeLessThan(18)
      expect((await look()).status).toBe('pending')
      expect(await explain(person(SIZE).customerId)).toMatchObject({
        state: 'accepted',
        operation: 'add',
        runId: id,
        receipt: expect.any(Object),
        next: 'none',
      })

      await twin.clearFaults()
      const done = await eventually('everything is applied', async () => {
        await twin.clock(60_000)
        const run = await client.get(`/v1/runs/${id}`)
        addUp(run)
        return FINISHED.includes(run.status) && run
      })
      expect(done).toMatchObject({ status: 'completed', counts: { planned: 18, accepted: 18, applied: 18 } })
      expect((await explain(person(SIZE).customerId)).state).toBe('applied')
      expect(await farRows(twin, externalId)).toEqual(rowsOf([...people(0, 5, 1), ...people(8, SIZE + 10)]))
    })

    test('1 Three-stage truth: the refused are told by reason, in pages and as NDJSON, and retry-rejected brings them', async () => {
      const { twin } = stage.system
      const { client, audienceId, behavior, externalId, uploads, explain } = await filled(stage, 'refusals', SIZE)
      await ingest(client, people(SIZE, SIZE + 30).map(customer))
      await members(client, behavior, people(SIZE, SIZE + 30).map(joins))
      await twin.fault({ match: { ...uploads, method: 'POST' }, kind: 'reject_rows', rows: REFUSED })
      const run = await waitRun(client, (await refresh(client, audienceId)).id)
      addUp(run)
      expect(run).toMatchObject({ status: 'completed_with_rejections', counts: { planned: 30, added: 18, applied: 18, rejected: REFUSED } })

      const path = `/v1/runs/${run.id}/rejections`
      const { data } = await client.get(`${path}?code=platform_rejected_row`)
      expect(data).toHaveLength(REFUSED)
      expect(data[0]).toMatchObject({ attempts: 1, attemptsAtMost: expect.any(Number), nextAttempt: expect.any(String), platform: expect.any(Object) })
      expect((await client.get(`${path}?code=consent_denied`)).data).toEqual([])
      const first = await client.get(`${path}?limit=10`)
      const second = await client.get(`${path}?limit=10&cursor=${first.nextCursor}`)
      expect([first.data.length, second.data.length, second.nextCursor]).toEqual([10, 2, null])
      const lines = await client.ask('GET', path, undefined, { headers: { accept: NDJSON } })
      expect(lines.headers.get('content-type')).toContain(NDJSON)
      expect(linesOf(lines.body).map(({ customerId }) => customerId)).toEqual(data.map(({ customerId }: Json) => customerId))
      expect(await explain(data[0].customerId)).toMatchObject({
        state: 'rejected',
        reason: { code: 'platform_rejected_row' },
        runId: run.id,
        next: 'add',
      })

      const retried = await waitRun(client, (await client.post(`/v1/runs/${run.id}/retry-rejected`)).id)
      expect(retried).toMatchObject({ trigger: 'retry', status: 'completed', counts: { planned: REFUSED, accepted: REFUSED, rejected: 0 } })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(0, SIZE + 30)))
      expect((await explain(data[0].customerId)).state).toBe('applied')
    })

    test('1 Three-stage truth: refusals that the platform counts without naming make as many people unknown, never accepted', async () => {
      const { twin } = stage.system
      const { client, audienceId, behavior, uploads, explain } = await filled(stage, 'partial', SIZE)
      await ingest(client, people(SIZE, SIZE + 10).map(customer))
      await members(client, behavior, people(SIZE, SIZE + 10).map(joins))
      await twin.fault({ match: { ...uploads, method: 'POST' }, kind: 'partial', rows: 4 })
      const run = await waitRun(client, (await refresh(client, audienceId)).id)
      addUp(run)
      expect(run).toMatchObject({ status: 'completed_with_rejections', counts: { planned: 10, accepted: 6, added: 6, applied: 6, unknown: 4, rejected: 0 } })
      expect((await client.get(`/v1/runs/${run.id}/rejections`)).data).toEqual([]) // nobody knows who
      expect(await explain(person(SIZE).customerId)).toMatchObject({ state: 'unknown', operation: 'add', runId: run.id })
    })
  })
}

const linesOf = (text: string): Json[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
