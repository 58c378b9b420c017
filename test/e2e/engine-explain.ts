/** Why is this person there, or not: at each step of the way. choices.ts has consent, identifiers and what comes next. */
import { ingest, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { eventually, filled } from './engine.ts'
import { customer, farRows, joins, leaves, people, person, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 10

export function engineExplain(stage: Stage): void {
  describe('4 Explain', () => {
    test('4 Explain: absent, sending, accepted, applied and removed, each when it is true', async () => {
      const { system } = stage
      const { twin } = system
      const { client, audienceId, behavior, uploads, explain } = await filled(stage, 'explain', SIZE)
      const [stranger, leaver] = [person(SIZE), person(0)]
      const stateOf = async ({ customerId }: { customerId: string }) => (await explain(customerId)).state
      await ingest(client, [customer(stranger)])
      expect(await explain(stranger.customerId)).toMatchObject({ membership: { member: false, since: null }, state: 'absent', runId: null, next: 'none' })
      await members(client, behavior, [joins(stranger), leaves(leaver)])
      expect(await explain(stranger.customerId)).toMatchObject({ membership: { member: true }, state: 'absent', next: 'add' })
      expect(await explain(leaver.customerId)).toMatchObject({ state: 'applied', next: 'remove' })

      for (const method of ['POST', 'DELETE']) await twin.fault({ match: { ...uploads, method }, kind: 'apply_late' })
      system.signal('twin', 'SIGSTOP')
      const { id } = await refresh(client, audienceId)
      await eventually('a call is under way', async () => [await stateOf(stranger), await stateOf(leaver)].includes('sending')).finally(() =>
        system.signal('twin', 'SIGCONT'),
      )
      await waitRun(client, id, ['applying'])
      expect(await explain(stranger.customerId)).toMatchObject({ state: 'accepted', runId: id, batchId: expect.stringMatching(/^bat_/), next: 'none' })
      expect(await explain(leaver.customerId)).toMatchObject({ state: 'accepted', operation: 'remove', next: 'none' })
      await eventually('both are applied', async () => {
        await twin.clock(60_000)
        return (await stateOf(stranger)) === 'applied' && (await stateOf(leaver)) === 'removed'
      })
      await waitRun(client, id)
      expect(await explain(leaver.customerId)).toMatchObject({
        state: 'removed',
        operation: 'remove',
        runId: id,
        batchId: expect.stringMatching(/^bat_/),
        next: 'none',
      })
      const { exported } = await client.get(`/v1/customers/${stranger.customerId}`)
      expect(exported).toMatchObject([{ audienceId, behaviorId: behavior, operation: 'add', state: 'applied' }])
    })

    test('4 Explain: unknown while the platform’s answer is lost, and settled by the next run', async () => {
      const { twin } = stage.system
      const { client, audienceId, behavior, externalId, uploads, explain } = await filled(stage, 'explain-lost', SIZE, { retryPolicy: { attempts: 1 } })
      await ingest(client, [customer(person(SIZE))])
      await members(client, behavior, [joins(person(SIZE))])
      await twin.fault({ match: { ...uploads, method: 'POST' }, kind: 'apply_then_reset' })
      const run = await waitRun(client, (await refresh(client, audienceId)).id)
      expect(run).toMatchObject({ status: 'failed', counts: { planned: 1, unknown: 1 } })
      expect(await explain(person(SIZE).customerId)).toMatchObject({ state: 'unknown', runId: run.id })
      await waitRun(client, (await refresh(client, audienceId)).id)
      await eventually('it is settled', async () => {
        await twin.clock(1_000)
        const { state, next } = await explain(person(SIZE).customerId)
        return state === 'applied' && next === 'none'
      })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(0, SIZE + 1)))
    })
  })
}
